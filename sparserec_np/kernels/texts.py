"""Short texts: numbered in the order of their first occurrence, by a hash table over bytes; looked at."""

from __future__ import annotations

import numpy as np
from numba import njit

_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
_SHIFT = np.uint64(32)
_GROUP = 64  # fields whose places in memory are fetched together
_HASH, _CODE = np.uint64(0xFFFFFFFF00000000), np.uint64(0x00000000FFFFFFFF)


@njit(cache=True, nogil=True)
def _is_blank(byte):
    return byte == 32 or byte == 9 or byte == 13  # space, tab, carriage return


@njit(cache=True, nogil=True)
def _hash(buffer, first, end):
    value = _OFFSET
    for at in range(first, end):
        value = (value ^ np.uint64(buffer[at])) * _PRIME
    return value


@njit(cache=True, nogil=True)
def _slot(value, mask):
    # The low bits, which say where to look, are to depend on all of them.
    return (value ^ (value >> _SHIFT)) & mask


@njit(cache=True, nogil=True)
def number_fields(buffer, starts, ends, begin, slots, pool, offsets, n_texts, codes):
    """Write the numbers of a buffer's fields, from ``begin`` on, by their texts without blanks around them.

    Parameters
    ----------
    buffer : (n_bytes,) uint8
    starts, ends : (n,) int64
        Where each field begins and ends.
    begin : int
    slots : (m,) uint64
        The hash table, m a power of 2 above the room for texts: the upper half of a text's hash, and its
        number plus 1; 0 where it is free.
    pool, offsets : (n_pool,) uint8, (room + 1,) int64
        The texts known so far, one behind the other, and where each starts.
    n_texts : int
        How many there are.
    codes : (n,) int32
        Written: the number of each field's text.

    Returns
    -------
    stopped, n_texts : int
        The first field that there was no room for, or n; how many texts are known now.
    fetched : uint8
        Of no meaning: without it, what is done to fetch memory early would be left out as useless.
    """
    mask, one = np.uint64(len(slots) - 1), np.uint64(1)
    values, firsts, lengths = (
        np.empty(_GROUP, np.uint64),
        np.empty(_GROUP, np.int64),
        np.empty(_GROUP, np.int64),
    )
    places, fetched = np.empty(_GROUP, np.int64), np.uint8(0)
    for field in range(begin, len(starts)):
        member = (field - begin) % _GROUP
        if member == 0:
            # A table of many texts lies in no cache. Here nothing waits for anything, so that the fields of a
            # group wait for the memory together, not one after the other.
            for other in range(min(_GROUP, len(starts) - field)):
                first, end = starts[field + other], ends[field + other]
                while first < end and _is_blank(buffer[first]):
                    first += 1
                while first < end and _is_blank(buffer[end - 1]):
                    end -= 1
                firsts[other], lengths[other] = first, end - first
                values[other] = _hash(buffer, first, end)
                places[other] = np.int64(slots[_slot(values[other], mask)] & _CODE)
            for other in range(min(_GROUP, len(starts) - field)):
                places[other] = offsets[max(places[other] - 1, 0)]
            for other in range(min(_GROUP, len(starts) - field)):
                fetched ^= pool[min(places[other], len(pool) - 1)]
        value, first, length = values[member], firsts[member], lengths[member]
        slot = _slot(value, mask)
        found = np.int64(-1)
        while slots[slot] != 0:
            if slots[slot] & _HASH == value & _HASH:
                code = np.int64(slots[slot] & _CODE) - np.int64(1)
                at, same = offsets[code], 0
                if offsets[code + 1] - at == length:
                    while same < length and pool[at + same] == buffer[first + same]:
                        same += 1
                    if same == length:
                        found = code
                        break
            slot = (slot + one) & mask
        if found < 0:
            at = offsets[n_texts]
            if n_texts == len(offsets) - 1 or at + length > len(pool):
                return field, n_texts, fetched
            for byte in range(length):
                pool[at + byte] = buffer[first + byte]
            offsets[n_texts + 1] = at + length
            found = np.int64(n_texts)
            n_texts += 1
            slots[slot] = (value & _HASH) | np.uint64(n_texts)
        codes[field] = found
    return len(starts), n_texts, fetched


@njit(cache=True, nogil=True)
def fill_slots(pool, offsets, slots):
    """Enter texts into a hash table that holds none of them; parameters as for `number_fields`."""
    mask, one = np.uint64(len(slots) - 1), np.uint64(1)
    for code in range(len(offsets) - 1):
        value = _hash(pool, offsets[code], offsets[code + 1])
        slot = _slot(value, mask)
        while slots[slot] != 0:
            slot = (slot + one) & mask
        slots[slot] = (value & _HASH) | np.uint64(code + 1)


@njit(cache=True, nogil=True)
def has_leading(data, separator):
    """Whether a field begins with a blank or sign, or with a zero before a digit or letter.

    Parameters
    ----------
    data : (n,) uint8
        Lines.
    separator : uint8
    """
    found, before = np.uint8(0), np.uint8(10)
    for at in range(len(data) - 1):
        here, after = data[at], data[at + 1]
        begins = np.uint8(before == 10) | np.uint8(before == separator)
        zero = np.uint8(here == 48) & np.uint8(after >= 48) & np.uint8(after != separator)
        other = np.uint8(here == 32) | np.uint8(here == 9) | np.uint8(here == 43) | np.uint8(here == 45)
        found |= begins & (zero | (other & np.uint8(here != separator)))
        before = here
    return found != 0
