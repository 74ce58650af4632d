"""Pruning and growing in place: walks over the stored entries, in linear time.

What an exploration does to a table is told by two arrays: ``kept``, whether each entry stays, and ``grown``,
whether each is new afterwards. As many are grown as are not kept. Where the walks can they go without a
branch: which entries change is as good as random, and a wrong guess takes as long as to move a dozen.
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.bits import AT_ONCE, count_bits, equal_bits, lowest_bit
from sparserec_np.kernels.words import word_at

_u = np.uint64
_AT_ONCE = np.uint64(AT_ONCE)
_1, _2, _3, _4, _5, _6, _7, _8 = (np.uint64(k) for k in range(1, 9))


@njit(cache=True, nogil=True)
def clear_stored(slots, indptr, columns, scores):
    """Set ``scores[slots[row], c]`` to 0 where the entry ``(row, c)`` of a table is stored."""
    for row in range(_u(len(slots))):
        if slots[row] >= 0:
            judged = scores[_u(slots[row])]
            for q in range(_u(indptr[row]), _u(indptr[row + _1])):
                judged[columns[q]] = 0


@njit(nogil=True, inline="always")
def _marks(flat, at, n):
    """Return which of ``flat[at : at + n]``, zeros and ones, are ones: bit i for ``at + i``."""
    if at + _AT_ONCE <= _u(len(flat)):
        marks = equal_bits(flat, at, np.uint8(1))
        return marks if n == _AT_ONCE else marks & ((_1 << n) - _1)
    marks = _u(0)
    for i in range(n):
        marks |= _u(flat[at + i]) << i
    return marks


@njit(cache=True, nogil=True)
def place_grown(indptr, columns, kept, slots, chosen, grown, grown_columns):
    """Find the places and columns of what is grown, which is none of the stored entries.

    In row ``r`` these are the columns ``c`` with ``chosen[slots[r], c]``, which is passed as bytes, 0 and 1,
    if ``slots[r]`` is not -1. ``indptr`` is changed to what it is afterwards, ``grown`` is set where an entry
    is new, and their columns are written to ``grown_columns``.
    """
    dim, flat = _u(chosen.shape[1]), chosen.reshape(-1)
    of_row = np.empty(dim + _AT_ONCE, dtype=np.uint8)
    grown[:] = False
    n_kept, n_grown, q = _u(0), _u(0), _u(indptr[0])
    for row in range(_u(len(indptr)) - _1):
        end = _u(indptr[row + _1])
        if slots[row] >= 0:
            of_row[:] = 0
            for stored in range(q, end):
                of_row[columns[stored]] = kept[stored]
            first, column = _u(slots[row]) * dim, _u(0)
            while column < dim:
                stay = equal_bits(of_row, column, np.uint8(1))
                new = _marks(flat, first + column, min(dim - column, _AT_ONCE))
                while new != 0:
                    bit = lowest_bit(new)
                    grown[n_kept + count_bits(stay & ((_1 << bit) - _1)) + n_grown] = True
                    grown_columns[n_grown] = column + bit
                    n_grown += _1
                    new &= new - _1
                n_kept += count_bits(stay)
                column += _AT_ONCE
        else:
            for stored in range(q, end):
                n_kept += _u(kept[stored])
        q = end
        indptr[row + _1] = n_kept + n_grown


@njit(cache=True, nogil=True)
def close_gaps(kept, array):
    """Move what an array has for the kept entries to its beginning, in order; returns how many they are."""
    n = _u(0)
    for q in range(_u(len(array))):
        array[n] = array[q]
        n += _u(kept[q])
    return n


@njit(cache=True, nogil=True)
def make_room(grown, values, array):
    """Move what `close_gaps` left to the places that are not grown, in order, and fill these with ``values``.

    ``grown`` is passed as bytes, 0 and 1; ``values`` has one for each that is grown, or one for all.
    """
    n_left = _u(0)
    for q in range(_u(len(grown))):
        n_left += _u(grown[q])
    n, place, last = _u(len(array)) - n_left, _u(len(array)), _u(len(values)) - _1
    # As soon as nothing new is left before a place, everything is where it belongs.
    while n_left > 0:
        if place >= _8 and word_at(grown, place - _8) == 0:
            # All are read before any is written: these eight may overlap.
            a, b, c, d = array[n - _8], array[n - _7], array[n - _6], array[n - _5]
            e, f, g, h = array[n - _4], array[n - _3], array[n - _2], array[n - _1]
            array[place - _8], array[place - _7], array[place - _6], array[place - _5] = a, b, c, d
            array[place - _4], array[place - _3], array[place - _2], array[place - _1] = e, f, g, h
            n -= _8
            place -= _8
            continue
        for _ in range(min(place, _8)):
            place -= _1
            is_new, old = _u(grown[place]), array[max(n, _1) - _1]
            new = values[min(n_left - _1, last)]
            array[place] = new if is_new else old
            n -= _1 - is_new
            n_left -= is_new
