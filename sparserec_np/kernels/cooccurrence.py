"""How often items occur together in the histories of users, and regressions of items on each other.

What stands here once for all kernels below:

- Items are numbered by popularity, the most popular first.
- ``user_indptr, user_items`` is the CSR matrix of the histories, its columns ascending in every row, and
  ``item_indptr, item_users`` the same matrix by items. ``user_weights`` (n_users,) float64 says what a user
  counts. The co-occurrence of two items is the sum of the weights of the users who have both, rounded to
  float32. It is summed up in the order of the users everywhere, so that it is the same bits everywhere.
- ``pair_indptr, pair_items, pair_values`` holds the co-occurrence of the pairs of the first items, those of
  which there is a row: row ``i`` has the items before ``i`` that occur together with it, ascending.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.cholesky import solve_positive
from sparserec_np.kernels.heap import keep_best


@njit(cache=True, nogil=True)
def count_pairs(start, stop, item_indptr, item_users, user_indptr, user_items, counts):
    """Count the items before each item that occur together with it, into ``counts`` (n_items,) int64."""
    seen = np.full(stop, -1, dtype=np.int32)
    for item in range(start, stop):
        n = 0
        for at in range(item_indptr[item], item_indptr[item + 1]):
            user = item_users[at]
            for place in range(user_indptr[user], user_indptr[user + 1]):
                other = user_items[place]
                if other >= item:
                    break
                if seen[other] != item:
                    seen[other] = item
                    n += 1
        counts[item] = n


@njit(cache=True, nogil=True)
def fill_pairs(
    start, stop, item_indptr, item_users, user_indptr, user_items, user_weights,
    pair_indptr, pair_items, pair_values,
):  # fmt: skip
    """Write the rows of the pairs, for which `count_pairs` has made room."""
    sums = np.zeros(stop)
    for item in range(start, stop):
        begin = end = pair_indptr[item]
        for at in range(item_indptr[item], item_indptr[item + 1]):
            user = item_users[at]
            for place in range(user_indptr[user], user_indptr[user + 1]):
                other = user_items[place]
                if other >= item:
                    break
                if sums[other] == 0:
                    pair_items[end] = other
                    end += 1
                sums[other] += user_weights[user]
        pair_items[begin:end] = np.sort(pair_items[begin:end])
        for place in range(begin, end):
            other = pair_items[place]
            pair_values[place] = sums[other]
            sums[other] = 0


@njit(nogil=True, inline="always")
def _sum_row(item, item_indptr, item_users, user_indptr, user_items, user_weights, sums, touched):
    """Add the co-occurrences of an item up; return how many others occur together with it."""
    n = 0
    for at in range(item_indptr[item], item_indptr[item + 1]):
        user = item_users[at]
        weight = user_weights[user]
        for place in range(user_indptr[user], user_indptr[user + 1]):
            other = user_items[place]
            if other != item:
                if sums[other] == 0:
                    touched[n] = other
                    n += 1
                sums[other] += weight
    return n


@njit(cache=True, nogil=True)
def find_supports(
    start, stop, first, item_indptr, item_users, user_indptr, user_items, user_weights, item_weights,
    items, values, lengths,
):  # fmt: skip
    """Find the items that co-occur most with each, weighted by ``item_weights`` (n_items,) float64.

    Parameters
    ----------
    start, stop : int
        Which rows of the output to write.
    first : int
        The item that row 0 of the output is about; the next rows are about the next items.
    items : (n, support) int32
        Written: the items of the support, ascending. Of equal strength those that stand first.
    values : (n, support) float32
        Written: their co-occurrence with the item of the row.
    lengths : (n,) int64
        Written: how many they are.
    """
    n_items, support = len(item_indptr) - 1, items.shape[1]
    sums, touched = np.zeros(n_items), np.empty(n_items, dtype=np.int32)
    strengths, strongest = np.empty(support), np.empty(support, dtype=np.int32)
    no_keys = np.empty(0, dtype=np.int64)
    for row in range(start, stop):
        n = _sum_row(
            first + row, item_indptr, item_users, user_indptr, user_items, user_weights, sums, touched
        )
        size = 0
        for t in range(n):
            other = touched[t]
            strength = np.float32(sums[other]) * item_weights[other]
            if (
                size < support
                or strength > strengths[0]
                or (strength == strengths[0] and other < strongest[0])
            ):
                size = keep_best(strength, other, strengths, strongest, no_keys, size)
        items[row, :size] = np.sort(strongest[:size])
        for p in range(size):
            values[row, p] = sums[items[row, p]]
        for t in range(n):
            sums[touched[t]] = 0
        lengths[row] = size


@njit(nogil=True)
def _look_up(item, wanted, n, pair_indptr, pair_items, pair_values, out):
    """Write the co-occurrence of an item with the ``n`` items ``wanted``, ascending and all before it."""
    low, end = pair_indptr[item], pair_indptr[item + 1]
    for q in range(n):
        target = wanted[q]
        high = end
        while low < high:
            middle = (low + high) >> 1
            if pair_items[middle] < target:
                low = middle + 1
            else:
                high = middle
        out[q] = pair_values[low] if low < end and pair_items[low] == target else 0.0


@njit(nogil=True)
def _count_up(
    item, n, places, item_indptr, item_users, user_indptr, user_items, user_weights, out
):  # fmt: skip
    """Do what `_look_up` does for an item without a row of pairs; ``places`` says what stands where."""
    out[:n] = 0
    for at in range(item_indptr[item], item_indptr[item + 1]):
        user = item_users[at]
        weight = user_weights[user]
        for place in range(user_indptr[user], user_indptr[user + 1]):
            other = user_items[place]
            if other >= item:
                break
            if places[other] >= 0:
                out[places[other]] += weight
    for q in range(n):
        out[q] = np.float32(out[q])


@njit(cache=True, nogil=True)
def regress_on_supports(
    start, stop, indptr, items, values, item_indptr, item_users, user_indptr, user_items, user_weights,
    pair_indptr, pair_items, pair_values, diagonal, penalty, out,
):  # fmt: skip
    """Solve the ridge regression of each column on the items of its support.

    Column ``c`` solves ``(G_SS + penalty · diag(G_SS)^½) w = values`` with ``G`` the co-occurrences and ``S``
    the support ``items[indptr[c]:indptr[c + 1]]``, ascending. Items without a row of pairs are counted anew.

    Parameters
    ----------
    indptr : (n_columns + 1,) int64
    items : (nnz,) int32
    values : (nnz,) float32
        Co-occurrence of the column's item with the items of its support, or what stands for it.
    diagonal : (n_items,) float64
        Co-occurrence of each item with itself.
    penalty : float
        Positive.
    out : (nnz,) float32
        Written: the weights.
    """
    most = 0
    for c in range(start, stop):
        most = max(most, indptr[c + 1] - indptr[c])
    matrix, vector = np.empty((most, most)), np.empty(most)
    n_with_pairs = len(pair_indptr) - 1
    places = np.full(len(diagonal), -1, dtype=np.int32)
    for c in range(start, stop):
        begin, end = indptr[c], indptr[c + 1]
        n, support = end - begin, items[begin:end]
        is_counted = n > 0 and support[n - 1] >= n_with_pairs
        for p in range(n):
            item, row = support[p], matrix[p]
            if item < n_with_pairs:
                _look_up(item, support, p, pair_indptr, pair_items, pair_values, row)
            else:
                _count_up(
                    item, p, places, item_indptr, item_users, user_indptr, user_items, user_weights, row
                )
            row[p] = diagonal[item] + penalty * sqrt(diagonal[item])
            vector[p] = values[begin + p]
            if is_counted:
                places[item] = p
        solve_positive(matrix, vector, n)
        for p in range(n):
            out[begin + p] = vector[p]
            places[support[p]] = -1


@njit(cache=True, nogil=True)
def subtract_shared(
    start, stop, indptr, items, first, item_indptr, item_users, user_indptr, user_items, user_weights,
    factors, out,
):  # fmt: skip
    """Subtract from the entries of each column a multiple of a co-occurrence.

    Parameters
    ----------
    indptr, items : (n_columns + 1,) int64, (nnz,) int32
        Column ``c``, which is about the item ``first + c``, has the entries
        ``items[indptr[c]:indptr[c + 1]]``.
    factors : (n_items,) float64
        The multiple, by the item that the column is about.
    out : (nnz,) float64
        Changed.
    """
    sums = np.zeros(len(item_indptr) - 1)
    for c in range(start, stop):
        item = first + c
        for at in range(item_indptr[item], item_indptr[item + 1]):
            user = item_users[at]
            for place in range(user_indptr[user], user_indptr[user + 1]):
                sums[user_items[place]] += user_weights[user]
        for e in range(indptr[c], indptr[c + 1]):
            out[e] -= factors[item] * sums[items[e]]
        for at in range(item_indptr[item], item_indptr[item + 1]):
            user = item_users[at]
            for place in range(user_indptr[user], user_indptr[user + 1]):
                sums[user_items[place]] = 0


@njit(cache=True, nogil=True)
def add_products(start, stop, indptr, items, first, sums, row_starts, columns, values, out):
    """Add to each entry the product of two rows: of the entry's item, and of the one its column is about.

    Parameters
    ----------
    indptr, items, first
        As for `subtract_shared`.
    sums : (n_items, width) float32
        Rows of the entries' items.
    row_starts, columns, values : int array (n_items + 1,), (nnz,), float32 array (nnz,)
        Rows of the columns' items, CSR.
    out : (nnz,) float64
        Changed.
    """
    for c in range(start, stop):
        begin, end = row_starts[first + c], row_starts[first + c + 1]
        for e in range(indptr[c], indptr[c + 1]):
            row = sums[items[e]]
            total = 0.0
            for place in range(begin, end):
                total += row[columns[place]] * values[place]
            out[e] += total
