"""Starting tables that are too large to be held dense: factorise a core, fold the others in block by block.

The most frequent users and items make the core, which is factorised as a whole. Every user is then
described by the core items of their history, and every item by the stored entries of its users; what is not
stored takes its part of an item away, which the ways to start make good for. The dense rows of a block live
until the strongest of their entries are taken; the blocks are gone through twice, first to count how strong
their entries are and then to take them, so that nothing but the table is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.exploration.selection import largest
from sparserec_np.exploration.tall import Floats
from sparserec_np.kernels.embedding import combine_rows
from sparserec_np.kernels.pairs import deal_out
from sparserec_np.kernels.replacing import close_gaps
from sparserec_np.kernels.workers import Workers
from sparserec_np.released import release_memory
from sparserec_np.tables import SparseTable, column_dtype, index_dtype, unsigned

#: Numbers in both dense tables up to which they are made whole.
DENSE_LIMIT = 1 << 26
#: Numbers in the dense factors of the core.
CORE_SIZE = 1 << 23
#: Numbers in the dense rows of a block.
BLOCK_SIZE = 1 << 19

# Makes the values of the rows start to stop, and how much each entry matters; both (stop - start, dim).
Offer = Callable[[int, int], tuple[Floats, Floats]]

# Scores are counted by the upper half of their bits: of non-negative numbers these rise with the number.
_N_BINS = 1 << 16


def is_large(shape: tuple[int, int], dim: int) -> bool:
    """Whether the dense tables of so many users and items would be too large."""
    return sum(shape) * dim > DENSE_LIMIT


def blocks_of(n_rows: int, dim: int) -> list[tuple[int, int]]:
    """Cut rows into blocks of at most `BLOCK_SIZE` numbers, or one row."""
    step = max(1, BLOCK_SIZE // dim)
    return [(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def strongest_table(
    offer: Offer, shape: tuple[int, int], n: int, needed: npt.NDArray[np.bool_], rng: np.random.Generator
) -> SparseTable:
    """Make a table of the ``n`` strongest entries that blocks of rows offer.

    What `sparserec_np.exploration.masks.strongest_entries` does, for scores that are never all there at
    once: memory is that of the table and of a block.

    Parameters
    ----------
    offer : callable
        ``offer(start, stop) -> (values, scores)``, two float32 arrays (stop - start, dim) that may be
        overwritten, the scores non-negative; called twice for every block and the same both times.
    shape : (int, int)
        Rows and width of the table.
    n : int
        How many, 0 … n_rows · dim.
    needed : bool array (n_rows,)
        Rows that get their strongest entry first, while that can be.
    rng : numpy.random.Generator
        Chooses among the zeros where the positive scores do not suffice.

    Returns
    -------
    SparseTable
        Exactly ``n`` entries, with the values offered. Of equal scores those that stand first.
    """
    release_memory()
    n_rows, dim = shape
    blocks = blocks_of(n_rows, dim)
    strength = np.zeros(_N_BINS, dtype=np.int64)
    n_positive = np.zeros(len(blocks), dtype=np.int64)
    best_column = np.empty(n_rows, dtype=np.int32)
    best_score = np.empty(n_rows, dtype=np.float32)
    for b, (start, stop) in enumerate(blocks):
        _, scores = offer(start, stop)
        column = scores.argmax(axis=1)
        here = np.arange(stop - start)
        best_column[start:stop], best_score[start:stop] = column, scores[here, column]
        wanted = here[needed[start:stop]]
        scores[wanted, column[wanted]] = np.inf
        counts = np.bincount(_bins(scores), minlength=_N_BINS)
        strength += counts
        n_positive[b] = counts[1:].sum()
    silent = np.flatnonzero(needed & (best_score == 0))
    best_column[silent] = rng.integers(dim, size=len(silent))

    first = needed
    if n < np.count_nonzero(needed):
        # Not enough for all: the strongest of the first entries, and no others.
        rows = np.flatnonzero(needed)
        first = np.zeros(n_rows, dtype=bool)
        first[rows[largest(best_score[rows], n)]] = True
    # The bin that the n-th strongest entry is in; bin 0 holds the zeros.
    above = np.cumsum(strength[::-1])[::-1]
    limit = int(np.searchsorted(-above, -n, side="right")) - 1
    limit = max(limit, 0)
    n_zeros = np.array([(stop - start) * dim for start, stop in blocks]) - n_positive
    missing = n - n_positive.sum() if limit == 0 else 0
    fill = (
        rng.multivariate_hypergeometric(n_zeros, missing, method="marginals")
        if missing
        else np.zeros(len(blocks), dtype=np.int64)
    )
    room = n if limit == 0 or first is not needed else int(above[limit])
    index: Any = index_dtype(n_rows, dim, room)
    columns, data = np.empty(room, dtype=column_dtype(dim)), np.empty(room, dtype=np.float32)
    lengths = np.zeros(n_rows, dtype=index)
    doubtful: list[npt.NDArray[np.int64]] = []
    doubtful_scores: list[Floats] = []
    done = 0
    for b, (start, stop) in enumerate(blocks):
        values, scores = offer(start, stop)
        if first is not needed:
            scores.fill(0)
        wanted = np.flatnonzero(first[start:stop])
        scores[wanted, best_column[start + wanted]] = np.inf
        bins = _bins(scores)
        chosen = np.flatnonzero(bins >= max(limit, 1))
        if fill[b]:
            drawn = rng.choice(np.flatnonzero(bins == 0), fill[b], replace=False)
            chosen = np.sort(np.concatenate([chosen, drawn]))
        at = slice(done, done + len(chosen))
        columns[at] = chosen % dim
        data[at] = values.reshape(-1)[chosen]
        lengths[start:stop] = np.bincount(chosen // dim, minlength=stop - start)
        if limit and first is needed:
            last = np.flatnonzero(bins[chosen] == limit)
            doubtful.append(done + last)
            doubtful_scores.append(scores.reshape(-1)[chosen[last]])
        done += len(chosen)
    indptr = np.zeros(n_rows + 1, dtype=index)
    np.cumsum(lengths, out=indptr[1:])
    if done > n:
        places, scores = np.concatenate(doubtful), np.concatenate(doubtful_scores)
        stays = np.zeros(len(places), dtype=bool)
        stays[largest(scores, len(places) - (done - n))] = True
        out = places[~stays]
        keep = np.ones(done, dtype=bool)
        keep[out] = False
        for array in (columns, data):
            close_gaps(keep, array)
            array.resize(n, refcheck=False)  # in place; nothing else looks at it yet
        indptr -= np.searchsorted(out, indptr).astype(index)
    return SparseTable(indptr, columns, data, dim)


def _bins(scores: Floats) -> npt.NDArray[np.uint32]:
    """Tell the bin of each score, in the order of the flat array; 0 for 0 alone."""
    flat = scores.reshape(-1)
    bins = flat.view(np.uint32) >> np.uint32(16)
    # A number so small that its upper half is 0 counts as the smallest one above.
    bins[(bins == 0) & (flat > 0)] = 1
    return bins


class Core:
    """The most frequent users and items.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    dim : int
        Width of the factors, which have `CORE_SIZE` numbers together.

    Attributes
    ----------
    items : int64 array
        The core items, ascending.
    user_items : csr_array
        The core users' interactions with them.
    """

    def __init__(self, user_items: sparse.csr_array, dim: int) -> None:
        n = max(1, CORE_SIZE // dim // 2)
        users = largest(np.diff(user_items.indptr), n)
        self.items = largest(np.bincount(user_items.indices, minlength=user_items.shape[1]), n)
        self.user_items = user_items[users][:, self.items]
        self.user_items.sort_indices()


class UserBlocks:
    """What the histories of users sum up to, over the core items.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions.
    items : int array
        The core items.
    factors : float32 array (n_core_items, dim)
        A row for each of them.
    weights : float array (n_items,)
        How much each item of a history counts.
    """

    def __init__(
        self,
        user_items: sparse.csr_array,
        items: npt.NDArray[np.int64],
        factors: Floats,
        weights: npt.NDArray[Any],
    ) -> None:
        self._user_items, self._factors = user_items, factors
        self._place = np.full(user_items.shape[1], -1, dtype=np.int32)
        self._place[items] = np.arange(len(items), dtype=np.int32)
        self._weights = weights[items].astype(np.float32)

    def __call__(self, start: int, stop: int) -> Floats:
        """Sum up the histories of the users ``start`` to ``stop``; float32 (stop - start, dim)."""
        indptr = self._user_items.indptr[start : stop + 1]
        places = self._place[self._user_items.indices[indptr[0] : indptr[-1]]]
        known = places >= 0
        before = np.append(0, np.cumsum(known))
        places = places[known]
        histories = sparse.csr_array(
            (self._weights[places], places, before[indptr - indptr[0]]),
            shape=(stop - start, len(self._factors)),
        )
        return np.asarray(histories @ self._factors, dtype=np.float32)


class NeighbourBlocks:
    """What the neighbours of rows sum up to, by the stored entries of a table with a row for each neighbour.

    Parameters
    ----------
    indptr, neighbours : int arrays (n_rows + 1,), (nnz,)
        Row ``r`` has the neighbours ``neighbours[indptr[r]:indptr[r + 1]]``: a user the items of a history,
        an item the users who have it.
    table : SparseTable
        A row for each neighbour.
    weights : float array (table.n_rows,)
        How much each neighbour counts.
    workers : Workers
    """

    def __init__(
        self,
        indptr: npt.NDArray[Any],
        neighbours: npt.NDArray[Any],
        table: SparseTable,
        weights: npt.NDArray[Any],
        workers: Workers,
    ) -> None:
        self._indptr, self._neighbours = indptr, neighbours
        self._table, self._workers = table, workers
        self._weights = weights.astype(np.float32)

    def __call__(self, start: int, stop: int) -> Floats:
        """Sum up the neighbours of the rows ``start`` to ``stop``; float32 (stop - start, dim)."""
        indptr = self._indptr[start : stop + 1].astype(np.int64)
        neighbours = self._neighbours[indptr[0] : indptr[-1]].astype(np.int32)
        out = np.zeros((stop - start, self._table.dim), dtype=np.float32)
        self._workers.run(
            combine_rows, stop - start, *self._table.arrays,
            unsigned(indptr - indptr[0]), unsigned(neighbours), self._weights[neighbours], out,
        )  # fmt: skip
        return out

    def of(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Sum up the neighbours of some rows, ascending; float32 (len(rows), dim)."""
        dim = self._table.dim
        out = np.empty((len(rows), dim), dtype=np.float32)
        for start, stop in blocks_of(len(self._indptr) - 1, dim):
            first, last = np.searchsorted(rows, [start, stop])
            if first < last:
                out[first:last] = self(start, stop)[rows[first:last] - start]
        return out


def users_of_items(user_items: sparse.csr_array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """List the users of each item: row pointers (n_items + 1,) and users (nnz,), ascending for each."""
    n_users, n_items = user_items.shape
    indptr = np.zeros(n_items + 1, dtype=np.int64)
    np.cumsum(np.bincount(user_items.indices, minlength=n_items), out=indptr[1:])
    users = np.empty(user_items.nnz, dtype=np.int32)
    numbers = np.repeat(np.arange(n_users, dtype=np.int32), np.diff(user_items.indptr))
    deal_out(user_items.indices, numbers, indptr[:-1].copy(), users)
    return indptr, users


def table_gram(table: SparseTable) -> Floats:
    """Inner products of the columns of a table; float32 (dim, dim)."""
    total = np.zeros((table.dim, table.dim))
    rows = table.to_scipy()
    for start, stop in blocks_of(*table.shape):
        dense = rows[start:stop].toarray()
        total += dense.T @ dense
    return total.astype(np.float32)
