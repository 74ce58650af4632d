"""Scores of pairs by dense arrays, for teachers: no table in training is dense."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def score_pairs(start, stop, people, items, user_rows, item_rows, out):
    """``out[e, j] = ⟨people[user_rows[e]], items[item_rows[e, j]]⟩``; float32, rows contiguous."""
    for e in range(start, stop):
        person = people[user_rows[e]]
        for j in range(item_rows.shape[1]):
            item = items[item_rows[e, j]]
            total = person[0] * item[0]
            for c in range(1, len(person)):
                total += person[c] * item[c]
            out[e, j] = total


@njit(cache=True, nogil=True)
def score_by_history(start, stop, indptr, indices, similarities, user_rows, item_rows, out):
    """``out[e, j] = Σ_i similarities[i, item_rows[e, j]]`` over the history of ``user_rows[e]``."""
    for e in range(start, stop):
        out[e] = 0
        user = user_rows[e]
        for place in range(indptr[user], indptr[user + 1]):
            row = similarities[indices[place]]
            for j in range(item_rows.shape[1]):
                out[e, j] += row[item_rows[e, j]]
