"""Finding what is largest or smallest by counting the bits of numbers, without a copy of them.

Of non-negative numbers, whole or floating, those with the larger bits are larger; floats of either sign are
told apart by magnitude here, which is all bits but the first. The numbers are passed as these bits.
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit

_u = np.uint64
_DIGIT = np.uint64(16)
_LOW = np.uint64((1 << 16) - 1)
# So many numbers are looked at together, in vector instructions, before any by itself.
_BLOCK = np.uint64(64)


@njit(nogil=True, inline="always")
def _all_but_the_sign(bits):
    return bits.dtype.type((_u(1) << _u(8 * bits.itemsize - 1)) - _u(1))


@njit(cache=True, nogil=True)
def count_positive(bits):
    """Count the magnitudes that are not 0."""
    unsigned, n = _all_but_the_sign(bits), _u(0)
    for i in range(_u(len(bits))):
        n += _u(bits[i] & unsigned != 0)
    return n


@njit(cache=True, nogil=True)
def magnitude_of_rank(bits, rank):
    """Return the magnitude that stands at ``rank`` (0 … n - 1) in ascending order.

    Parameters
    ----------
    bits : (n,) uint32 or uint64
    rank : int

    Returns
    -------
    magnitude, n_smaller, n_equal : int
        Its bits, and how many of the magnitudes are smaller, and equal.
    """
    unsigned, n = _all_but_the_sign(bits), _u(len(bits))
    shift = _u(8 * bits.itemsize) - _DIGIT
    counts = np.zeros(1 << 16, dtype=np.int64)
    for i in range(n):
        counts[_u(bits[i] & unsigned) >> shift] += 1
    n_smaller, digit = _digit_of_rank(counts, 0, rank)
    prefix, known = digit << shift, _LOW << shift
    while shift > 0:
        shift -= _DIGIT
        counts[:] = 0
        here, mask = bits.dtype.type(prefix), bits.dtype.type(known) & unsigned
        for begin in range(_u(0), n, _BLOCK):
            end, n_here = min(begin + _BLOCK, n), bits.dtype.type(0)
            for i in range(begin, end):
                n_here += bits.dtype.type(bits[i] & mask == here)
            # Most blocks have none that begins with the digits known so far.
            if n_here > 0:
                for i in range(begin, end):
                    if bits[i] & mask == here:
                        counts[(_u(bits[i]) >> shift) & _LOW] += 1
        n_smaller, digit = _digit_of_rank(counts, n_smaller, rank)
        prefix |= digit << shift
        known |= _LOW << shift
    return prefix, n_smaller, counts[digit]


@njit(nogil=True)
def _digit_of_rank(counts, n_smaller, rank):
    """Return how many are smaller than those with the digit that stands at ``rank``, and this digit."""
    digit = _u(0)
    while n_smaller + counts[digit] <= rank:
        n_smaller += counts[digit]
        digit += _u(1)
    return n_smaller, digit


@njit(cache=True, nogil=True)
def mark_beyond(bits, limit, larger, n_ties, marks):
    """Mark the magnitudes larger than ``limit``, or the smaller ones, and the first ``n_ties`` equal ones."""
    unsigned, limit, n = _all_but_the_sign(bits), bits.dtype.type(limit), _u(len(bits))
    for begin in range(_u(0), n, _BLOCK):
        end, n_equal = min(begin + _BLOCK, n), bits.dtype.type(0)
        for i in range(begin, end):
            magnitude = bits[i] & unsigned
            marks[i] = (magnitude > limit) == larger
            n_equal += bits.dtype.type(magnitude == limit)
        if n_equal > 0:
            for i in range(begin, end):
                if bits[i] & unsigned == limit:
                    marks[i] = n_ties > 0
                    n_ties -= 1
