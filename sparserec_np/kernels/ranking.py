"""The k best items for many users: sparse scores, exclusion and an exact top-k in one pass over the items."""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.heap import keep_best, put_in_order

LANES = 64
"""Users that go through the items together: an entry of the item table is read once for all of them."""


_DENORMAL = 1e-37
"""More than the rounding of products below the smallest normal float32 adds up to in a score."""


@njit(cache=True, nogil=True)
def _least_bound(threshold, lengths, n):
    """Bound that an item needs to be among the best of any of `n` people of these lengths."""
    least = np.inf
    for lane in range(n):
        if np.isnan(threshold[lane]):
            return -np.inf
        if lengths[lane] > 0:
            # Less what the rounding of numbers below the smallest normal ones can add to a score.
            least = min(least, (threshold[lane] - _DENORMAL) / lengths[lane])
        elif threshold[lane] <= 0:
            return -np.inf
    return least


@njit(cache=True, nogil=True)
def rank_rows(
    start,
    stop,
    order,
    people,
    lengths,
    base,
    floors,
    rows,
    exclude_indptr,
    exclude_items,
    items,
    item_indptr,
    item_columns,
    item_values,
    item_bias,
    item_keys,
    item_bounds,
    added,
    ids,
    scores,
    counts,
):
    """Write the best items of the people ``order[LANES * start]`` to ``order[LANES * stop - 1]``, best first.

    A score is summed in float32 in the ascending order of the columns, then the item's bias, then the
    person's base, then what is added for the pair. There are no fused multiply-adds, so that NumPy doing
    ``scores[item_rows] += value * item_values`` column by column gets the same bits: a column that a person
    does not have adds 0.

    Parameters
    ----------
    start, stop : int
        The part of the people to work on, in groups of ``LANES``; the last one may be smaller.
    order : (n,) int64
        The people, in the order in which they form groups.
    people, lengths : (n, dim) float32, (n,) float64
        Their vectors, and the Euclidean lengths of these.
    base : (n,) float32
        Added to all scores of a person.
    floors : (n,) float32
        Scores that a person's items must exceed; NaN for none.
    rows : (n,) int64
        Rows of ``exclude``.
    exclude_indptr, exclude_items : (n_rows + 1,) int64, (m,) int32
        For every row the items that are no candidates, as CSR, ascending within a row.
    items : (m,) int32
        The items to rank, ascending.
    item_indptr, item_columns, item_values : (n_items + 1,) int64, (nnz,) uint16, (nnz,) float32
        Item table as CSR, columns ascending within a row; finite, or an item is nobody's candidate.
    item_bias : (n_items,) float32
        Added to everybody's scores; zeros where the model has none.
    item_keys : (n_items,) int64
        Of equal scores, the item of the larger key comes first, then that of the lower row.
    item_bounds : (n_items,) float64
        Times a person's length, no less than the item's score; infinite where no such bound is known. An
        item that cannot be among the best of anybody in a group is passed over.
    added : (n, n_items) or (0, 0) float32
        Added to the scores, if there is anything.
    ids : (n, k) int32
        Written: item rows.
    scores : (n, k) float32
        Written: their scores. An item whose score is NaN is no candidate.
    counts : (n,) int64
        Written: how many of the k slots are in use. The slots behind are left as they were.
    """
    dim, k = people.shape[1], ids.shape[1]
    columns = np.zeros((dim, LANES), np.float32)
    lanes = np.empty(LANES, np.float32)
    above = np.empty(LANES, np.bool_)
    eights = above.view(np.uint64)  # eight flags at a time: few items are among anybody's best
    # What a score must not lie below; NaN, which nothing lies below, for a list that is not full.
    threshold = np.empty(LANES, np.float32)
    bases = np.zeros(LANES, np.float32)
    next_excluded = np.empty(LANES, np.int64)
    for first in range(LANES * start, min(LANES * stop, len(order)), LANES):
        group = order[first : first + LANES]
        n = len(group)
        threshold[n:] = np.inf  # lanes that nobody is in
        for lane in range(n):
            person = group[lane]
            for column in range(dim):
                columns[column, lane] = people[person, column]
            threshold[lane], bases[lane] = np.nextafter(floors[person], np.float32(np.inf)), base[person]
            next_excluded[lane] = exclude_indptr[rows[person]]
            counts[person] = 0
        limit = -np.inf
        for position in range(len(items)):
            if position % LANES == 0:
                limit = _least_bound(threshold, lengths[group], n)
            item = items[position]
            if item_bounds[item] < limit:
                continue
            lanes[:] = 0
            entry, end = item_indptr[item], item_indptr[item + 1]
            while entry + 4 <= end:
                # Four columns in one go through the lanes; the order of the additions is the same.
                a, b = columns[item_columns[entry]], columns[item_columns[entry + 1]]
                c, d = columns[item_columns[entry + 2]], columns[item_columns[entry + 3]]
                p, q = item_values[entry], item_values[entry + 1]
                r, s = item_values[entry + 2], item_values[entry + 3]
                for lane in range(LANES):
                    lanes[lane] = (((lanes[lane] + p * a[lane]) + q * b[lane]) + r * c[lane]) + s * d[lane]
                entry += 4
            while entry < end:
                a, p = columns[item_columns[entry]], item_values[entry]
                for lane in range(LANES):
                    lanes[lane] += p * a[lane]
                entry += 1
            bias = item_bias[item]
            for lane in range(LANES):
                lanes[lane] = (lanes[lane] + bias) + bases[lane]
            if added.shape[0] > 0:
                for lane in range(n):
                    lanes[lane] += added[group[lane], item]
            # One that equals the worst kept may still be better by its key.
            for lane in range(LANES):
                above[lane] = not lanes[lane] < threshold[lane]
            for eight in range(LANES // 8):
                if eights[eight] == 0:
                    continue
                for lane in range(8 * eight, min(8 * eight + 8, n)):
                    if not above[lane] or np.isnan(lanes[lane]):
                        continue
                    person = group[lane]
                    entry, end = next_excluded[lane], exclude_indptr[rows[person] + 1]
                    while entry < end and exclude_items[entry] < item:
                        entry += 1
                    next_excluded[lane] = entry
                    if entry < end and exclude_items[entry] == item:
                        continue
                    counts[person] = keep_best(
                        lanes[lane], item, scores[person], ids[person], item_keys, counts[person]
                    )
                    if counts[person] == k:
                        threshold[lane] = scores[person, 0]
        for lane in range(n):
            put_in_order(scores[group[lane]], ids[group[lane]], item_keys, counts[group[lane]])


@njit(cache=True, nogil=True)
def measure_rows(indptr, values, out):
    """Write the length of each row of a CSR table into ``out``, (n_rows,) float64."""
    for row in range(len(out)):
        square = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            square += np.float64(values[entry]) * np.float64(values[entry])
        out[row] = np.sqrt(square)


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
