"""Scores of pairs by dense arrays, for teachers: no table in training is dense."""

from __future__ import annotations

import numpy as np
from numba import njit

# How many times as long a number that is looked up takes as one in order.
_SCATTERED = 4


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def score_pairs(start, stop, people, items, folds, rank, user_rows, item_rows, out):
    """Dot products of users and items, each user with the items of their fold.

    Parameters
    ----------
    people : (n_users, dim) float32
    items : (n_folds, n_items, dim) float32
    folds : (n_users,) int
    rank : int
        Columns to look at, from the first.
    user_rows : (n,) int
    item_rows : (n, m) int
    out : (n, m) float32
        Written.
    """
    for e in range(start, stop):
        user = user_rows[e]
        person, theirs = people[user], items[folds[user]]
        for j in range(item_rows.shape[1]):
            item = theirs[item_rows[e, j]]
            total = np.float32(0)
            for c in range(rank):
                total += person[c] * item[c]
            out[e, j] = total


@njit(cache=True, nogil=True)
def sum_over_history(start, stop, indptr, indices, matrix, user_rows, item_rows, out):
    """``out[e, j] = Σ_i matrix[i, item_rows[e, j]]`` over the items of the history of ``user_rows[e]``.

    Parameters
    ----------
    indptr, indices
        The histories, CSR.
    matrix : (n_items, n_items) float
    user_rows : (n,) int
        What belongs to one user stands together, or it takes longer.
    item_rows : (n, m) int
    out : (n, m) float64
        Written; the same bits however the numbers are gone through.
    """
    n_items, m = np.uint64(matrix.shape[1]), item_rows.shape[1]
    sums = np.empty(n_items)
    first = start
    while first < stop:
        user = user_rows[first]
        last = first + 1
        while last < stop and user_rows[last] == user:
            last += 1
        if (last - first) * m * _SCATTERED > n_items:
            # It costs less to sum up whole rows in order than to look so many of their numbers up.
            sums[:] = 0
            for place in range(indptr[user], indptr[user + 1]):
                row = matrix[indices[place]]
                for i in range(n_items):
                    sums[i] += row[i]
            for e in range(first, last):
                for j in range(m):
                    out[e, j] = sums[item_rows[e, j]]
        else:
            for e in range(first, last):
                out[e] = 0
                for place in range(indptr[user], indptr[user + 1]):
                    row = matrix[indices[place]]
                    for j in range(m):
                        out[e, j] += row[item_rows[e, j]]
        first = last


@njit(cache=True, nogil=True)
def history_forms(start, stop, indptr, indices, matrix, out):
    """``out[u] = Σ_ij matrix[i, j]`` over the pairs of items of each history; float64."""
    for user in range(start, stop):
        history = indices[indptr[user] : indptr[user + 1]]
        total = 0.0
        for i in history:
            for j in history:
                total += matrix[i, j]
        out[user] = total
