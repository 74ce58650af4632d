"""Short texts numbered in the order of their first occurrence, by a hash table over words of eight bytes.

A text's words are its bytes eight by eight from its end on, each beginning where the text does at the least:
what is missing of the last is zeros. Texts are kept in a *pool*, one record behind the other, from place 1
on: a text's length and number, 32 bits each, and then its words. The table holds, for each record, the upper
half of the text's hash and the place.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sparserec_np.kernels.prefetch import prefetch

_u = np.uint64
_0, _1, _EIGHT, _HALF = _u(0), _u(1), _u(8), _u(32)
_NONE = _u(0xFFFFFFFFFFFFFFFF)  # no header: a text is not that long
_UPPER, _LOWER = _u(0xFFFFFFFF00000000), _u(0x00000000FFFFFFFF)
_FACTOR = _u(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio
_GROUP = 64  # fields whose places in memory are fetched together


@njit(cache=True, nogil=True)
def _is_blank(byte):
    return byte == 32 or byte == 9 or byte == 13  # space, tab, carriage return


@njit(cache=True, nogil=True)
def _byte(words, at):
    return words[at - _u(7)] >> _u(56)


@njit(cache=True, nogil=True)
def _word(words, end, left):
    """Return the word that ends before ``end``, where that many bytes are left of a text."""
    before = _u(64) - (min(left, _EIGHT) << _u(3))
    return words[end - _EIGHT] >> before << before


@njit(cache=True, nogil=True)
def _mixed(value, word):
    value = (value ^ word) * _FACTOR
    return value ^ (value >> _HALF)


@njit(cache=True, nogil=True)
def _slot(value, mask):
    # The upper half is kept beside the place; the lower says where to look, and depends on all bits so far.
    return (value ^ (value >> _HALF)) & mask


@njit(cache=True, nogil=True)
def number_fields(words, starts, ends, begin, slots, pool, used, n_texts, codes):
    """Write the numbers of a buffer's fields, from ``begin`` on, by their texts without blanks around them.

    Parameters
    ----------
    words : (n_bytes - 7,) uint64
        The eight bytes of the buffer from each byte on, as `sparserec_np.data.words` makes them.
    starts, ends : (n,) int
        Where each field begins and ends; none begins before the 8th byte.
    begin : int
    slots : (m,) uint64
        The hash table, 0 where it is free. m is a power of 2; half of it is room for texts.
    pool, used : (n_pool,) uint64, int
        The records, and where the next one goes.
    n_texts : int
        How many there are.
    codes : (n,) int32
        Written: the number of each field's text.

    Returns
    -------
    stopped : int
        The first field that there was no room for, or n.
    used, n_texts : int
        As they are now.
    shortest : int
        The least length of a text among the fields.
    """
    n, mask = _u(len(starts)), _u(len(slots) - 1)
    field, free, known, shortest = _u(begin), _u(used), _u(n_texts), _EIGHT
    values, lasts, lengths = np.empty(_GROUP, _u), np.empty(_GROUP, _u), np.empty(_GROUP, _u)
    while field < n:
        # A table of many texts lies in no cache. What will be looked at is asked for before, so that the
        # fields of a group wait for the memory together, not one after the other.
        group = min(_u(_GROUP), n - field)
        for member in range(group):
            first, end = _u(starts[field + member]), _u(ends[field + member])
            while first < end and _is_blank(_byte(words, first)):
                first += _1
            while first < end and _is_blank(_byte(words, end - _1)):
                end -= _1
            left = end - first
            lasts[member], lengths[member] = end, left
            shortest = min(shortest, left)
            value = left
            while left > _EIGHT:
                value = _mixed(value, _word(words, end, left))
                end, left = end - _EIGHT, left - _EIGHT
            if left > _0:
                value = _mixed(value, _word(words, end, left))
            values[member] = value * _FACTOR
            prefetch(slots, _slot(values[member], mask))
        for member in range(group):
            prefetch(pool, slots[_slot(values[member], mask)] & _LOWER)
        for member in range(group):
            value, length, last = values[member], lengths[member], lasts[member]
            slot = _slot(value, mask)
            entry = slots[slot]
            header = _NONE
            while entry != _0:
                if (entry ^ value) & _UPPER == _0:
                    at = entry & _LOWER
                    header = pool[at]
                    if header >> _HALF == length:
                        end, left, at = last, length, at + _1
                        while left > _EIGHT and pool[at] == _word(words, end, left):
                            end, left, at = end - _EIGHT, left - _EIGHT, at + _1
                        if left == _0 or (left <= _EIGHT and pool[at] == _word(words, end, left)):
                            break
                    header = _NONE
                slot = (slot + _1) & mask
                entry = slots[slot]
            if header == _NONE:
                if known << _1 == _u(len(slots)) or free + _1 + ((length + _u(7)) >> _u(3)) > _u(len(pool)):
                    return field + member, free, known, shortest
                slots[slot] = (value & _UPPER) | free
                header = (length << _HALF) | known
                pool[free] = header
                free, known = free + _1, known + _1
                end, left = last, length
                while left > _0:
                    pool[free] = _word(words, end, left)
                    free, end, left = free + _1, end - _EIGHT, left - min(left, _EIGHT)
            codes[field + member] = header & _LOWER
        field += group
    return n, free, known, shortest


@njit(cache=True, nogil=True)
def fill_slots(pool, used, slots):
    """Enter all texts of a pool into a hash table that holds none of them."""
    mask = _u(len(slots) - 1)
    place = _1
    while place < _u(used):
        length = pool[place] >> _HALF
        value, behind = length, place + _1 + (length + _u(7)) // _u(8)
        for at in range(place + _1, behind):
            value = _mixed(value, pool[at])
        value *= _FACTOR
        slot = _slot(value, mask)
        while slots[slot] != _0:
            slot = (slot + _1) & mask
        slots[slot] = (value & _UPPER) | place
        place = behind


@njit(cache=True, nogil=True)
def unpack(pool, texts, ends):
    """Write the texts of a pool, (n_bytes,) uint8, one behind the other, and where each ends, (n,) int64."""
    place, total = _1, _0
    for text in range(len(ends)):
        length = pool[place] >> _HALF
        for byte in range(length):
            back = length - _1 - _u(byte)
            word = pool[place + _1 + back // _u(8)]
            texts[total + _u(byte)] = (word >> (_u(56) - _u(8) * (back % _u(8)))) & _u(0xFF)
        total += length
        ends[text] = total
        place += _1 + (length + _u(7)) // _u(8)
