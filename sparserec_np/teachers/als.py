"""The teacher `AlsTeacher`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.calibration import calibrate
from sparserec_np.kernels.teaching import improve_ridge, leave_one_out_ridge, score_pairs
from sparserec_np.kernels.workers import Workers
from sparserec_np.matrices import as_csr
from sparserec_np.scorers import entries_of, entry_keys
from sparserec_np.teachers.teacher import (
    Rows,
    check_batch,
    deal_folds,
    examples_of_fold,
    likeliest,
    ones_like,
)


class AlsTeacher:
    """Weighted matrix factorization by alternating least squares (Hu, Koren and Volinsky 2008 [1]_).

    What a user has is a 1 of weight ``confidence``, what they have not a 0 of weight 1. Users are dealt into
    folds, and each is scored by items that come of the other folds. Their own factors are the ridge
    regression of their row on these items; a positive is scored by the one that takes it for a 0. The
    regularization is the one whose probabilities of the positives of the first fold are greatest.

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
    regularizations : tuple of float
        To choose among, ascending; the L2 penalty of every row of factors.
    n_iterations : int
        Times that users and items are moved in turn, each row by three steps of conjugate gradients [2]_.
    n_folds : int
        At least 2.

    Attributes
    ----------
    regularization : float
        The chosen one.

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
        regularizations: tuple[float, ...] = (12.5, 25.0, 50.0, 100.0, 200.0),
        n_iterations: int = 8,
        n_folds: int = 5,
    ) -> None:
        from threadpoolctl import threadpool_limits

        user_items = as_csr(user_items, "user_items")
        n_users, n_items = user_items.shape
        n_folds = min(n_folds, n_users)
        self._folds = deal_folds(n_users, n_folds, rng)
        self._history = ones_like(user_items, np.float32)
        self._keys = entry_keys(self._history)
        self._workers = workers
        self._confidence, self._n_iterations = confidence, n_iterations
        self._people = np.zeros((n_users, dim), np.float32)
        self._items = np.zeros((n_folds, n_items, dim), np.float32)
        self._own_scores = np.zeros(user_items.nnz, np.float32)
        # With more BLAS threads the last bits would depend on their number.
        with threadpool_limits(1):
            self._choose_regularization(regularizations, rng)
            for fold in range(1, n_folds):
                self._factorise(fold, rng)

    def _choose_regularization(self, regularizations: tuple[float, ...], rng: np.random.Generator) -> None:
        """Factorise the first fold with the penalty that makes its positives likeliest."""
        examples = examples_of_fold(self._history, self._folds, 0, rng, self._workers)

        def surprise(regularization: float) -> float:
            self.regularization = regularization
            self._factorise(0, rng)
            return calibrate(self.scores(*examples)).surprise

        best = likeliest(regularizations, surprise)
        if self.regularization != best:
            self.regularization = best
            self._factorise(0, rng)

    def _factorise(self, fold: int, rng: np.random.Generator) -> None:
        """Fill in the items of a fold, from the interactions of all others, and its users."""
        own, others = np.flatnonzero(self._folds == fold), self._history[np.flatnonzero(self._folds != fold)]
        people, items = (
            rng.standard_normal((n, self._items.shape[2])) / self._items.shape[2] for n in others.shape
        )
        of_items = others.T.tocsr()
        for _ in range(self._n_iterations):
            for rows, matrix, fixed in ((people, others, items), (items, of_items, people)):
                self._workers.run(
                    improve_ridge, len(rows), matrix.indptr, matrix.indices, fixed,
                    self._gram(fixed), self._confidence, rows, min_share=16,
                )  # fmt: skip
        self._items[fold] = items
        self._workers.run(
            leave_one_out_ridge, len(own), own, self._history.indptr, self._history.indices, items,
            self._gram(items), self._confidence, self._people, self._own_scores, min_share=16,
        )  # fmt: skip

    def _gram(self, factors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        gram = factors.T @ factors
        gram[np.diag_indices_from(gram)] += self.regularization
        return gram

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score by ``⟨user, item⟩``, the positive as if the user did not have it."""
        check_batch(user_rows, item_rows, (len(self._people), self._items.shape[1]))
        out = np.empty(item_rows.shape, np.float32)
        self._workers.run(
            score_pairs, len(out), self._people, self._items, self._folds, self._people.shape[1],
            user_rows, item_rows, out,
        )  # fmt: skip
        out[:, 0] = self._own_scores[entries_of(self._keys, self._items.shape[1], user_rows, item_rows[:, 0])]
        return out
