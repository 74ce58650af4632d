"""Scores of pairs by dense arrays, for teachers: no table in training is dense."""

from __future__ import annotations

import numpy as np
from numba import njit


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
    item_rows : (n, m) int
    out : (n, m) float64
        Written.
    """
    for e in range(start, stop):
        out[e] = 0
        user = user_rows[e]
        for place in range(indptr[user], indptr[user + 1]):
            row = matrix[indices[place]]
            for j in range(item_rows.shape[1]):
                out[e, j] += row[item_rows[e, j]]


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
