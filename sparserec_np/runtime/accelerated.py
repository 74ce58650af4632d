"""The column walk and the top-k as one kernel, for where numba is installed.

Nothing imports this module unasked. It takes blocks of rows one after the other through all columns of a
vector, so that the scores in work never leave the processor's first cache, and keeps the best of them. Where
each block begins within each column is found once for a table, and rows are numbered within their block: two
bytes an entry are read beside its value, and nothing is compared or checked on the way.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparserec_np.compilation import njit
from sparserec_np.errors import ModelFormatError
from sparserec_np.runtime.neighbour_kernel import KernelFilter
from sparserec_np.runtime.scoring import TableScorer, Vector
from sparserec_np.runtime.table_data import check_length
from sparserec_np.runtime.topk import tie_keys

# Rows to a block: their scores take half of a small first cache.
_BLOCK = 1 << 12
# Row numbers within a block take two bytes.
_LARGEST_BLOCK = 1 << 16
# Scores that are compared at once with the worst that is kept; a block has a multiple of them.
_LANES = 64
# Lists are kept sorted by insertion; for longer ones, NumPy's partition is the faster.
_LONGEST = 1000

_NOTHING, _NO_KEYS = np.empty(0, np.float32), np.empty(0, np.int64)
# Below it there is no finite score.
_LOWEST = np.finfo(np.float32).min


class Blocks(NamedTuple):
    """A table by column, its rows in blocks.

    Attributes
    ----------
    length : int
        Rows to a block; the last one may have fewer.
    starts : ndarray of intp, shape (dim, n_blocks + 1)
        Where each block begins among the entries of each column, and where the column ends.
    rows : ndarray of uint16, shape (nnz,)
        Row of each entry within its block, rising within block and column.
    values : ndarray of float32, shape (nnz,)
    """

    length: int
    starts: NDArray[np.intp]
    rows: NDArray[np.uint16]
    values: NDArray[np.float32]


class AcceleratedScorer(TableScorer):
    """A `TableScorer` of kernels: the same rows and scores, to the last bit, sooner."""

    neighbour_filter = KernelFilter

    @cached_property
    def blocks(self) -> Blocks:
        """The table, made ready for the kernel."""
        table = self.table
        # The kernel reads and writes wherever the numbers of an array point to.
        table.check("items")
        if self.bias is not None:
            check_length("item_bias", len(self.bias), table.n_rows)
        column_starts, rows, values = table.by_column
        length = _BLOCK
        # The starts of a wide table of few entries would take more than its entries.
        while length < _LARGEST_BLOCK and table.dim * (table.n_rows // length) > table.nnz:
            length *= 2
        bounds = np.arange(0, table.n_rows + length, length)
        starts = np.empty((table.dim, len(bounds)), np.intp)
        for column in range(table.dim):
            starts[column] = column_starts[column] + np.searchsorted(table.column(column)[0], bounds)
        return Blocks(length, starts, (rows & (length - 1)).astype(np.uint16), values)

    @cached_property
    def _tie_keys(self) -> NDArray[np.int64]:
        """What decides between equal scores: larger first."""
        return _NO_KEYS if self.popularity is None else tie_keys(self.popularity)

    def best(
        self,
        vector: Vector,
        k: int,
        excluded: NDArray[np.integer],
        candidates: NDArray[np.integer] | None = None,
    ) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """Find the rows of the k best scores; as `sparserec_np.runtime.topk.best_of`."""
        if candidates is not None or k > _LONGEST:
            return super().best(vector, k, excluded, candidates)
        k = min(k, self.table.n_rows)
        left_out = np.unique(excluded).astype(np.intp)
        if len(left_out) and not 0 <= left_out[0] <= left_out[-1] < self.table.n_rows:
            raise ModelFormatError(
                f"the seen items hold rows {left_out[0]} to {left_out[-1]}; expected 0 to "
                f"{self.table.n_rows - 1}"
            )
        best, scores = np.empty(k, np.intp), np.empty(k, np.float32)
        n_found = _best_rows(
            vector.columns.astype(np.intp),
            np.ascontiguousarray(vector.values),
            *self.blocks,
            _NOTHING if self.bias is None else self.bias,
            np.float32(vector.base),
            _NOTHING if vector.added is None else vector.added(),
            self._tie_keys,
            left_out,
            self.table.n_rows,
            best,
            scores,
        )
        return best[:n_found], scores[:n_found]


@njit(cache=True, nogil=True)
def _has_larger_key(keys, row, other):  # type: ignore[no-untyped-def]
    return len(keys) > 0 and keys[row] > keys[other]


@njit(cache=True, nogil=True)
def _best_rows(  # type: ignore[no-untyped-def]
    columns,
    values,
    length,
    starts,
    rows,
    stored,
    bias,
    base,
    added,
    keys,
    excluded,
    n_rows,
    best,
    best_scores,
):
    """Write the rows of the best scores, best first, and their scores; return how many.

    Parameters
    ----------
    columns, values : (n,) intp, (n,) float32
        Entries of the vector, columns rising: the order in which a score is summed.
    length, starts, rows, stored
        `Blocks` of the table.
    bias : (n_rows,) or (0,) float32
        Added to the scores, if there is one.
    base : float32
        Added to all scores, unless it is 0.
    added : (n_rows,) or (0,) float32
        Added to the scores after that, if there is anything.
    keys : (n_rows,) or (0,) int64
        Of equal scores, the row of the larger key comes first, then the lower row; the latter alone if there
        are no keys.
    excluded : (m,) intp
        Rows to leave out, rising.
    n_rows : int
    best, best_scores : (k,) intp, (k,) float32
        Written.
    """
    block = np.empty(length, np.float32)
    n_found, next_excluded = 0, 0
    threshold, full = np.float32(_LOWEST), False
    if len(best) == 0:
        return 0
    for number in range(starts.shape[1] - 1):
        begin = number * length
        end = min(begin + length, n_rows)
        block[:] = 0
        for position in range(len(columns)):
            column, value = columns[position], values[position]
            for entry in range(starts[column, number], starts[column, number + 1]):
                block[rows[entry]] += value * stored[entry]
        if len(bias):
            for row in range(begin, end):
                block[row - begin] += bias[row]
        if base != 0:
            for row in range(end - begin):
                block[row] += base
        if len(added):
            for row in range(begin, end):
                block[row - begin] += added[row]
        while next_excluded < len(excluded) and excluded[next_excluded] < end:
            block[excluded[next_excluded] - begin] = -np.inf
            next_excluded += 1
        for lane in range(0, end - begin, _LANES):
            # Of constant length, without a branch: many are compared by one instruction.
            lanes = block[lane : lane + _LANES]
            above = np.int32(0)
            for place in range(_LANES):
                above |= np.int32(lanes[place] >= threshold)
            if above == 0:
                continue
            lane_end = min(lane + _LANES, end - begin)
            # Rows rise, so that one that equals another in score and key comes after it.
            for row in range(lane, lane_end):
                score = block[row]
                if not score >= threshold:
                    continue
                if full and score == threshold and not _has_larger_key(keys, begin + row, best[n_found - 1]):
                    continue
                place = min(n_found, len(best) - 1)
                while place > 0 and best_scores[place - 1] < score:
                    best[place], best_scores[place] = best[place - 1], best_scores[place - 1]
                    place -= 1
                while (
                    place > 0
                    and best_scores[place - 1] == score
                    and _has_larger_key(keys, begin + row, best[place - 1])
                ):
                    best[place] = best[place - 1]
                    best_scores[place] = score
                    place -= 1
                best[place], best_scores[place] = begin + row, score
                n_found = min(n_found + 1, len(best))
                if n_found == len(best):
                    threshold, full = best_scores[n_found - 1], True
    return n_found
