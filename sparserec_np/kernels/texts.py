"""Short texts numbered in the order of their first occurrence, by a hash table over words of eight bytes.

A text's words are its bytes eight by eight from its end on, each beginning where the text does at the least:
what is missing of the last is zeros. Texts are kept in a *pool*, one record behind the other, from place 1
on: a text's length and number, 32 bits each, and then its words. The table holds for each record its first
two words, so that most texts are told apart by one look into memory, then its length and its number plus 1,
and its place.
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.prefetch import prefetch
from sparserec_np.kernels.words import word_at

_u = np.uint64
_0, _1, _EIGHT, _HALF = _u(0), _u(1), _u(8), _u(32)
_LOWER = _u(0x00000000FFFFFFFF)
_FACTOR = _u(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio
_HIGHEST_BLANK = np.uint8(32)
_GROUP = 64  # fields whose places in memory are fetched together
_TWO_WORDS = _u(16)  # bytes
_SHIFT = _u(2)
# What is left of a word where only so many of its last bytes belong to a text.
_LAST_BYTES = np.array([0] + [2**64 - 2 ** (64 - 8 * n) for n in range(1, 9)], np.uint64)

SLOT = 4
"""Words in a slot of the table; it lies in one cache line if the table begins with one."""


@njit(cache=True, nogil=True)
def _is_blank(byte):
    return byte == _HIGHEST_BLANK or byte == 9 or byte == 13  # space, tab, carriage return


@njit(cache=True, nogil=True)
def _word(buffer, end, left):
    """Return the word that ends before ``end``, where that many bytes are left of a text; 0 for none."""
    return word_at(buffer, end - _EIGHT) & _LAST_BYTES[min(left, _EIGHT)]


@njit(cache=True, nogil=True)
def _behind(length, n):
    return max(length, n) - n


@njit(cache=True, nogil=True)
def _mixed(value, word):
    value = (value ^ word) * _FACTOR
    return value ^ (value >> _HALF)


@njit(cache=True, nogil=True)
def _slot(value, mask):
    """Return the first slot of a cache line."""
    # The upper bits of a product depend on all bits before.
    return (((value * _FACTOR) >> _HALF) & (mask - _1)) << _SHIFT


@njit(cache=True, nogil=True)
def _next(slot, mask):
    return (slot + _u(SLOT)) & (mask << _SHIFT)


@njit(cache=True, nogil=True)
def number_fields(buffer, starts, ends, begin, slots, pool, used, n_texts, codes):
    """Write the numbers of a buffer's fields, from ``begin`` on, by their texts without blanks around them.

    Parameters
    ----------
    buffer : (n_bytes,) uint8
    starts, ends : (n,) int
        Where each field begins and ends; none begins before the 16th byte, nor ends with the last.
    begin : int
    slots : (m * SLOT,) uint64
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
    n, n_slots = _u(len(starts)), _u(len(slots)) >> _SHIFT
    mask = n_slots - _1
    field, free, known, shortest = _u(begin), _u(used), _u(n_texts), _EIGHT
    places, lasts, lengths = np.empty(_GROUP, _u), np.empty(_GROUP, _u), np.empty(_GROUP, _u)
    firsts, seconds = np.empty(_GROUP, _u), np.empty(_GROUP, _u)
    while field < n:
        # A table of many texts lies in no cache. What will be looked at is asked for before, so that the
        # fields of a group wait for the memory together, not one after the other.
        group = min(_u(_GROUP), n - field)
        for member in range(group):
            first, end = _u(starts[field + member]), _u(ends[field + member])
            if buffer[first] <= _HIGHEST_BLANK or buffer[end - _1] <= _HIGHEST_BLANK:
                while first < end and _is_blank(buffer[first]):
                    first += _1
                while first < end and _is_blank(buffer[end - _1]):
                    end -= _1
            length = end - first
            lasts[member], lengths[member] = end, length
            shortest = min(shortest, length)
            one, two = _word(buffer, end, length), _word(buffer, end - _EIGHT, _behind(length, _EIGHT))
            firsts[member], seconds[member] = one, two
            value = _mixed(_mixed(length, one), two)
            left = _behind(length, _TWO_WORDS)
            while left > _0:
                value = _mixed(value, _word(buffer, first + left, left))
                left = _behind(left, _EIGHT)
            places[member] = _slot(value, mask)
            prefetch(slots, places[member])
        for member in range(group):
            slot, length, last = places[member], lengths[member], lasts[member]
            one, two = firsts[member], seconds[member]
            header = slots[slot + _u(2)]
            # The step to the other slot of the line is no branch, as it would often be guessed wrongly.
            differs = ((slots[slot] ^ one) | (slots[slot + _1] ^ two)) != _0
            slot += _u(SLOT) * _u((header != _0) & differs)
            header = slots[slot + _u(2)]
            while header != _0:
                if slots[slot] == one and slots[slot + _1] == two and header >> _HALF == length:
                    at, left = slots[slot + _u(3)] + _u(3), _behind(length, _TWO_WORDS)
                    end = last - _TWO_WORDS
                    while left > _0 and pool[at] == _word(buffer, end, left):
                        at, end, left = at + _1, end - _EIGHT, _behind(left, _EIGHT)
                    if left == _0:
                        break
                slot = _next(slot, mask)
                header = slots[slot + _u(2)]
            if header == _0:
                if known << _1 == n_slots or free + _1 + ((length + _u(7)) >> _u(3)) > _u(len(pool)):
                    return field + member, free, known, shortest
                header = (length << _HALF) | (known + _1)
                slots[slot], slots[slot + _1] = one, two
                slots[slot + _u(2)], slots[slot + _u(3)] = header, free
                pool[free] = (length << _HALF) | known
                free, known = free + _1, known + _1
                end, left = last, length
                while left > _0:
                    pool[free] = _word(buffer, end, left)
                    free, end, left = free + _1, end - _EIGHT, _behind(left, _EIGHT)
            codes[field + member] = (header & _LOWER) - _1
        field += group
    return n, free, known, shortest


@njit(cache=True, nogil=True)
def fill_slots(pool, used, slots):
    """Enter all texts of a pool into a hash table that holds none of them."""
    mask = (_u(len(slots)) >> _SHIFT) - _1
    place = _1
    while place < _u(used):
        length = pool[place] >> _HALF
        behind = place + _1 + (length + _u(7)) // _u(8)
        one = pool[place + _1] if length > _0 else _0
        two = pool[place + _u(2)] if length > _EIGHT else _0
        value = _mixed(_mixed(length, one), two)
        for at in range(place + _u(3), behind):
            value = _mixed(value, pool[at])
        slot = _slot(value, mask)
        while slots[slot + _u(2)] != _0:
            slot = _next(slot, mask)
        slots[slot], slots[slot + _1] = one, two
        slots[slot + _u(2)], slots[slot + _u(3)] = pool[place] + _1, place
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


@njit(cache=True, nogil=True)
def arrange(texts, offsets, order, out, ends):
    """Write texts, (n_bytes,) uint8, one behind the other in another order, and where each ends now.

    Parameters
    ----------
    texts : (n_bytes,) uint8
    offsets : (n + 1,) int64
        Where each text begins and ends.
    order : (n,) int64
    out : (n_bytes,) uint8
        Written.
    ends : (n,) int64
        Written.
    """
    total = 0
    for place in range(len(order)):
        text = order[place]
        for byte in range(offsets[text], offsets[text + 1]):
            out[total] = texts[byte]
            total += 1
        ends[place] = total
