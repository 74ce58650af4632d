"""Whole columns of unsigned numbers parsed from bytes, eight digits at a time.

Anything but plain digits and one decimal point is left to Python.
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.words import word_at

_u = np.uint64
_0, _EIGHT = _u(0), _u(8)
_MAX_DIGITS = _u(18)  # the most that always fit int64
_MAX_EXACT_DIGITS = 15  # below 2**53, so that one division rounds as Python's float() does
_POWERS = 10.0 ** np.arange(_MAX_EXACT_DIGITS + 1)

_ZEROS = _u(0x3030303030303030)
_TO_TOP, _TOP = _u(0x7676767676767676), _u(0x8080808080808080)
_LEADING_ZERO = np.uint8(ord("0"))


@njit(cache=True, nogil=True)
def parse_integers(buffer, starts, ends, canonical, numbers):
    """Parse fields of at most 18 digits.

    Parameters
    ----------
    buffer : (n_bytes,) uint8
    starts, ends : (n,) int32
        Where each field begins and ends; none begins before the 24th byte.
    canonical : bool
        Whether to refuse a leading zero that would be lost.
    numbers : (n,) int64
        Written.

    Returns
    -------
    bool
        Whether every field is such a number.
    """
    bad = _0
    for field in range(_u(len(starts))):
        start, end = _u(starts[field]), _u(ends[field])
        left = end - start
        if left < _u(1) or left > _MAX_DIGITS:
            return False
        if canonical and left > _u(1) and buffer[start] == _LEADING_ZERO:
            return False
        total, scale = _0, _u(1)
        while left > _0:
            # What stands before the field is shifted out.
            here = min(left, _EIGHT)
            before = _u(64) - (here << _u(3))
            digits = (word_at(buffer, end - _EIGHT) ^ _ZEROS) >> before << before
            # A byte of 10 or more reaches its top bit when 0x76 is added; one above 0x7f has it already.
            bad |= ((digits + _TO_TOP) | digits) & _TOP
            digits = (digits * _u(10) + (digits >> _u(8))) & _u(0x00FF00FF00FF00FF)
            digits = (digits * _u(100) + (digits >> _u(16))) & _u(0x0000FFFF0000FFFF)
            digits = (digits * _u(10000) + (digits >> _u(32))) & _u(0xFFFFFFFF)
            total += digits * scale
            scale *= _u(100_000_000)
            end -= _EIGHT
            left -= here
        numbers[field] = total
    return bad == _0


@njit(cache=True, nogil=True)
def parse_decimals(buffer, starts, ends, numbers):
    """Parse fields of at most 15 digits and one decimal point, to the bits that ``float`` would give.

    Parameters
    ----------
    buffer : (n_bytes,) uint8
    starts, ends : (n,) int32
        Where each field begins and ends.
    numbers : (n,) float64
        Written.

    Returns
    -------
    bool
        Whether every field is such a number.
    """
    for field in range(len(starts)):
        start, end = starts[field], ends[field]
        if end - start > _MAX_EXACT_DIGITS + 1:
            return False
        total, n_digits, n_fraction, n_points = np.int64(0), 0, 0, 0
        for at in range(start, end):
            byte = buffer[at]
            digit = np.uint8(byte - np.uint8(48))
            if digit < 10:
                total = total * 10 + digit
                n_digits += 1
                n_fraction += n_points
            elif byte == 46 and n_points == 0:  # the decimal point
                n_points = 1
            else:
                return False
        if n_digits < 1 or n_digits > _MAX_EXACT_DIGITS:
            return False
        numbers[field] = total / _POWERS[n_fraction]
    return True
