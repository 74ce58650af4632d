"""How well sums of scores rank what was held out, without a list for each."""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit


@njit(cache=True, nogil=True)
def score_rows(start, stop, people, indptr, columns, values, out):
    """Write the scores of all items for the people ``start`` to ``stop``.

    Parameters
    ----------
    start, stop : int
    people : (n, dim) float32
        Dense vectors.
    indptr, columns, values : (n_items + 1,), (nnz,), (nnz,) float32
        The item table as CSR.
    out : (n, n_items) float32
        Written.
    """
    for person in range(start, stop):
        vector = people[person]
        for item in range(len(indptr) - 1):
            total = np.float32(0)
            for entry in range(indptr[item], indptr[item + 1]):
                total += values[entry] * vector[columns[entry]]
            out[person, item] = total


@njit(cache=True, nogil=True)
def measure_sums(
    start, stop, table, added, factor, seen_indptr, seen, held_indptr, held, discounts, out
):  # fmt: skip
    """Write the NDCG of the items ranked by ``table + factor * added``, of each person.

    Parameters
    ----------
    start, stop : int
        The part of the people to work on.
    table, added : (n, n_items) float32
        Scores.
    factor : float32
    seen_indptr, seen : (n + 1,) int64, (m,) int32
        Items of each person that are not ranked.
    held_indptr, held : (n + 1,) int64, (m,) int32
        Held-out items of each person, ascending; at least one.
    discounts : (k,) float64
        By rank. Of equal scores the lower item comes first.
    out : (n,) float64
        Written.
    """
    n_items, k = table.shape[1], len(discounts)
    best, scores = np.empty(k, np.int64), np.empty(k, np.float32)
    out_of_question = np.zeros(n_items, np.bool_)
    for person in range(start, stop):
        for entry in range(seen_indptr[person], seen_indptr[person + 1]):
            out_of_question[seen[entry]] = True
        found, threshold = 0, np.float32(-np.inf)
        for item in range(n_items):
            score = table[person, item] + factor * added[person, item]
            if (found == k and not score > threshold) or out_of_question[item]:
                continue
            place = min(found, k - 1)
            while place > 0 and scores[place - 1] < score:
                best[place], scores[place] = best[place - 1], scores[place - 1]
                place -= 1
            best[place], scores[place] = item, score
            found = min(found + 1, k)
            threshold = scores[found - 1]
        first, end = held_indptr[person], held_indptr[person + 1]
        gain, ideal = 0.0, 0.0
        for rank in range(found):
            place = np.searchsorted(held[first:end], best[rank])
            if place < end - first and held[first + place] == best[rank]:
                gain += discounts[rank]
        for rank in range(min(k, end - first)):
            ideal += discounts[rank]
        out[person] = gain / ideal
        for entry in range(seen_indptr[person], seen_indptr[person + 1]):
            out_of_question[seen[entry]] = False
