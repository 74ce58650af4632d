"""Rows of users and items brought into order, and those of the same pair merged."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def count_codes(codes, starts):
    """Write where each code's rows start if they are sorted: ``starts``, (n_codes + 1,) int64 of zeros."""
    for code in codes:
        starts[code + 1] += 1
    for code in range(1, len(starts)):
        starts[code] += starts[code - 1]


@njit(cache=True, nogil=True)
def sort_rows(codes, through, free, order):
    """Sort rows by code, stably.

    Parameters
    ----------
    codes : (n,) int32
        Code of each row.
    through : (n,) int, or (0,)
        The rows as they are ordered so far; none if that is 0, 1, 2, …
    free : (n_codes + 1,) int64
        Where each code's rows start; moved on.
    order : (n,) int
        Written: the rows by code, those of one code as they were.
    """
    for position in range(len(codes)):
        row = through[position] if len(through) else position
        code = codes[row]
        order[free[code]] = row
        free[code] += 1


@njit(cache=True, nogil=True)
def users_by_item(users, items, free, out):
    """Write the users of each item's rows; ``free`` as for `sort_rows`."""
    for row in range(len(items)):
        item = items[row]
        out[free[item]] = users[row]
        free[item] += 1


@njit(cache=True, nogil=True)
def items_by_user(users, starts, free, out):
    """Write the items of each user's rows, ascending.

    Parameters
    ----------
    users : (n,) int32
        The users of each item's rows, as `users_by_item` writes them.
    starts : (n_items + 1,) int64
        Where each item's rows start in it.
    free : (n_users + 1,) int64
        Where each user's rows start; moved on.
    out : (n,) int32
        Written.
    """
    for item in range(len(starts) - 1):
        for row in range(starts[item], starts[item + 1]):
            user = users[row]
            out[free[user]] = item
            free[user] += 1


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
