"""Interactions by items, and with the items numbered by popularity."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse


class RankedHistories(NamedTuple):
    """The interactions with the most popular item as number 0, the next as 1 and so on.

    Attributes
    ----------
    item_indptr, item_users : int array (n_items + 1,), (nnz,)
        The users of each item, ascending.
    user_indptr, user_items : int array (n_users + 1,), (nnz,)
        The items of each user, ascending.
    user_weights : float64 array (n_users,)
        What a user counts.
    """

    item_indptr: npt.NDArray[Any]
    item_users: npt.NDArray[Any]
    user_indptr: npt.NDArray[Any]
    user_items: npt.NDArray[Any]
    user_weights: npt.NDArray[np.float64]


def rank_histories(
    user_items: sparse.csr_array, user_power: float
) -> tuple[RankedHistories, npt.NDArray[np.int64]]:
    """Give items numbers by popularity, and users weights by a power of the length of their history.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions, without duplicates; only the pattern is looked at.
    user_power : float
        A user with ``d`` items counts ``d^-user_power``.

    Returns
    -------
    histories : RankedHistories
    order : int64 array (n_items,)
        The item behind each number. Of equally popular items the one with the lower row comes first.
    """
    n_users, n_items = user_items.shape
    degrees = np.bincount(user_items.indices, minlength=n_items)
    order = np.argsort(-degrees, kind="stable")
    ranks = np.empty(n_items, dtype=np.int32)
    ranks[order] = np.arange(n_items, dtype=np.int32)
    # Transposing twice sorts the columns of every row; the data is there for scipy alone.
    flags = np.ones(user_items.nnz, dtype=np.int8)
    by_item = sparse.csc_array(
        sparse.csr_array((flags, ranks[user_items.indices], user_items.indptr), shape=(n_users, n_items))
    )
    by_user = by_item.tocsr()
    lengths = np.maximum(np.diff(by_user.indptr), 1).astype(np.float64)
    histories = RankedHistories(
        by_item.indptr, by_item.indices, by_user.indptr, by_user.indices, lengths**-user_power
    )
    return histories, order


def transpose(user_items: sparse.csr_array) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Give the users of each item, ascending, as CSR ``(indptr, users)``; only the pattern is looked at."""
    flags = np.ones(user_items.nnz, dtype=np.int8)
    pattern = sparse.csr_array((flags, user_items.indices, user_items.indptr), shape=user_items.shape)
    by_item = sparse.csc_array(pattern)
    return by_item.indptr, by_item.indices
