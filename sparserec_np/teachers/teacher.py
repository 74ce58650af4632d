"""What a teacher is, and what several of them are made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

#: Negatives of each example by which a teacher chooses its constants.
N_NEGATIVES = 32

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


def deal_folds(n_users: int, n_folds: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Deal the users into folds of equal size at random; returns the fold of each, (n_users,)."""
    return rng.permutation(n_users).astype(np.int32) % n_folds


def ones_like(user_items: sparse.csr_array, dtype: Any) -> sparse.csr_array:
    """Return the pattern of the interactions with ones for values."""
    return sparse.csr_array(
        (np.ones(user_items.nnz, dtype), user_items.indices, user_items.indptr), shape=user_items.shape
    )
