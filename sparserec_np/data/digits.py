"""Whole columns of unsigned numbers parsed from bytes, eight digits at a time.

Up to eight characters are loaded as one 64-bit word, so that a word costs the same dozen array operations
whatever its number of digits. Anything but plain digits and one decimal point is left to Python.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PADDING = 24
"""Bytes that must precede the first field in a buffer, as words are loaded backwards from a field's end."""

_MAX_DIGITS = 18  # the most that always fit int64
_MAX_EXACT_DIGITS = 15  # below 2**53, so that one division rounds as Python's float() does

# _KEEP[n] keeps the last n characters of a little-endian word, _ZEROS[n] holds "0" in each of them.
_KEEP = np.array([0] + [(2**64 - 1) >> (64 - 8 * n) << (64 - 8 * n) for n in range(1, 9)], dtype=np.uint64)
_ZEROS = _KEEP & np.uint64(0x3030303030303030)


def parse_integers(
    buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Parse fields of digits.

    Parameters
    ----------
    buffer : ndarray of uint8
        Text; no field starts before `PADDING`.
    starts, ends : ndarray of int64
        The fields: ``buffer[start:end]``.

    Returns
    -------
    ndarray of int64 or None
        The numbers; None if some field is empty, longer than 18 digits or no plain number.
    """
    lengths = ends - starts
    if lengths.min(initial=1) < 1:
        return None
    return _parse_digits(buffer, lengths, ends)


def parse_decimals(
    buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Parse fields of digits with at most one decimal point, to the bits that ``float`` would give.

    Parameters
    ----------
    buffer, starts, ends
        As for `parse_integers`.

    Returns
    -------
    ndarray of float64 or None
        The numbers; None if some field has a sign, an exponent, more than 15 digits or is no number.
    """
    points = np.append(np.flatnonzero(buffer == ord(".")), buffer.size)
    points = np.minimum(points[np.searchsorted(points, starts)], ends)
    n_whole = points - starts
    n_fraction = np.maximum(ends - points - 1, 0)
    n_digits = n_whole + n_fraction
    if n_digits.min(initial=1) < 1 or n_digits.max(initial=1) > _MAX_EXACT_DIGITS:
        return None
    whole = _parse_digits(buffer, n_whole, points)
    fraction = _parse_digits(buffer, n_fraction, ends)
    if whole is None or fraction is None:
        return None
    scale = np.power(10, n_fraction)
    return (whole * scale + fraction) / scale


def _parse_digits(
    buffer: NDArray[np.uint8], lengths: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Parse the `lengths` digits before each of `ends`; no digits are 0."""
    longest = int(lengths.max(initial=0))
    if longest > _MAX_DIGITS:
        return None
    words = np.ndarray(buffer.size - 7, dtype="<u8", buffer=buffer.data, strides=(1,))
    total = np.zeros(lengths.size, dtype=np.uint64)
    for done in range(0, longest, 8):
        here = np.clip(lengths - done, 0, 8)
        digits = (words[ends - done - 8] & _KEEP[here]) ^ _ZEROS[here]
        # A byte of 10 or more reaches its top bit when 0x76 is added; one above 0x7f has it already.
        if np.any(((digits + np.uint64(0x7676767676767676)) | digits) & np.uint64(0x8080808080808080)):
            return None
        digits = (digits * np.uint64(10) + (digits >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
        digits = (digits * np.uint64(100) + (digits >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
        digits = (digits * np.uint64(10000) + (digits >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
        total += digits * np.uint64(10**done)
    return total.astype(np.int64)
