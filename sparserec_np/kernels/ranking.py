"""The k best items for many users: sparse scores, exclusion and an exact top-k in one pass per user."""

from __future__ import annotations

import numpy as np
from numba import njit


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
def top_k(candidates, scores, ids):
    """Write the best entries of ``candidates`` into ``scores`` and ``ids``, best first.

    Parameters
    ----------
    candidates : (n,) float32
        NaN marks an entry that is no candidate.
    scores : (k,) float32
        Written: the scores of the best entries.
    ids : (k,) int32
        Written: their positions in ``candidates``; of equal scores the lower position is the better.

    Returns
    -------
    int
        How many were written; fewer than k when fewer qualify. The rest is left as it was.
    """
    k = len(ids)
    size = 0
    row = 0
    while row < len(candidates) and size < k:
        if not np.isnan(candidates[row]):
            scores[size], ids[size] = candidates[row], row
            size += 1
        row += 1
    if size == 0:
        return 0
    for root in range(size // 2 - 1, -1, -1):
        _sift_down(scores, ids, root, size)
    # Rows come in ascending order, so one that only equals the worst kept is worse than it. A NaN is
    # greater than nothing.
    for row_left in range(row, len(candidates)):
        if candidates[row_left] > scores[0]:
            scores[0], ids[0] = candidates[row_left], row_left
            _sift_down(scores, ids, 0, size)
    for last in range(size - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        ids[0], ids[last] = ids[last], ids[0]
        _sift_down(scores, ids, 0, last)
    return size


@njit(cache=True, nogil=True)
def rank_rows(
    start,
    stop,
    rows,
    user_indptr,
    user_columns,
    user_values,
    item_indptr,
    item_rows,
    item_values,
    item_bias,
    exclude_indptr,
    exclude_items,
    ids,
    scores,
    counts,
):
    """Write the best items of the users ``rows[start:stop]``, best first.

    A score is summed in float32 in the ascending order of the user's stored columns, the bias last, and
    without fused multiply-adds, so that NumPy doing ``scores[item_rows] += value * item_values`` column by
    column gets the same bits.

    Parameters
    ----------
    start, stop : int
        The part of ``rows`` to work on.
    rows : (n,) int64
        User rows, in range.
    user_indptr, user_columns, user_values : (n_users + 1,) int64, (nnz,) int32, (nnz,) float32
        User table as CSR, columns ascending within a row.
    item_indptr, item_rows, item_values : (dim + 1,) int64, (nnz,) int32, (nnz,) float32
        Item table as CSC: for every column the rows that store it.
    item_bias : (n_items,) float32
        Added to every user's scores; zeros where the model has none.
    exclude_indptr, exclude_items : (n_users + 1,) int64, (m,) int32
        For every user row the items that are no candidates, as CSR in any order.
    ids : (n, k) int32
        Written: item rows; ties go to the lower row.
    scores : (n, k) float32
        Written: their scores.
    counts : (n,) int64
        Written: how many of the k slots are in use. The slots behind are left as they were.
    """
    buffer = np.empty(len(item_bias), np.float32)
    for position in range(start, stop):
        user = rows[position]
        buffer[:] = 0
        for entry in range(user_indptr[user], user_indptr[user + 1]):
            column, value = user_columns[entry], user_values[entry]
            for stored in range(item_indptr[column], item_indptr[column + 1]):
                buffer[item_rows[stored]] += value * item_values[stored]
        for item in range(len(buffer)):
            buffer[item] += item_bias[item]
        for entry in range(exclude_indptr[user], exclude_indptr[user + 1]):
            buffer[exclude_items[entry]] = np.nan
        counts[position] = top_k(buffer, scores[position], ids[position])
