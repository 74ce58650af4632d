"""Finding what is largest or smallest by counting the bits of numbers, without a copy of them.

Of non-negative numbers, whole or floating, those with the larger bits are larger; floats of either sign are
told apart by magnitude here, which is all bits but the first. The numbers are passed as these bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_u = np.uint64
_DIGIT = np.uint64(16)
_LOW = np.uint64((1 << 16) - 1)


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
    width = _u(8 * bits.itemsize)
    unsigned = (_u(1) << (width - _u(1))) - _u(1)
    counts = np.empty(1 << 16, dtype=np.int64)
    prefix, known, shift = _u(0), _u(0), width
    n_smaller, digit = 0, _u(0)
    while shift > 0:
        shift -= _DIGIT
        counts[:] = 0
        for i in range(_u(len(bits))):
            magnitude = _u(bits[i]) & unsigned
            if magnitude & known == prefix:
                counts[(magnitude >> shift) & _LOW] += 1
        digit = _u(0)
        while n_smaller + counts[digit] <= rank:
            n_smaller += counts[digit]
            digit += _u(1)
        prefix |= digit << shift
        known |= _LOW << shift
    return prefix, n_smaller, counts[digit]


@njit(cache=True, nogil=True)
def mark_beyond(bits, limit, larger, n_ties, marks):
    """Mark the magnitudes larger than ``limit``, or the smaller ones, and the first ``n_ties`` equal ones."""
    unsigned = (_u(1) << _u(8 * bits.itemsize - 1)) - _u(1)
    limit = _u(limit)
    for i in range(_u(len(bits))):
        magnitude = _u(bits[i]) & unsigned
        if magnitude == limit:
            marks[i] = n_ties > 0
            n_ties -= 1
        else:
            marks[i] = (magnitude > limit) == larger
