"""From rows, as given, to pairs: one entry of a CSR matrix for each user and item that occur together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from sparserec_np.data.folder import user_blocks
from sparserec_np.errors import DataError, SettingError
from sparserec_np.kernels.pairs import count_codes, deal_out, merge_rows, sort_parts
from sparserec_np.kernels.workers import Workers

Ids = NDArray[np.int64] | list[str]
"""Distinct ids, ascending."""

_PART = 1 << 16  # rows that are sorted at a time: they and their order fit into the cache
_COLUMNS = ("users", "items", "weights", "times")

NO_WEIGHT = "weight 0"
"""Why a pair without weight is dropped."""


@dataclass
class Rows:
    """Rows of users and items by number, column by column.

    The arrays are its own: every step works in place or on two columns at a time, so that of the longest
    arrays there are two copies too many at most.

    Attributes
    ----------
    users, items : ndarray of int32
        For each row, the number of its id.
    weights : ndarray of float32 or None
        Weights, where they are given.
    times : ndarray of float64 or None
        Times, where they are given.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    weights: NDArray[np.float32] | None = None
    times: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return self.users.size

    def take(self, which: NDArray[np.signedinteger] | NDArray[np.bool_]) -> None:
        """Keep the rows that a mask or an order names."""
        self.users = self.users[which]
        self.items = self.items[which]
        if self.weights is not None:
            self.weights = self.weights[which]
        if self.times is not None:
            self.times = self.times[which]

    def sort(self, n_users: int, n_items: int) -> NDArray[np.int64]:
        """Sort by user, then item; rows of one pair stay in their order. The users are used up.

        Returns
        -------
        ndarray of int64, shape (n_users + 1,)
            Where each user's rows start.
        """
        indptr = _starts(self.users, n_users)
        # Parts of as many rows as there are items, so that counting these costs no more than the rows do.
        cuts = np.array([0, *(stop for _, stop in user_blocks(indptr, max(_PART, n_items)))], np.int64)
        n_parts = len(cuts) - 1
        if n_parts > 1:
            kind = np.uint16 if n_parts <= np.iinfo(np.uint16).max else np.int32
            part_of = np.repeat(np.arange(n_parts, dtype=kind), np.diff(cuts))[self.users]
            with ThreadPoolExecutor(2) as pool:  # the kernels release the interpreter
                list(pool.map(self._deal_out, _COLUMNS, [part_of] * 4, [indptr[cuts]] * 4))
        with Workers() as workers:
            workers.run(
                sort_parts, n_parts, cuts, indptr, n_items,
                self.users, self.items, *self._values(), min_share=1,
            )  # fmt: skip
        self.users = self.users[:0]
        return indptr

    def merge(self, indptr: NDArray[np.int64]) -> tuple[int, int]:
        """Merge sorted rows of the same pair: sum the weights, keep the latest time; drop those of weight 0.

        Returns
        -------
        merged, without_weight : int
            How many rows went into an earlier one, and how many pairs had no weight.
        """
        n = self.items.size
        kept, without_weight = merge_rows(indptr, self.items, *self._values())
        if kept < n:
            self.items = self.items[:kept].copy()
            self.weights = None if self.weights is None else self.weights[:kept].copy()
            self.times = None if self.times is None else self.times[:kept].copy()
        return n - kept - without_weight, without_weight

    def _deal_out(self, name: str, part_of: NDArray[Any], starts: NDArray[np.int64]) -> None:
        column = getattr(self, name)
        if column is not None:
            out = np.empty_like(column)
            deal_out(part_of, column, starts.copy(), out)
            setattr(self, name, out)

    def _values(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        weights = np.empty(0, np.float32) if self.weights is None else self.weights
        return weights, np.empty(0, np.float64) if self.times is None else self.times


class Pairs(NamedTuple):
    """Distinct pairs as a matrix, and how they came about.

    Attributes
    ----------
    user_items : csr_array of float32
        Users in rows; in canonical format, without zeros.
    user_ids, item_ids : ndarray of int64 or list of str
        Ids of its rows and columns; each occurs.
    times : ndarray of float64 or None
        Aligned with its data.
    dropped : dict of str to int
        How many rows were dropped, by reason.
    merged : int
        How many rows went into an earlier one.
    """

    user_items: sp.csr_array
    user_ids: Ids
    item_ids: Ids
    times: NDArray[np.float64] | None
    dropped: dict[str, int]
    merged: int


def make_pairs(rows: Rows, user_ids: Ids, item_ids: Ids, min_rating: float | None, source: str) -> Pairs:
    """Drop rows, merge those of the same pair, and leave out the ids that nothing is left of.

    Parameters
    ----------
    rows : Rows
        Used up.
    user_ids, item_ids : ndarray of int64 or list of str
        The ids that the numbers in `rows` stand for; each occurs.
    min_rating : float or None
        Keep only rows rated at least so high, and forget the ratings.
    source : str
        What messages call the rows.

    Returns
    -------
    Pairs

    Raises
    ------
    DataError
        If nothing is left.
    SettingError
        If `min_rating` is given where there are no ratings.
    """
    dropped: dict[str, int] = {}
    if min_rating is not None:
        n_low = _drop_low(rows, min_rating, source)
        if n_low:
            dropped[f"rating below {min_rating:g}"] = n_low
    indptr = rows.sort(len(user_ids), len(item_ids))
    merged, without_weight = rows.merge(indptr)
    if without_weight:
        if not rows.items.size:
            raise all_zero(source)
        dropped[NO_WEIGHT] = without_weight
    if dropped:
        kept = np.diff(indptr) > 0
        user_ids, indptr = chosen_ids(user_ids, kept), np.append(0, indptr[1:][kept])
        rows.items, item_ids = _leave_out_absent(rows.items, item_ids)
    data = np.ones(rows.items.size, dtype=np.float32) if rows.weights is None else rows.weights
    user_items = canonical_csr(data, rows.items, indptr, (len(user_ids), len(item_ids)))
    return Pairs(user_items, user_ids, item_ids, rows.times, dropped, merged)


def canonical_csr(
    data: NDArray[np.float32],
    indices: NDArray[np.signedinteger],
    indptr: NDArray[np.signedinteger],
    shape: tuple[int, int],
) -> sp.csr_array:
    """Return the matrix of arrays that are sorted and distinct already; int32 indices where they fit."""
    fits = max(data.size, *shape) <= np.iinfo(np.int32).max
    kind = np.int32 if fits else np.int64
    arrays: Any = (data, indices.astype(kind, copy=False), indptr.astype(kind, copy=False))
    user_items = sp.csr_array(arrays, shape=shape)
    user_items.has_canonical_format = True
    return user_items


def stable_order(codes: NDArray[np.int32], n_codes: int) -> NDArray[np.signedinteger]:
    """Return what ``numpy.argsort(codes, kind="stable")`` does, by counting: for codes below `n_codes`.

    SciPy's CSR to CSC conversion is a counting sort, several times as fast as sorting by comparison.
    """
    kind = np.int32 if codes.size <= np.iinfo(np.int32).max else np.int64
    arrays: Any = (np.ones(codes.size, dtype=np.int8), codes, np.arange(codes.size + 1, dtype=kind))
    return sp.csr_array(arrays, shape=(codes.size, n_codes)).tocsc().indices


def _drop_low(rows: Rows, min_rating: float, source: str) -> int:
    if rows.weights is None:
        raise no_ratings(min_rating, source)
    # In the ratings' own precision: a 3.7 that was read is not below 3.7.
    keep = rows.weights >= np.float32(min_rating)
    n_low = keep.size - int(np.count_nonzero(keep))
    if n_low == keep.size:
        raise all_low(n_low, float(rows.weights.max()), min_rating, source)
    rows.weights = None
    if n_low:
        rows.take(keep)
    return n_low


def no_ratings(min_rating: float, source: str) -> SettingError:
    """Say that ratings are asked for where there are none."""
    return SettingError(
        f"min_rating is {min_rating:g}, but {source} has no ratings; leave min_rating out, or say which "
        "column is the weight"
    )


def all_low(n_low: int, highest: float, min_rating: float, source: str) -> DataError:
    """Say that no rating is high enough."""
    return DataError(
        f"{source}: all {n_low} ratings are below {min_rating:g}, the highest is {highest:g}; "
        "expected some at least so high; lower min_rating"
    )


def all_zero(source: str) -> DataError:
    """Say that no weight is above 0."""
    return DataError(f"{source}: all weights are 0; expected some above; correct them, or leave them out")


def _leave_out_absent(codes: NDArray[np.int32], ids: Ids) -> tuple[NDArray[np.int32], Ids]:
    present = np.zeros(len(ids), dtype=np.bool_)
    present[codes] = True
    if present.all():
        return codes, ids
    rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return rank[codes], chosen_ids(ids, present)


def chosen_ids(ids: Ids, chosen: NDArray[np.bool_]) -> Ids:
    """Return the ids that a mask names."""
    return ids[chosen] if isinstance(ids, np.ndarray) else list(compress(ids, chosen.tolist()))


def _starts(codes: NDArray[np.int32], n_codes: int) -> NDArray[np.int64]:
    starts = np.zeros(n_codes + 1, np.int64)
    count_codes(codes, starts)
    return starts
