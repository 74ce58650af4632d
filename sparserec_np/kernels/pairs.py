"""Rows of users and items brought into order, and those of the same pair merged."""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit

_u = np.uint64
_1 = np.uint64(1)


@njit(cache=True, nogil=True)
def count_codes(codes, counts):
    """Count the rows of each code, (n,) int, on top of what ``counts``, (n_codes,) int64, holds."""
    for code in codes:
        counts[code] += 1


@njit(cache=True, nogil=True)
def deal_out(codes, values, free, out):
    """Write the values of the rows by code, those of one code as they were.

    Parameters
    ----------
    codes : (n,) int
        Code of each row.
    values : (n,)
    free : (n_codes + 1,) int64
        Where each code's rows start; moved on.
    out : (n,)
        Written.
    """
    for row in range(len(codes)):
        code = codes[row]
        out[free[code]] = values[row]
        free[code] += 1


@njit(cache=True, nogil=True)
def sort_parts(start, stop, cuts, indptr, n_items, users, items, weights, times):
    """Sort the rows of each part of neighbouring users by user, then item, stably; in place.

    First by item and then by user, both by counting: where a part fits into the cache, so do the places that
    its rows are counted to.

    Parameters
    ----------
    start, stop : int
        The parts to sort.
    cuts : (n_parts + 1,) int64
        The users ``cuts[p]`` to ``cuts[p + 1]`` are part p, and their rows, fewer than 2**32, lie together.
    indptr : (n_users + 1,) int64
        Where each user's rows go.
    n_items : int
    users, items : (n,) int32
        Of each row. Those of the users stay as they are.
    weights, times : (n,) float32, float64; or (0,)
    """
    longest = np.int64(0)
    for part in range(start, stop):
        longest = max(longest, indptr[cuts[part + 1]] - indptr[cuts[part]])
    free_of_item = np.empty(n_items + 1, np.uint32)
    by_item, order = np.empty(longest, np.uint32), np.empty(longest, np.uint32)
    for part in range(start, stop):
        first = cuts[part]
        begin, end = indptr[first], indptr[cuts[part + 1]]
        n = _u(end - begin)
        part_users, part_items = users[begin:end], items[begin:end]
        free_of_item[:] = 0
        for row in range(n):
            free_of_item[_u(part_items[row]) + _1] += np.uint32(1)
        for item in range(_1, _u(n_items)):
            free_of_item[item] += free_of_item[item - _1]
        for row in range(n):
            code = _u(part_items[row])
            by_item[_u(free_of_item[code])] = row
            free_of_item[code] += np.uint32(1)
        free_of_user = (indptr[first : cuts[part + 1]] - begin).astype(np.uint32)
        before = part_items.copy()
        for place in range(n):
            now = _u(by_item[place])
            user = _u(part_users[now] - first)
            to = _u(free_of_user[user])
            free_of_user[user] += np.uint32(1)
            part_items[to] = before[now]
            order[to] = now
        _put_in_order(weights, begin, order[:n])
        _put_in_order(times, begin, order[:n])


@njit(cache=True, nogil=True)
def _put_in_order(values, begin, order):
    if len(values):
        part = values[begin : begin + len(order)]
        before = part.copy()
        for place in range(_u(len(order))):
            part[place] = before[_u(order[place])]


@njit(cache=True, nogil=True)
def merge_rows(indptr, items, weights, times):
    """Merge neighbours of the same item within a user's rows, and leave out those without weight; in place.

    Parameters
    ----------
    indptr : (n_users + 1,) int64
        Where each user's rows start; written: where they start now.
    items : (n,) int32
        Ascending within each user; written from its start.
    weights : (n,) float32, or (0,)
        Summed, in float64.
    times : (n,) float64, or (0,)
        The latest is kept.

    Returns
    -------
    kept, without_weight : int
        How many are left, and how many merged ones were left out.
    """
    kept, without_weight, row = 0, 0, indptr[0]
    for user in range(len(indptr) - 1):
        indptr[user] = kept
        end = indptr[user + 1]
        while row < end:
            first, total, latest = row, 0.0, -np.inf
            while row < end and items[row] == items[first]:
                if len(weights):
                    total += weights[row]
                if len(times):
                    latest = max(latest, times[row])
                row += 1
            if len(weights) and np.float32(total) == 0:
                without_weight += 1
                continue
            items[kept] = items[first]
            if len(weights):
                weights[kept] = total
            if len(times):
                times[kept] = latest
            kept += 1
    indptr[-1] = kept
    return kept, without_weight
