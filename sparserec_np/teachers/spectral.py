"""The teacher `SpectralTeacher`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.calibration import calibrate
from sparserec_np.exploration.singular import singular_items
from sparserec_np.kernels.teaching import score_pairs
from sparserec_np.kernels.workers import Workers
from sparserec_np.matrices import as_csr
from sparserec_np.teachers.teacher import Rows, check_batch, deal_folds, examples_of_fold, ones_like


class SpectralTeacher:
    """Truncated singular value decomposition of the normalised interactions: the ideal low-pass filter.

    The scores of GF-CF [1]_, ``x_u D_i^-½ V Vᵀ D_i^½`` with the right singular vectors ``V`` of
    ``D_u^-½ X D_i^-½``: an item's row holds its vectors times the root of its popularity, a user's the sum of
    the vectors of their history over the roots of the items' popularity. A positive is left out of its own
    user. Nor do the vectors know of it: the users are dealt into folds, and each is scored by vectors
    of the other folds. Seen in the decomposition, a positive would be remembered, the better the higher the
    rank. The rank itself is the one whose probabilities of the positives are greatest.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    rng : numpy.random.Generator
        Deals the folds and starts the decompositions.
    workers : Workers
    ranks : tuple of int
        Numbers of singular vectors to choose among, ascending.
    n_folds : int
        At least 2.

    Attributes
    ----------
    rank : int
        The chosen one.

    References
    ----------
    .. [1] Y. Shen et al., "How Powerful is Graph Convolution for Recommendation?", CIKM 2021.
    """

    leaves_out = True

    def __init__(
        self,
        user_items: sparse.csr_array,
        *,
        rng: np.random.Generator,
        workers: Workers,
        ranks: tuple[int, ...] = (16, 32, 64, 128, 256, 512),
        n_folds: int = 5,
    ) -> None:
        user_items = as_csr(user_items, "user_items")
        n_users, n_items = user_items.shape
        n_folds = min(n_folds, n_users)
        self._folds = deal_folds(n_users, n_folds, rng)
        self._history = ones_like(user_items, np.float32)
        degrees = np.maximum(np.bincount(user_items.indices, minlength=n_items), 1)
        self._roots = np.sqrt(degrees).astype(np.float32)
        self._workers = workers

        # One fold tells how many vectors are worth having; the others make no more than those.
        self.rank = min(ranks[-1], n_items)
        people, items = (np.zeros((n, self.rank), np.float32) for n in (n_users, n_items))
        self._decompose(0, people, items, rng)
        self._people, self._items = people, items[None]
        self._choose_rank(user_items, ranks, rng)
        self._people = people[:, : self.rank].copy()
        self._items = np.zeros((n_folds, n_items, self.rank), np.float32)
        self._items[0] = items[:, : self.rank]
        del people, items
        for fold in range(1, n_folds):
            self._decompose(fold, self._people, self._items[fold], rng)
        self._own_share = self._own_shares()

    def _decompose(
        self,
        fold: int,
        people: npt.NDArray[np.float32],
        items: npt.NDArray[np.float32],
        rng: np.random.Generator,
    ) -> None:
        """Fill in the items of a fold, from the interactions of all others, and its users."""
        own = np.flatnonzero(self._folds == fold)
        others = self._history[np.flatnonzero(self._folds != fold)]
        if not others.nnz:
            return  # nothing is known of anybody else
        vectors = singular_items(others, self.rank, rng, self._workers)
        rank = vectors.shape[1]
        people[own, :rank] = self._history[own] @ (vectors / self._roots[:, None])
        items[:, :rank] = vectors * self._roots[:, None]

    def _choose_rank(
        self, user_items: sparse.csr_array, ranks: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        """Find the number of vectors that makes the positives of the first fold likeliest."""
        examples = examples_of_fold(user_items, self._folds, 0, rng, self._workers)
        best, least = self.rank, np.inf
        for rank in sorted({min(rank, self.rank) for rank in ranks}):
            self.rank = rank
            self._own_share = self._own_shares()
            surprise = calibrate(self.scores(*examples)).surprise
            if surprise < least:
                best, least = rank, surprise
        self.rank = best

    def _own_shares(self) -> npt.NDArray[np.float32]:
        """Share of each item in its own score, (n_folds, n_items), where it is in the history."""
        items = self._items[:, :, : self.rank]
        shares: npt.NDArray[np.float32] = np.einsum("fij,fij->fi", items, items) / self._roots**2
        return shares

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score by ``⟨history, item⟩``, the positive without its own share."""
        check_batch(user_rows, item_rows, (len(self._people), self._items.shape[1]))
        out = np.empty(item_rows.shape, np.float32)
        self._workers.run(
            score_pairs,
            len(out),
            self._people,
            self._items,
            self._folds,
            self.rank,
            user_rows,
            item_rows,
            out,
        )
        out[:, 0] -= self._own_share[self._folds[user_rows], item_rows[:, 0]]
        return out
