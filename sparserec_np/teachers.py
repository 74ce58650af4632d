"""Teachers: models that are too large for a device, and that a sparse one learns from while it is trained.

A teacher scores the items of a batch for the users of the training data. It lives on the training machine
alone: nothing of it is in the student's file. `sparserec_np.distillation` makes a loss of its scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.autograd import Parameter
from sparserec_np.calibration import calibrate, sample_examples
from sparserec_np.errors import SettingError
from sparserec_np.exploration.singular import singular_items
from sparserec_np.kernels.teaching import history_forms, score_pairs, sum_over_history
from sparserec_np.kernels.workers import Workers
from sparserec_np.sampling import NegativeSampler
from sparserec_np.scorers import Scorer
from sparserec_np.tables import SparseTable

EASE_LIMIT = 10_000
"""Items of the largest catalogue that `EaseTeacher` takes: of each pair it keeps a float32, 400 MB in
all, and needs five times that while it is fitted."""

# Items up to which it takes seconds: the time grows with their cube.
_QUICK_EASE = 4000

# Negatives of each example by which a teacher chooses its constants.
_NEGATIVES = 32

Rows = npt.NDArray[Any]


class Teacher(Protocol):
    """What distillation asks of a teacher."""

    #: Whether a positive is scored without its own share of the user. A teacher that cannot leave it out
    #: has seen what it is asked about, and is surer of the positives than it would be of new ones.
    leaves_out: bool

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score the items of a batch, on any scale.

        Parameters
        ----------
        user_rows : int array (batch,)
            Users of the training data.
        item_rows : int array (batch, 1 + m)
            In column 0 an item of the user's history, behind it others.

        Returns
        -------
        float32 array (batch, 1 + m)
        """


MakeTeacher = Callable[..., Teacher]
"""``make(user_items, *, rng, workers) -> Teacher``, fitted to the pattern of the interactions."""


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
        n_users, n_items = user_items.shape
        n_folds = min(n_folds, n_users)
        self._folds = rng.permutation(n_users).astype(np.int32) % n_folds
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
        sampler = NegativeSampler(user_items, 0.0, int(rng.integers(2**63)), self._workers)
        lengths = np.diff(user_items.indptr)
        kept = np.repeat(self._folds == 0, lengths)
        indptr = np.append(0, np.cumsum(np.where(self._folds == 0, lengths, 0)))
        first = sparse.csr_array(
            (user_items.data[kept], user_items.indices[kept], indptr), shape=user_items.shape
        )
        examples = sample_examples(first, sampler, _NEGATIVES, rng)
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


class EaseTeacher:
    """EASE (Steck 2019 [1]_): each item's interactions by regression on all others, in closed form.

    Users are scored as if they had not been there when the item's regression was made: the residual of a
    row that is left out is known without solving again [2]_. The regularization is the one whose
    probabilities of the positives are then greatest. Time grows with the cube of the number of items, memory
    with its square.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    rng : numpy.random.Generator
        Draws the sample by which the regularization is chosen.
    workers : Workers
    regularizations : tuple of float
        To choose among, ascending; what is added to the diagonal of the items' Gram matrix.

    Attributes
    ----------
    regularization : float
        The chosen one.

    Raises
    ------
    SettingError
        For more than `EASE_LIMIT` items.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    .. [2] D. Allen, "The Relationship between Variable Selection and Data Augmentation and a Method for
       Prediction", Technometrics 16 (1), 1974.
    """

    leaves_out = True

    def __init__(
        self,
        user_items: sparse.csr_array,
        *,
        rng: np.random.Generator,
        workers: Workers,
        regularizations: tuple[float, ...] = (50.0, 100.0, 200.0, 400.0, 800.0),
    ) -> None:
        n_items = user_items.shape[1]
        if n_items > EASE_LIMIT:
            raise SettingError(
                f"teacher is 'ease' and there are {n_items:,} items; expected at most {EASE_LIMIT:,}, since "
                "every pair of them gets a weight; use the teacher 'spectral'"
            )
        self._workers = workers
        self._history = user_items.indptr, user_items.indices
        ones = ones_like(user_items, np.float64)
        gram = (ones.T @ ones).toarray()
        sampler = NegativeSampler(user_items, 0.0, int(rng.integers(2**63)), workers)
        examples = sample_examples(user_items, sampler, _NEGATIVES, rng)
        best, least = regularizations[0], np.inf
        for regularization in regularizations:
            self._solve(gram, regularization)
            surprise = calibrate(self.scores(*examples)).surprise
            if surprise >= least:
                break  # it falls, then rises
            best, least = regularization, surprise
        if self.regularization != best:
            self._solve(gram, best)

    def _solve(self, gram: npt.NDArray[np.float64], regularization: float) -> None:
        from scipy.linalg.lapack import dpotrf, dpotri
        from threadpoolctl import threadpool_limits

        self.regularization = regularization
        regularized = gram.copy(order="F")
        regularized[np.diag_indices_from(gram)] += regularization
        # With more BLAS threads the last bits would depend on their number. Positive definite as the matrix
        # is, half the work of inverting any other will do.
        with threadpool_limits(1):
            root, _ = dpotrf(regularized, lower=True, overwrite_a=True)
            below, failed = dpotri(root, lower=True, overwrite_c=True)
        assert not failed
        inverse = np.tril(below)
        inverse += np.tril(inverse, -1).T
        self._forms = np.empty(len(self._history[0]) - 1)
        self._workers.run(history_forms, len(self._forms), *self._history, inverse, self._forms, min_share=16)
        self._inverse = inverse.astype(np.float32)

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score by the regression of each item that the user has been left out of.

        With ``P`` the inverse of the regularized Gram matrix and ``c = (x_u P)_j``, the regression of item
        ``j`` misses ``x_uj`` by ``c / P_jj``, and does so by ``1 / (1 - h)`` times as much where it has not
        seen the user, whose leverage is ``h = x_u P x_uᵀ - c² / P_jj``.
        """
        sums = np.empty(item_rows.shape)
        self._workers.run(
            sum_over_history, len(sums), *self._history, self._inverse, user_rows, item_rows, sums
        )
        pivots = np.diag(self._inverse)[item_rows]
        leverage = self._forms[user_rows][:, None] - sums**2 / pivots
        out = -sums / pivots / (1 - leverage)
        out[:, 0] += 1
        return out.astype(np.float32)


def ones_like(user_items: sparse.csr_array, dtype: Any) -> sparse.csr_array:
    """Return the pattern of the interactions with ones for values."""
    return sparse.csr_array(
        (np.ones(user_items.nnz, dtype), user_items.indices, user_items.indptr), shape=user_items.shape
    )


class TableTeacher:
    """A pair of trained tables, dense ones among them, under the scorer that they were trained with.

    Parameters
    ----------
    scorer : Scorer
    users, items : SparseTable
        ``users`` is None where the scorer makes users of items alone.
    workers : Workers
    """

    def __init__(
        self, scorer: Scorer, users: SparseTable | None, items: SparseTable, workers: Workers
    ) -> None:
        self._scorer = scorer
        self._users = Parameter(users, workers) if users is not None else None
        self._items = Parameter(items, workers)
        #: A stored row has learnt from the positive, which cannot be taken out of it again.
        self.leaves_out = users is None

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score as in training."""
        scores: Any = self._scorer
        found: npt.NDArray[np.float32] = scores(self._users, self._items, user_rows, item_rows)
        return found


TEACHERS: dict[str, MakeTeacher] = {"spectral": SpectralTeacher, "ease": EaseTeacher}
"""Teachers by the name that the setting ``teacher`` has for them."""
NO_TEACHER = "none"
"""What the setting says where there is to be none, even where the amount of data speaks for one."""

AUTO_TEACHER = "auto"
"""What the setting says where the number of items is to decide; see `affordable_teacher`."""


def affordable_teacher(n_items: int) -> str:
    """Name the best teacher of `TEACHERS` that takes seconds: ease for a small catalogue, else spectral."""
    return "ease" if n_items <= _QUICK_EASE else "spectral"
