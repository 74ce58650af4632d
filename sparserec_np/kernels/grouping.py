"""Which rows occur in a batch, how often and where: what gradients are laid out by."""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit

_u = np.uint64
_1 = np.uint64(1)


@njit(cache=True, nogil=True)
def count_rows(rows, counts, touched):
    """Count the occurrences of each row number in ``counts`` (zeros), note new ones in ``touched``.

    Returns how many rows there are; ``touched`` has room for ``min(len(rows), len(counts)) + 1``.
    """
    n = _u(0)
    for p in range(_u(len(rows))):
        row = _u(rows[p])
        touched[n] = row
        n += _u(counts[row] == 0)
        counts[row] += 1
    return n


@njit(cache=True, nogil=True)
def counted_rows(counts, touched):
    """Fill ``touched`` with the rows whose count is not 0, ascending, by looking at all of them."""
    n = _u(0)
    for row in range(_u(len(counts))):
        touched[n] = row
        n += _u(counts[row] != 0)


@njit(cache=True, nogil=True)
def lay_out(touched, counts, indptr, occurrences, starts, places):
    """Move the counts of ``touched`` to ``occurrences``, and lay their stored entries one after the other.

    ``starts[t]`` and ``places[touched[t]]`` become where those of ``touched[t]`` begin. ``counts`` is left
    zeroed.
    """
    total = np.int64(0)
    for t in range(_u(len(touched))):
        row = _u(touched[t])
        occurrences[t] = counts[row]
        counts[row] = 0
        starts[t] = total
        places[row] = total
        total += np.int64(indptr[row + _1]) - np.int64(indptr[row])
    starts[_u(len(touched))] = total


@njit(cache=True, nogil=True)
def order_by_row(rows, touched, offsets, places, order):
    """Sort the positions of ``rows`` by row, stably: group ``t`` starts at ``offsets[t]`` of ``order``.

    ``places`` is scratch with a number for each row.
    """
    for t in range(_u(len(touched))):
        places[_u(touched[t])] = offsets[t]
    for p in range(_u(len(rows))):
        row = _u(rows[p])
        order[_u(places[row])] = p
        places[row] += 1


@njit(cache=True, nogil=True)
def group_partners(owners, partners, touched, offsets, places, pairs, pair_owners):
    """Sort the pairs of ``owners[e]`` with ``partners[e, j]`` by partner, stably.

    Group ``t`` starts at ``offsets[t]`` of ``pairs``, the numbers of the pairs in ``partners``, and
    ``pair_owners``. ``places`` is scratch with a number for each row.
    """
    for t in range(_u(len(touched))):
        places[_u(touched[t])] = offsets[t]
    p = _u(0)
    for e in range(_u(partners.shape[0])):
        for j in range(_u(partners.shape[1])):
            row = _u(partners[e, j])
            place = _u(places[row])
            places[row] += 1
            pairs[place] = p
            pair_owners[place] = owners[e]
            p += _1


@njit(cache=True, nogil=True)
def lay_out_pairs(
    rows, owners, touched, counts, slots, indptr, offsets, pairs, pair_owners, firsts, starts, judged
):
    """Sort pairs of examples by row, stably, and lay the stored entries of each one's row behind one another.

    Example ``e`` is that of ``owners[e]`` and has the pairs ``2 e`` and ``2 e + 1``. The pairs of row
    ``touched[t]``, of which there are ``counts[touched[t]]``, become ``offsets[t]`` to ``offsets[t + 1]`` of
    ``pairs`` and ``pair_owners``. The entries of pair ``p`` are stored from ``firsts[p]`` on and begin at
    ``starts[p]``, and ``judged[s]`` is ``t`` of the row with slot ``s``, -1 where it does not occur.
    ``judged`` has room for one more, ``counts`` is used up.
    """
    judged[:] = -1
    n = _u(0)
    for t in range(_u(len(touched))):
        row = _u(touched[t])
        offsets[t] = n
        count = _u(counts[row])
        counts[row] = n
        n += count
        # The last one of ``judged`` is that of all rows which have no slot.
        judged[slots[row]] = t
    offsets[_u(len(touched))] = n
    total = np.int64(0)
    for p in range(_u(len(rows))):
        row = _u(rows[p])
        place = _u(counts[row])
        counts[row] += 1
        pairs[place] = p
        pair_owners[place] = owners[p >> _1]
        firsts[p] = indptr[row]
        starts[p] = total
        total += np.int64(indptr[row + _1]) - np.int64(indptr[row])
    starts[_u(len(rows))] = total


@njit(cache=True, nogil=True)
def lay_out_ascending(rows, indptr, touched, offsets, owners, starts):
    """Do what `count_rows` and `lay_out` do for ascending ``rows``; returns how many there are.

    The occurrences of ``touched[t]`` are ``offsets[t]`` to ``offsets[t + 1]``, for which ``owners`` is ``t``.
    There is room for a number for each of ``rows``, one more for ``offsets`` and ``starts``.
    """
    n = p = _u(0)
    total = np.int64(0)
    while p < _u(len(rows)):
        row = _u(rows[p])
        touched[n] = row
        offsets[n] = p
        starts[n] = total
        while p < _u(len(rows)) and _u(rows[p]) == row:
            owners[p] = n
            p += _1
        total += np.int64(indptr[row + _1]) - np.int64(indptr[row])
        n += _1
    offsets[n] = len(rows)
    starts[n] = total
    return n


@njit(cache=True, nogil=True)
def add_gradients(
    a_rows, a_counts, a_starts, a_values, b_rows, b_counts, b_starts, b_values, rows, counts, starts, values
):
    """Sum two gradients of a table, with ascending rows; returns how many rows the sum has.

    ``rows``, ``counts`` and ``values`` have room for those of both, ``starts`` for one more than ``rows``.
    """
    i, j, n, end = _u(0), _u(0), _u(0), _u(0)
    while i < _u(len(a_rows)) or j < _u(len(b_rows)):
        in_a = j == _u(len(b_rows)) or (i < _u(len(a_rows)) and a_rows[i] <= b_rows[j])
        in_b = i == _u(len(a_rows)) or (j < _u(len(b_rows)) and b_rows[j] <= a_rows[i])
        rows[n] = a_rows[i] if in_a else b_rows[j]
        counts[n] = (a_counts[i] if in_a else 0) + (b_counts[j] if in_b else 0)
        starts[n] = end
        if in_a and in_b:
            shift = _u(b_starts[j]) - _u(a_starts[i])
            for q in range(_u(a_starts[i]), _u(a_starts[i + _1])):
                values[end] = a_values[q] + b_values[q + shift]
                end += _1
        elif in_a:
            for q in range(_u(a_starts[i]), _u(a_starts[i + _1])):
                values[end] = a_values[q]
                end += _1
        else:
            for q in range(_u(b_starts[j]), _u(b_starts[j + _1])):
                values[end] = b_values[q]
                end += _1
        i += _u(in_a)
        j += _u(in_b)
        n += _1
    starts[n] = end
    return n


@njit(cache=True, nogil=True)
def cut_blocks(starts, most_owners, most_pairs, blocks):
    """Cut owners into blocks of not more than ``most_owners``, or ``most_pairs`` where that is several.

    Owner ``t`` has the pairs ``starts[t]`` to ``starts[t + 1]``. ``blocks`` has room for a number more than
    there are owners; returns how many of them are used.
    """
    n_owners = _u(len(starts) - 1)
    n = first = _u(0)
    blocks[n] = 0
    for t in range(_1, n_owners):
        if t - first == _u(most_owners) or starts[t + _1] - starts[first] > most_pairs:
            n += _1
            blocks[n] = t
            first = _u(t)
    if n_owners > 0:
        n += _1
        blocks[n] = len(starts) - 1
    return n + _1


# Longer rows than this are not told apart.
_LONGEST = np.uint64(127)


@njit(cache=True, nogil=True)
def order_pairs(start, stop, blocks, starts, offsets, order, pair_starts, rows, indptr, pairs, owners):
    """List the pairs of each block by the length of their rows, which come in equal lengths for a while then.

    The processor guesses where a row ends by how the last ones did, and a wrong guess takes as long as the
    arithmetic of a row. Owner ``t`` has the examples ``order[offsets[t]:offsets[t + 1]]``, and example ``e``
    the pairs ``pair_starts[e]`` to ``pair_starts[e + 1]``. Pairs of the same row keep their order.
    """
    places = np.empty(_LONGEST + _u(2), dtype=np.int64)
    for b in range(_u(start), _u(stop)):
        first, last = _u(blocks[b]), _u(blocks[b + _1])
        places[:] = 0
        for k in range(_u(offsets[first]), _u(offsets[last])):
            e = _u(order[k])
            for p in range(_u(pair_starts[e]), _u(pair_starts[e + _1])):
                row = _u(rows[p])
                length = _u(indptr[row + _1]) - _u(indptr[row])
                places[min(length, _LONGEST) + _1] += 1
        places[0] = starts[first]
        for shorter in range(_LONGEST):
            places[shorter + _1] += places[shorter]
        for t in range(first, last):
            for k in range(_u(offsets[t]), _u(offsets[t + _1])):
                e = _u(order[k])
                for p in range(_u(pair_starts[e]), _u(pair_starts[e + _1])):
                    row = _u(rows[p])
                    length = min(_u(indptr[row + _1]) - _u(indptr[row]), _LONGEST)
                    place = _u(places[length])
                    places[length] += 1
                    pairs[place] = p
                    owners[place] = t
