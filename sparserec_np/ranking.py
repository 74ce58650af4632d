"""The best k items of many users, exactly, a block of users at a time.

Users are dense vectors while they are ranked, many at once, and go through the item table together: each
stored entry of it is read once for all of them. The scores have the bits of `sparserec_np.runtime`, so that
the lists are those of `Recommender.recommend`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sparserec_np.errors import DataError, SettingError
from sparserec_np.kernels.ranking import LANES, measure_rows, rank_rows, spread_rows
from sparserec_np.kernels.workers import Workers
from sparserec_np.matrices import as_csr, check_rows
from sparserec_np.runtime.topk import tie_keys
from sparserec_np.tables import SparseTable, column_dtype

# A block of users holds at most so many numbers, of their vectors and of their lists,
_BLOCK_ENTRIES = 1 << 22
# and takes so many operations: about half a second, after which Ctrl-C is heard and progress shown.
_BLOCK_OPERATIONS = 2 << 30

# One item in so many is looked at first.
_LIKELY_SHARE = 16

Represent = Callable[[NDArray[np.int64]], sparse.csr_array]
"""Makes the embeddings of users, by row, where they are not simply rows of a table: CSR (n, dim)."""

Added = Callable[[NDArray[np.int64], Workers], NDArray[np.float32]]
"""Makes what is added to all scores of users, by row: float32 (n, n_items)."""


@dataclass(frozen=True)
class Ranking:
    """The top k of some users, best first.

    Attributes
    ----------
    rows : (n,) int64
        The users' row numbers.
    ids : (n, k) int32
        Item rows; only the first ``counts[i]`` of row ``i`` are in use, the rest hold -1.
    counts : (n,) int64
        How many items qualified, at most k.
    scores : (n, k) float32
        The items' scores; NaN where ``ids`` is -1.
    """

    rows: NDArray[np.int64]
    ids: NDArray[np.int32]
    counts: NDArray[np.int64]
    scores: NDArray[np.float32]


class Ranker:
    """An item table, made ready to be ranked for many people.

    Parameters
    ----------
    indptr, columns, values : (n_items + 1,) int, (nnz,) int, (nnz,) float32
        The table as CSR, columns rising within each row.
    dim : int
        Its width.
    item_bias : (n_items,) float, optional
        Added to everybody's scores.
    popularity : (n_items,) int or float, optional
        Of equal scores, the item of the larger one comes first, then that of the lower row.
    """

    def __init__(
        self,
        indptr: NDArray[Any],
        columns: NDArray[Any],
        values: NDArray[Any],
        dim: int,
        item_bias: ArrayLike | None = None,
        popularity: ArrayLike | None = None,
    ) -> None:
        # The one dtype each that the kernels are compiled for, but for tables wider than any model's.
        self.table = (
            np.asarray(indptr, np.int64),
            np.asarray(columns, column_dtype(dim)),
            np.asarray(values, np.float32),
        )
        self.dim = dim
        self.n_items = len(indptr) - 1
        self._bias = (
            np.zeros(self.n_items, np.float32) if item_bias is None else np.asarray(item_bias, np.float32)
        )
        if self._bias.shape != (self.n_items,):
            raise DataError(
                f"item_bias has shape {self._bias.shape}; expected one number per item, ({self.n_items},)"
            )

        self._keys = (
            np.zeros(self.n_items, np.int64) if popularity is None else _keys(popularity, self.n_items)
        )

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        """Length of each item's row, and a little more: what rounding can add to a score in float32."""
        indptr, _, values = self.table
        bounds = np.empty(self.n_items, np.float64)
        measure_rows(indptr, values, bounds)
        bounds *= 1 + (np.diff(indptr) + 4) * float(np.finfo(np.float32).eps)
        return bounds

    def _likely(self, k: int) -> NDArray[np.int32]:
        """Items of long rows or large bias, of which many are among somebody's best."""
        n = self.n_items // _LIKELY_SHARE
        if n < 8 * k:
            return np.empty(0, np.int32)
        worth = self._bounds + self._bias
        return np.sort(np.argpartition(-worth, n)[:n]).astype(np.int32)

    def block_size(self, k: int, n_jobs: int, adds: bool = False) -> int:
        """Users to rank at a time: enough to keep all threads busy, few enough to hold.

        With `adds`, a number is held for each item, too.
        """
        held = _BLOCK_ENTRIES // max(self.dim, k, self.n_items if adds else 1)
        done = _BLOCK_OPERATIONS // max(len(self.table[1]) + 4 * self.n_items, 1) * n_jobs
        group = LANES * n_jobs
        return max(group, min(held, done, 8192) // group * group)

    def rank(
        self,
        people: NDArray[np.float32],
        k: int,
        rows: NDArray[np.int64],
        exclude: tuple[NDArray[np.int64], NDArray[np.int32]],
        workers: Workers,
        base: NDArray[np.float32] | None = None,
        added: NDArray[np.float32] | None = None,
    ) -> Ranking:
        """Rank all items for some people.

        Parameters
        ----------
        people : (n, dim) float32
            Their vectors.
        k : int
            Length of the lists, at least 1.
        rows : (n,) int64
            Their rows in `exclude`.
        exclude : (n_rows + 1,) int64, (m,) int32
            Row pointers and item rows, rising within each row, of what is no candidate.
        workers : Workers
            The result does not depend on their number.
        base : (n,) float32, optional
            Added to all scores of a person.
        added : (n, n_items) float32, optional
            Added to the scores.
        """
        n, k = len(people), min(k, self.n_items)
        ids = np.full((n, k), -1, np.int32)
        scores = np.full((n, k), np.nan, np.float32)
        counts = np.zeros(n, np.int64)
        if not n or not k:
            return Ranking(rows, ids, counts, scores)
        base = np.zeros(n, np.float32) if base is None else base
        lengths = np.sqrt(np.einsum("ij,ij->i", people, people, dtype=np.float64))
        # A score's bound is that of the dot product, where nothing is added to it.
        is_dot = added is None and not self._bias.any() and not base.any()
        bounds = self._bounds if is_dot else np.full(self.n_items, np.inf)
        added = np.empty((0, 0), np.float32) if added is None else added

        def run(items: NDArray[np.int32], order: NDArray[np.int64], floors: NDArray[np.float32]) -> None:
            who = (order, people, lengths, base, floors, rows, *exclude)
            what = (items, *self.table, self._bias, self._keys, bounds, added)
            workers.run(rank_rows, -(-n // LANES), *who, *what, ids, scores, counts, min_share=1)

        floors, order = np.full(n, np.nan, np.float32), np.arange(n)
        likely = self._likely(k)
        if len(likely):
            # No list can end worse than the best of some items. Who is hard to please by long rows alone
            # forms groups with others who are, so that most items are passed over for most groups.
            run(likely, order, floors)
            full = counts == k
            floors[full] = np.nextafter(scores[full, -1], np.float32(-np.inf))
            floors[np.isneginf(floors)] = np.nan
            with np.errstate(divide="ignore", invalid="ignore"):
                order = np.argsort(floors / lengths, kind="stable")
        run(np.arange(self.n_items, dtype=np.int32), order, floors)
        return Ranking(rows, ids, counts, scores)


def rank(
    users: Any,
    items: Any,
    k: int,
    *,
    exclude: Any = None,
    rows: ArrayLike | None = None,
    item_bias: ArrayLike | None = None,
    popularity: ArrayLike | None = None,
    added: Added | None = None,
    n_jobs: int | None = None,
) -> Ranking:
    """Rank all items for every user and keep the best k.

    Parameters
    ----------
    users : CSR array (n_users, dim), float32
        Embedding table of the users.
    items : CSR array (n_items, dim), float32
        Embedding table of the items.
    k : int
        Length of the lists, ≥ 1.
    exclude : CSR array (n_users, n_items), optional
        Items that are no candidates for a user: those of the stored entries, whatever their value.
    rows : (n,) int, optional
        Which users, by row; all of them by default.
    item_bias : (n_items,) float, optional
        Added to every user's scores.
    popularity : (n_items,) int or float, optional
        Interactions of each item; by default how many users have it in ``exclude``.
    added : callable, optional
        ``added(rows, workers)`` returns what is added to the scores of users, by their row numbers: float32
        of shape (len(rows), n_items). It is called for a block of users at a time.
    n_jobs : int, optional
        Threads; None or -1 for one per core. The result does not depend on it.

    Returns
    -------
    Ranking
        Of the users in ``rows``, in that order. Of items of equal score, the more popular come first, then
        those of lower rows; an item whose score is NaN is not ranked.

    Raises
    ------
    DataError
        The shapes do not fit each other, or a row number is out of range.
    SettingError
        ``k`` is below 1.
    """
    blocks = list(
        rank_blocks(
            users,
            items,
            k,
            exclude=exclude,
            rows=rows,
            item_bias=item_bias,
            popularity=popularity,
            added=added,
            n_jobs=n_jobs,
        )
    )
    return Ranking(
        *(
            np.concatenate([getattr(block, part) for block in blocks])
            for part in ("rows", "ids", "counts", "scores")
        )
    )


def rank_blocks(
    users: Any,
    items: Any,
    k: int,
    *,
    exclude: Any = None,
    rows: ArrayLike | None = None,
    item_bias: ArrayLike | None = None,
    popularity: ArrayLike | None = None,
    added: Added | None = None,
    n_jobs: int | None = None,
) -> Iterator[Ranking]:
    """Rank as :func:`rank` does, a block of users at a time; at least one block, be it empty.

    ``users`` may also be what makes their embeddings, block by block, of their row numbers; then ``exclude``
    is needed, which tells how many there are. And ``items`` may be a `SparseTable`.
    """
    if isinstance(items, SparseTable):
        items.check()
    else:
        items = as_csr(items, "items")
    n_items, dim = items.shape
    represent: Represent | None = users if callable(users) else None
    if represent is None:
        users = as_csr(users, "users")
        if users.shape[1] != dim:
            raise DataError(
                f"users have dim {users.shape[1]}, items have dim {dim}; both tables must come from one model"
            )
    n_users = (exclude if represent is not None else users).shape[0]
    if k < 1:
        raise SettingError(f"k is {k}; a ranking needs k of at least 1")
    exclude = as_csr(
        sparse.csr_array((n_users, n_items), dtype=np.float32) if exclude is None else exclude,
        "exclude",
        (n_users, n_items),
    )
    if popularity is None:
        popularity = np.bincount(exclude.indices, minlength=n_items)
    wanted = np.arange(n_users) if rows is None else check_rows(rows, "rows", n_users)

    ranker = Ranker(items.indptr, items.indices, items.data, dim, item_bias, popularity)
    without = np.asarray(exclude.indptr, np.int64), np.asarray(exclude.indices, np.int32)
    with Workers(n_jobs) as workers:
        block = ranker.block_size(k, workers.n_jobs, added is not None)
        for start in range(0, max(1, len(wanted)), block):
            part = wanted[start : start + block]
            table, places = users, part
            if represent is not None:
                table = as_csr(represent(part), "the embeddings of a block of users", (len(part), dim))
                places = np.arange(len(part))
            more = None if added is None else added(part, workers)
            ranking = ranker.rank(spread(table, places, workers), k, part, without, workers, added=more)
            yield _padded(ranking, k)


def spread(table: Any, rows: NDArray[np.int64], workers: Workers) -> NDArray[np.float32]:
    """Copy some rows of a CSR table into a dense array, (len(rows), dim) float32."""
    people = np.zeros((len(rows), table.shape[1]), np.float32)
    arrays = (
        np.asarray(table.indptr, np.int64),
        np.asarray(table.indices, np.int32),
        np.asarray(table.data, np.float32),
    )
    workers.run(spread_rows, len(rows), rows, *arrays, people)
    return people


def _keys(popularity: ArrayLike, n_items: int) -> NDArray[np.int64]:
    """Check popularity, and return integers in its order."""
    counts = np.asarray(popularity)
    if counts.shape != (n_items,) or counts.dtype.kind not in "biuf" or not np.all(counts >= 0):
        raise DataError(
            f"popularity is {counts.dtype} of shape {counts.shape}; "
            f"expected one number of 0 or more per item, ({n_items},)"
        )
    if counts.dtype.kind == "f":
        # Places in their order: exact whatever the floats are.
        counts = np.unique(counts, return_inverse=True)[1].reshape(n_items)
    return tie_keys(counts)


def _padded(ranking: Ranking, k: int) -> Ranking:
    """Give every list k slots, also where there are fewer items."""
    missing = k - ranking.ids.shape[1]
    if missing <= 0:
        return ranking
    ids = np.pad(ranking.ids, ((0, 0), (0, missing)), constant_values=-1)
    scores = np.pad(ranking.scores, ((0, 0), (0, missing)), constant_values=np.nan)
    return Ranking(ranking.rows, ids, ranking.counts, scores)
