"""Teachers: models that are too large for a device, and that a sparse one learns from while it is trained.

A teacher scores the items of a batch for the users of the training data. It lives on the training machine
alone: nothing of it is in the student's file. `sparserec_np.distillation` makes a loss of its scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.autograd import Parameter
from sparserec_np.errors import SettingError
from sparserec_np.exploration.spectral import singular_items
from sparserec_np.kernels.teaching import score_by_history, score_pairs
from sparserec_np.kernels.workers import Workers
from sparserec_np.scorers import Scorer
from sparserec_np.tables import SparseTable

EASE_LIMIT = 10_000
"""Items of the largest catalogue that `EaseTeacher` takes: its matrix then has 400 MB, and twice that twice
over while it is computed."""

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
    """Truncated singular value decomposition of the normalised interactions, a low-pass filter of the graph.

    An item's row is that of the right singular vectors of ``D_u^-½ X D_i^-½`` times the root of the item's
    popularity, a user's the sum of the vectors of their history over the root of the items' popularity: the
    ideal low-pass filter of GF-CF [1]_. A positive is left out of its own user.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    rank : int
        Singular vectors, at most.
    rng : numpy.random.Generator
    workers : Workers

    References
    ----------
    .. [1] Y. Shen et al., "How Powerful is Graph Convolution for Recommendation?", CIKM 2021.
    """

    leaves_out: ClassVar[bool] = True

    def __init__(
        self, user_items: sparse.csr_array, *, rng: np.random.Generator, workers: Workers, rank: int = 512
    ) -> None:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            vectors = singular_items(user_items, rank, rng)
        degrees = np.maximum(np.bincount(user_items.indices, minlength=user_items.shape[1]), 1)
        roots = np.sqrt(degrees).astype(np.float32)
        ones = sparse.csr_array(
            (np.ones(user_items.nnz, np.float32), user_items.indices, user_items.indptr),
            shape=user_items.shape,
        )
        self._people = np.ascontiguousarray(ones @ (vectors / roots[:, None]), dtype=np.float32)
        self._own_share = np.einsum("ij,ij->i", vectors, vectors)
        vectors *= roots[:, None]
        self._items = vectors
        self._workers = workers

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score by ``⟨history filtered, item⟩``, the positive without its own share."""
        out = np.empty(item_rows.shape, np.float32)
        self._workers.run(score_pairs, len(out), self._people, self._items, user_rows, item_rows, out)
        out[:, 0] -= self._own_share[item_rows[:, 0]]
        return out


class EaseTeacher:
    """EASE (Steck 2019): the item × item regression with a zero diagonal, in closed form.

    The zero diagonal leaves a positive out of its own score. Time grows with the cube of the number of items,
    memory with its square.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    rng : numpy.random.Generator
        Not used: nothing is random.
    workers : Workers
    regularization : float
        What is added to the diagonal of the items' Gram matrix.

    Raises
    ------
    SettingError
        For more than `EASE_LIMIT` items.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    """

    leaves_out: ClassVar[bool] = True

    def __init__(
        self,
        user_items: sparse.csr_array,
        *,
        rng: np.random.Generator,
        workers: Workers,
        regularization: float = 200.0,
    ) -> None:
        from threadpoolctl import threadpool_limits

        n_items = user_items.shape[1]
        if n_items > EASE_LIMIT:
            raise SettingError(
                f"teacher is 'ease' and there are {n_items:,} items; expected at most {EASE_LIMIT:,}, since "
                "every pair of them gets a weight; use the teacher 'spectral'"
            )
        ones = sparse.csr_array(
            (np.ones(user_items.nnz), user_items.indices, user_items.indptr), shape=user_items.shape
        )
        gram = (ones.T @ ones).toarray()
        gram[np.diag_indices_from(gram)] += regularization
        # With more BLAS threads the last bits would depend on their number.
        with threadpool_limits(1):
            inverse = np.linalg.inv(gram)
        del gram
        inverse /= -np.diag(inverse).copy()
        np.fill_diagonal(inverse, 0)
        self.weights = inverse.astype(np.float32)
        self._history = user_items.indptr, user_items.indices
        self._workers = workers

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score by the sum of the weights from the history to the item."""
        out = np.empty(item_rows.shape, np.float32)
        self._workers.run(score_by_history, len(out), *self._history, self.weights, user_rows, item_rows, out)
        return out


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
