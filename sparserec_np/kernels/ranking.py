"""The k best items for many users: sparse scores, exclusion and an exact top-k in one pass over the items."""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 64
"""Users that go through the items together: an entry of the item table is read once for all of them."""


@njit(cache=True, nogil=True)
def _sift_down(scores, ids, root, size):
    """Restore the heap below ``root``: its worst entry (lowest score, then highest id) on top."""
    score, id_ = scores[root], ids[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            scores[right] < scores[child] or (scores[right] == scores[child] and ids[right] > ids[child])
        ):
            child = right
        if score < scores[child] or (score == scores[child] and id_ > ids[child]):
            break
        scores[root], ids[root] = scores[child], ids[child]
        root = child
    scores[root], ids[root] = score, id_


@njit(cache=True, nogil=True)
def _keep(score, item, scores, ids, size):
    """Keep an item that is better than the worst that is kept; return how many are kept.

    Until ``scores`` is full there is no order in it; then it becomes a heap.
    """
    if size < len(scores):
        scores[size], ids[size] = score, item
        size += 1
        if size == len(scores):
            for root in range(size // 2 - 1, -1, -1):
                _sift_down(scores, ids, root, size)
        return size
    scores[0], ids[0] = score, item
    _sift_down(scores, ids, 0, size)
    return size


@njit(cache=True, nogil=True)
def _put_in_order(scores, ids, size):
    """Put what `_keep` kept in order, best first."""
    if size < len(scores):
        for root in range(size // 2 - 1, -1, -1):
            _sift_down(scores, ids, root, size)
    for last in range(size - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        ids[0], ids[last] = ids[last], ids[0]
        _sift_down(scores, ids, 0, last)


@njit(cache=True, nogil=True)
def rank_rows(
    start,
    stop,
    people,
    item_indptr,
    item_columns,
    item_values,
    item_bias,
    base,
    rows,
    exclude_indptr,
    exclude_items,
    ids,
    scores,
    counts,
):
    """Write the best items of the people ``LANES * start`` to ``LANES * stop`` - 1, best first.

    A score is summed in float32 in the ascending order of the columns, then the item's bias, then the
    person's base, and without fused multiply-adds, so that NumPy doing ``scores[item_rows] += value *
    item_values`` column by column gets the same bits: a column that a person does not have adds 0.

    Parameters
    ----------
    start, stop : int
        The part of the people to work on, in groups of ``LANES``; the last one may be smaller.
    people : (n, dim) float32
        Their vectors.
    item_indptr, item_columns, item_values : (n_items + 1,) int64, (nnz,) int32, (nnz,) float32
        Item table as CSR, columns ascending within a row; finite, or an item is nobody's candidate.
    item_bias : (n_items,) float32
        Added to everybody's scores; zeros where the model has none.
    base : (n,) float32
        Added to all scores of a person.
    rows : (n,) int64
        Rows of ``exclude``.
    exclude_indptr, exclude_items : (n_rows + 1,) int64, (m,) int32
        For every row the items that are no candidates, as CSR, ascending within a row.
    ids : (n, k) int32
        Written: item rows; ties go to the lower row.
    scores : (n, k) float32
        Written: their scores. An item whose score is NaN is no candidate.
    counts : (n,) int64
        Written: how many of the k slots are in use. The slots behind are left as they were.
    """
    dim, n_items, k = people.shape[1], len(item_bias), ids.shape[1]
    columns = np.zeros((dim, LANES), np.float32)
    lanes = np.empty(LANES, np.float32)
    # What an item's score must not lie at or below; NaN, which nothing lies at, for a list that is not full.
    threshold = np.empty(LANES, np.float32)
    bases = np.zeros(LANES, np.float32)
    next_excluded = np.zeros(LANES, np.int64)
    for first in range(LANES * start, min(LANES * stop, len(people)), LANES):
        n = min(LANES, len(people) - first)
        threshold[:n], threshold[n:] = np.nan, np.inf
        for lane in range(n):
            for column in range(dim):
                columns[column, lane] = people[first + lane, column]
            bases[lane] = base[first + lane]
            next_excluded[lane] = exclude_indptr[rows[first + lane]]
            counts[first + lane] = 0
        for item in range(n_items):
            lanes[:] = 0
            for entry in range(item_indptr[item], item_indptr[item + 1]):
                column, value = item_columns[entry], item_values[entry]
                for lane in range(LANES):
                    lanes[lane] += value * columns[column, lane]
            bias, n_above = item_bias[item], 0
            for lane in range(LANES):
                lanes[lane] = (lanes[lane] + bias) + bases[lane]
                n_above += not lanes[lane] <= threshold[lane]
            if n_above == 0:
                continue
            for lane in range(n):
                # Items come in ascending order, so that one that only equals the worst kept is worse.
                if lanes[lane] <= threshold[lane] or np.isnan(lanes[lane]):
                    continue
                person = first + lane
                entry, end = next_excluded[lane], exclude_indptr[rows[person] + 1]
                while entry < end and exclude_items[entry] < item:
                    entry += 1
                next_excluded[lane] = entry
                if entry < end and exclude_items[entry] == item:
                    continue
                counts[person] = _keep(lanes[lane], item, scores[person], ids[person], counts[person])
                if counts[person] == k:
                    threshold[lane] = scores[person, 0]
        for lane in range(n):
            _put_in_order(scores[first + lane], ids[first + lane], counts[first + lane])


@njit(cache=True, nogil=True)
def spread_rows(start, stop, rows, indptr, columns, values, out):
    """Write the table rows ``rows[start:stop]`` into ``out``, (n, dim) float32 of zeros."""
    for position in range(start, stop):
        for entry in range(indptr[rows[position]], indptr[rows[position] + 1]):
            out[position, columns[entry]] = values[entry]


@njit(cache=True, nogil=True)
def sum_histories(
    start, stop, starts, ends, history, shares, factors, item_indptr, item_columns, item_values, out
):
    """Write into ``out``, (n, dim) float32, the sums of the item rows in the histories ``start`` to ``stop``.

    History ``h`` is ``history[starts[h]:ends[h]]`` and counts ``factors[h]``, an item in it ``shares[item]``;
    the sums are float64, as are these.
    """
    total = np.empty(out.shape[1], np.float64)
    for h in range(start, stop):
        total[:] = 0
        for entry in range(starts[h], ends[h]):
            item = history[entry]
            share = shares[item] * factors[h]
            for stored in range(item_indptr[item], item_indptr[item + 1]):
                total[item_columns[stored]] += share * item_values[stored]
        for column in range(len(total)):
            out[h, column] = np.float32(total[column])
