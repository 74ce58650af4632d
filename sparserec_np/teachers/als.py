"""The teacher `AlsTeacher`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.kernels.teaching import improve_ridge, leave_one_out_ridge, score_pairs
from sparserec_np.kernels.workers import Workers
from sparserec_np.scorers import entries_of, entry_keys
from sparserec_np.teachers.teacher import Rows, deal_folds, ones_like


class AlsTeacher:
    """Weighted matrix factorization by alternating least squares (Hu, Koren and Volinsky 2008 [1]_).

    What a user has is a 1 of weight ``confidence``, what they have not a 0 of weight 1. Users are dealt into
    folds, and each is scored by items that come of the other folds. Their own factors are the ridge
    regression of their row on these items; a positive is scored by the one that takes it for a 0.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    rng : numpy.random.Generator
        Deals the folds and draws the first factors.
    workers : Workers
    dim : int
        Width of the factors.
    confidence : float
        Above 1.
    regularization : float
        L2 penalty of every row of factors.
    n_iterations : int
        Times that users and items are moved in turn, each row by three steps of conjugate gradients [2]_.
    n_folds : int
        At least 2.

    References
    ----------
    .. [1] Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
    .. [2] G. Takács, I. Pilászy, D. Tikk, "Applications of the Conjugate Gradient Method for Implicit
       Feedback Collaborative Filtering", RecSys 2011.
    """

    leaves_out = True

    def __init__(
        self,
        user_items: sparse.csr_array,
        *,
        rng: np.random.Generator,
        workers: Workers,
        dim: int = 64,
        confidence: float = 11.0,
        regularization: float = 50.0,
        n_iterations: int = 15,
        n_folds: int = 5,
    ) -> None:
        from threadpoolctl import threadpool_limits

        n_users, n_items = user_items.shape
        history = ones_like(user_items, np.float32)
        n_folds = min(n_folds, n_users)
        self._folds = deal_folds(n_users, n_folds, rng)
        self._workers = workers
        self._people = np.zeros((n_users, dim), np.float32)
        self._items = np.zeros((n_folds, n_items, dim), np.float32)
        self._own_scores = np.zeros(user_items.nnz, np.float32)
        self._keys = entry_keys(history)
        # With more BLAS threads the last bits would depend on their number.
        with threadpool_limits(1):
            for fold in range(n_folds):
                own = np.flatnonzero(self._folds == fold)
                others = history[np.flatnonzero(self._folds != fold)]
                items = self._factors(others, dim, confidence, regularization, n_iterations, rng)
                self._items[fold] = items
                workers.run(
                    leave_one_out_ridge, len(own), own, history.indptr, history.indices, items,
                    _gram(items, regularization), confidence, self._people, self._own_scores, min_share=16,
                )  # fmt: skip

    def _factors(
        self,
        user_items: sparse.csr_array,
        dim: int,
        confidence: float,
        regularization: float,
        n_iterations: int,
        rng: np.random.Generator,
    ) -> npt.NDArray[np.float64]:
        """Factorise; returns those of the items."""
        people, items = (rng.standard_normal((n, dim)) / dim for n in user_items.shape)
        item_users = user_items.T.tocsr()
        for _ in range(n_iterations):
            for rows, matrix, others in ((people, user_items, items), (items, item_users, people)):
                self._workers.run(
                    improve_ridge, len(rows), matrix.indptr, matrix.indices, others,
                    _gram(others, regularization), confidence, rows, min_share=16,
                )  # fmt: skip
        return items

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score by ``⟨user, item⟩``, the positive as if the user did not have it."""
        out = np.empty(item_rows.shape, np.float32)
        self._workers.run(
            score_pairs, len(out), self._people, self._items, self._folds, self._people.shape[1],
            user_rows, item_rows, out,
        )  # fmt: skip
        out[:, 0] = self._own_scores[entries_of(self._keys, self._items.shape[1], user_rows, item_rows[:, 0])]
        return out


def _gram(factors: npt.NDArray[np.float64], regularization: float) -> npt.NDArray[np.float64]:
    gram = factors.T @ factors
    gram[np.diag_indices_from(gram)] += regularization
    return gram
