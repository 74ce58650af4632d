"""The teacher `EaseTeacher`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.calibration import calibrate, sample_examples
from sparserec_np.errors import SettingError
from sparserec_np.kernels.teaching import history_forms, sum_over_history
from sparserec_np.kernels.workers import Workers
from sparserec_np.matrices import as_csr
from sparserec_np.sampling import NegativeSampler
from sparserec_np.teachers.teacher import N_NEGATIVES, Rows, check_batch, likeliest, ones_like

EASE_LIMIT = 10_000
"""Items of the largest catalogue that `EaseTeacher` takes: of each pair it keeps a float32, 400 MB in
all, and needs five times that while it is fitted."""


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
        user_items = as_csr(user_items, "user_items")
        self._workers = workers
        self._history = user_items.indptr, user_items.indices
        ones = ones_like(user_items, np.float64)
        gram = (ones.T @ ones).toarray()
        sampler = NegativeSampler(user_items, 0.0, int(rng.integers(2**63)), workers)
        examples = sample_examples(user_items, sampler, N_NEGATIVES, rng)

        def surprise(regularization: float) -> float:
            self._solve(gram, regularization)
            return calibrate(self.scores(*examples)).surprise

        best = likeliest(regularizations, surprise)
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
        check_batch(user_rows, item_rows, (len(self._forms), len(self._inverse)))
        sums = np.empty(item_rows.shape)
        self._workers.run(
            sum_over_history, len(sums), *self._history, self._inverse, user_rows, item_rows, sums
        )
        pivots = np.diag(self._inverse)[item_rows]
        leverage = self._forms[user_rows][:, None] - sums**2 / pivots
        out = -sums / pivots / (1 - leverage)
        out[:, 0] += 1
        return out.astype(np.float32)
