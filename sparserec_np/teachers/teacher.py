"""What a teacher is, and what several of them are made with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.calibration import sample_examples
from sparserec_np.errors import DataError
from sparserec_np.kernels.workers import Workers
from sparserec_np.matrices import check_rows
from sparserec_np.sampling import NegativeSampler

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


def check_batch(user_rows: Rows, item_rows: Rows, shape: tuple[int, int]) -> None:
    """Check that a batch names users and items of interactions of this shape.

    Raises
    ------
    DataError
        If it does not: the kernels read wherever a row number points to.
    """
    check_rows(user_rows, "user_rows", shape[0])
    if item_rows.ndim != 2 or len(item_rows) != len(user_rows):
        raise DataError(
            f"user_rows and item_rows have shapes {user_rows.shape} and {item_rows.shape}; expected (batch,) "
            "and (batch, 1 + m)"
        )
    check_rows(item_rows.reshape(-1), "item_rows", shape[1], "item")


def deal_folds(n_users: int, n_folds: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Deal the users into folds of equal size at random; returns the fold of each, (n_users,)."""
    return rng.permutation(n_users).astype(np.int32) % n_folds


def examples_of_fold(
    user_items: sparse.csr_array,
    folds: npt.NDArray[np.int32],
    fold: int,
    rng: np.random.Generator,
    workers: Workers,
) -> tuple[Rows, Rows]:
    """Draw examples of one fold's users to choose constants by: ``users`` (n,), ``items`` (n, 1 + m)."""
    sampler = NegativeSampler(user_items, 0.0, int(rng.integers(2**63)), workers)
    lengths, own = np.diff(user_items.indptr), folds == fold
    kept = np.repeat(own, lengths)
    indptr = np.append(0, np.cumsum(np.where(own, lengths, 0)))
    theirs = sparse.csr_array(
        (user_items.data[kept], user_items.indices[kept], indptr), shape=user_items.shape
    )
    return sample_examples(theirs, sampler, N_NEGATIVES, rng)


def likeliest(constants: Sequence[float], surprise: Callable[[float], float]) -> float:
    """Choose the one of ascending ``constants`` under which positives surprise least.

    ``surprise`` falls, then rises with them; beyond the first that makes it rise none is tried.
    """
    best, least = constants[0], np.inf
    for constant in constants:
        found = surprise(constant)
        if found >= least:
            break
        best, least = constant, found
    return best


def ones_like(user_items: sparse.csr_array, dtype: Any) -> sparse.csr_array:
    """Return the pattern of the interactions with ones for values."""
    return sparse.csr_array(
        (np.ones(user_items.nnz, dtype), user_items.indices, user_items.indptr), shape=user_items.shape
    )
