"""From rows, as given, to pairs: one entry of a CSR matrix for each user and item that occur together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import compress, repeat
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from sparserec_np.data.codebook import Texts
from sparserec_np.data.folder import user_blocks
from sparserec_np.data.memory import mapped
from sparserec_np.errors import DataError, SettingError, shown
from sparserec_np.kernels.ids import look_up
from sparserec_np.kernels.pairs import count_codes, deal_out, merge_rows, sort_parts
from sparserec_np.kernels.workers import Background, Workers
from sparserec_np.runtime.ids import IdMap
from sparserec_np.runtime.str_ids import StrIds
from sparserec_np.runtime.table_data import MAX_WEIGHT

Ids = NDArray[np.int64] | list[str] | Texts
"""Distinct ids, ascending."""

_KINDS: tuple[type[Any], ...] = (
    np.float64,
    np.float32,
    np.int32,
    np.int32,
)  # of times, weights, users and items
_FULL = 0.9  # share of an array's memory that is used at the least
_PART = 1 << 16  # rows that are sorted at a time: they and their order fit into the cache

NO_WEIGHT = "weight 0"
"""Why a pair without weight is dropped."""


@dataclass
class Rows:
    """Rows of users and items by number, each column in chunks one behind the other.

    Every step uses the chunks up, and forgets each at once: memory that is new to a process costs it time.

    Attributes
    ----------
    users, items : list of ndarray of int32
        For each row, the number of its id.
    weights : list of ndarray of float32, or None
        Weights, where they are given.
    times : list of ndarray of float64 or int32, or None
        Times, where they are given.
    """

    users: list[NDArray[np.int32]]
    items: list[NDArray[np.int32]]
    weights: list[NDArray[np.float32]] | None = None
    times: list[NDArray[Any]] | None = None

    def take(self, which: NDArray[np.bool_]) -> None:
        """Keep the rows that a mask names."""
        self.users = [_whole(self.users)[which]]
        self.items = [_whole(self.items)[which]]
        if self.weights is not None:
            self.weights = [_whole(self.weights)[which]]
        if self.times is not None:
            self.times = [_whole(self.times)[which]]

    def sort(self, n_users: int, n_items: int) -> SortedRows:
        """Sort by user, then item; rows of one pair stay in their order. The rows are used up."""
        indptr = np.zeros(n_users + 1, np.int64)
        for chunk in self.users:
            count_codes(chunk, indptr[1:])
        np.cumsum(indptr, out=indptr)
        # Parts of as many rows as there are items, so that counting these costs no more than the rows do.
        cuts = np.array([0, *(stop for _, stop in user_blocks(indptr, max(_PART, n_items)))], np.int64)
        with Background(2) as pool:  # the kernels release the interpreter
            columns = (
                self._dealt_out(indptr, cuts, pool) if len(cuts) > 2 else map(_whole, self._columns(), _KINDS)
            )
            times, weights, users, items = columns
        with Workers() as workers:
            workers.run(
                sort_parts, len(cuts) - 1, cuts, indptr, n_items, users, items, weights, times, min_share=1
            )
        return SortedRows(
            indptr,
            items,
            None if self.weights is None else weights,
            None if self.times is None else times,
        )

    def _columns(self) -> tuple[list[NDArray[Any]], ...]:
        """Return the columns, the longest first; they are to become arrays of `_KINDS`."""
        no_times, no_weights = [np.empty(0, np.float64)], [np.empty(0, np.float32)]
        return self.times or no_times, self.weights or no_weights, self.users, self.items

    def _dealt_out(
        self, indptr: NDArray[np.int64], cuts: NDArray[np.int64], pool: Executor
    ) -> Iterable[NDArray[Any]]:
        """Return the columns, in each the rows of each part of neighbouring users together."""
        n_parts = len(cuts) - 1
        kind = np.uint16 if n_parts <= np.iinfo(np.uint16).max else np.int32
        part_of_user = np.repeat(np.arange(n_parts, dtype=kind), np.diff(cuts))
        part_of = mapped(int(indptr[-1]), kind)
        ends = np.cumsum([chunk.size for chunk in self.users])
        places = [part_of[end - chunk.size : end] for chunk, end in zip(self.users, ends, strict=True)]
        list(pool.map(look_up, self.users, repeat(0), repeat(part_of_user), places))
        return pool.map(_deal_out, self._columns(), _KINDS, repeat(part_of), repeat(indptr[cuts]))


@dataclass
class SortedRows:
    """Rows by user, then item; the arrays are its own, and nobody else's views.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_users + 1,)
        Where each user's rows start.
    items : ndarray of int32
        The number of each row's item.
    weights : ndarray of float32 or None
    times : ndarray of float64 or None
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    weights: NDArray[np.float32] | None
    times: NDArray[np.float64] | None

    def merge(self) -> tuple[int, int]:
        """Merge rows of the same pair: sum the weights, keep the latest time; drop those of weight 0.

        Returns
        -------
        merged, without_weight : int
            How many rows went into an earlier one, and how many pairs had no weight.
        """
        n = self.items.size
        weights = np.empty(0, np.float32) if self.weights is None else self.weights
        times = np.empty(0, np.float64) if self.times is None else self.times
        kept, without_weight = merge_rows(self.indptr, self.items, weights, times)
        self.items = _shortened(self.items, kept)
        self.weights = None if self.weights is None else _shortened(self.weights, kept)
        self.times = None if self.times is None else _shortened(self.times, kept)
        return n - kept - without_weight, without_weight

    def check_sums(self, user_ids: Ids, item_ids: Ids, source: str, first: int = 0) -> None:
        """Refuse a sum of weights that is too large, by its pair.

        Parameters
        ----------
        user_ids, item_ids : ndarray of int64, list of str or Texts
            The ids that users and items stand for.
        source : str
            What messages call the rows.
        first : int
            Place of the first user's id.

        Raises
        ------
        DataError
            If a weight is beyond `MAX_WEIGHT`.
        """
        if self.weights is None or self.weights.max(initial=0.0) <= MAX_WEIGHT:
            return
        at = int((self.weights > MAX_WEIGHT).argmax())
        user = int(np.searchsorted(self.indptr, at, side="right")) - 1 + first
        item = int(self.items[at])
        raise sum_too_large(
            id_map(user_ids, "user")[user], id_map(item_ids, "item")[item], float(self.weights[at]), source
        )


class Pairs(NamedTuple):
    """Distinct pairs as a matrix, and how they came about.

    Attributes
    ----------
    user_items : csr_array of float32
        Users in rows; in canonical format, without zeros.
    user_ids, item_ids : ndarray of int64, list of str or Texts
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
    user_ids, item_ids : ndarray of int64, list of str or Texts
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
    made = rows.sort(len(user_ids), len(item_ids))
    merged, without_weight = made.merge()
    made.check_sums(user_ids, item_ids, source)
    indptr = made.indptr
    if without_weight:
        if not made.items.size:
            raise all_zero(source)
        dropped[NO_WEIGHT] = without_weight
    if dropped:
        kept = np.diff(indptr) > 0
        user_ids, indptr = chosen_ids(user_ids, kept), np.append(0, indptr[1:][kept])
        made.items, item_ids = _leave_out_absent(made.items, item_ids)
    data = np.ones(made.items.size, dtype=np.float32) if made.weights is None else made.weights
    user_items = canonical_csr(data, made.items, indptr, (len(user_ids), len(item_ids)))
    return Pairs(user_items, user_ids, item_ids, made.times, dropped, merged)


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
    keep = np.concatenate([chunk >= np.float32(min_rating) for chunk in rows.weights])
    n_low = keep.size - int(np.count_nonzero(keep))
    if n_low == keep.size:
        highest = max(float(chunk.max()) for chunk in rows.weights)
        raise all_low(n_low, highest, min_rating, source)
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


def sum_too_large(user: object, item: object, weight: float, source: str) -> DataError:
    """Say that the weights of a pair add up to too much."""
    return DataError(
        f"{source}: found that the weights of user {shown(user)} and item {shown(item)} add up to "
        f"{weight:g}; expected at most {MAX_WEIGHT:g}; scale weights down, or remove repeated rows"
    )


def _leave_out_absent(codes: NDArray[np.int32], ids: Ids) -> tuple[NDArray[np.int32], Ids]:
    present = np.zeros(len(ids), dtype=np.bool_)
    present[codes] = True
    if present.all():
        return codes, ids
    rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return rank[codes], chosen_ids(ids, present)


def chosen_ids(ids: Ids, chosen: NDArray[np.bool_]) -> Ids:
    """Return the ids that a mask names."""
    if isinstance(ids, list):
        return list(compress(ids, chosen.tolist()))
    return ids.chosen(chosen) if isinstance(ids, Texts) else ids[chosen]


def id_map(ids: Ids, entity: str) -> IdMap:
    """Return the map of distinct ids that ascend."""
    if isinstance(ids, Texts):
        return StrIds(ids.content, ids.offsets, entity)
    return IdMap.from_ids(ids, entity=entity)


def _drained(chunks: list[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Walk chunks for the last time: each is forgotten once it was handed out."""
    chunks.reverse()
    while chunks:
        yield chunks.pop()


def _whole(chunks: list[NDArray[Any]], kind: type[Any] | None = None) -> NDArray[Any]:
    out = np.concatenate(chunks, dtype=kind)
    chunks.clear()
    return out


def _shortened(column: NDArray[Any], size: int) -> NDArray[Any]:
    """Return the first values: a view where little is left over, for a copy is memory new to the process."""
    return column[:size] if size >= _FULL * column.size else column[:size].copy()


def _deal_out(
    chunks: list[NDArray[Any]], kind: type[Any], part_of: NDArray[Any], starts: NDArray[np.int64]
) -> NDArray[Any]:
    """Return the values of chunks by the part of each row; the chunks are used up."""
    out = mapped(sum(chunk.size for chunk in chunks), kind)
    free, at = starts.copy(), 0
    for chunk in _drained(chunks):
        deal_out(part_of[at : at + chunk.size], chunk, free, out)
        at += chunk.size
    return out
