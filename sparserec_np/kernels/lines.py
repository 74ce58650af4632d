"""Lines of text split into fields."""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.bits import AT_ONCE, count_bits, equal_bits, high_bits, lowest_bit

_u = np.uint64
_1 = np.uint64(1)
_NEWLINE, _QUOTE, _NUL, _RETURN = np.uint8(10), np.uint8(34), np.uint8(0), np.uint8(13)

_AT_ONCE, _FEW = np.uint64(AT_ONCE), np.uint64(4)


@njit(cache=True, nogil=True)
def count_newlines(buffer, begin, end):
    """Count the newlines in ``buffer[begin:end]``, of (n_bytes,) uint8, and find where the last one ends.

    Returns
    -------
    n_newlines : int
    behind : int
        The place behind the last newline, or ``begin``.
    """
    total, at, behind = _u(0), _u(begin), _u(end)
    while at + _AT_ONCE <= behind:
        total += count_bits(equal_bits(buffer, at, _NEWLINE))
        at += _AT_ONCE
    for rest in range(at, behind):
        total += _u(buffer[rest] == _NEWLINE)
    while behind > _u(begin) and buffer[behind - _1] != _NEWLINE:
        behind -= _1
    return np.int64(total), np.int64(behind)


@njit(cache=True, nogil=True)
def find_ends(buffer, begin, end, separator, found):
    """Find all separators and newlines.

    Parameters
    ----------
    buffer : (n_bytes,) uint8
        At least `AT_ONCE` zeros follow on ``end``.
    begin, end : int
        The bytes to search.
    separator : uint8
    found : (n,) int32
        Written: where they are, ascending; `AT_ONCE` longer than there may be of them.

    Returns
    -------
    n_found, n_newlines, n_quotes : int
    has_nul, has_return, is_ascii : bool
        Whether there is a NUL byte or a carriage return, and whether all bytes are below 128.
    """
    n_found, n_newlines, n_quotes = _u(0), _u(0), _u(0)
    nuls, returns, high = _u(0), _u(0), _u(0)
    for at in range(_u(begin), _u(end), _AT_ONCE):
        newlines = equal_bits(buffer, at, _NEWLINE)
        bits = newlines | equal_bits(buffer, at, separator)
        behind_end = max(at + _AT_ONCE, _u(end)) - _u(end)
        nuls |= equal_bits(buffer, at, _NUL) << behind_end
        returns |= equal_bits(buffer, at, _RETURN)
        high |= high_bits(buffer, at)
        n_quotes += count_bits(equal_bits(buffer, at, _QUOTE))
        n_newlines += count_bits(newlines)
        behind = n_found + count_bits(bits)
        # A few at a time, though some be none: a wrong guess of how many there are takes longer.
        while n_found < behind:
            for one in range(_FEW):
                found[n_found + one] = at + lowest_bit(bits)
                bits &= bits - _1
            n_found += _FEW
        n_found = behind
    return (
        np.int64(n_found),
        np.int64(n_newlines),
        np.int64(n_quotes),
        nuls != _u(0),
        returns != _u(0),
        high == _u(0),
    )


@njit(cache=True, nogil=True)
def find_fields(buffer, begin, found, has_quotes, rows_of, starts, ends):
    """Find where the fields of the columns that are read begin and end.

    Parameters
    ----------
    buffer : (n_bytes,) uint8
        Whole lines from ``begin`` on, each ending with a newline; empty ones are passed over.
    begin : int
    found : (n,) int32
        Where there are separators and newlines.
    has_quotes : bool
        Whether there are quotes.
    rows_of : (n_fields,) int64
        For each field of a line its row in ``starts`` and ``ends``; less than 0 where it is not read.
    starts, ends : (n_columns, n_newlines) int32
        Written: the field of a line is ``buffer[start:end]``, without quotes that enclose it.

    Returns
    -------
    n_lines : int
        How many lines are not empty; -1 where one has another number of fields.
    n_quotes : int
        How many quotes stand around fields, counted over all of these.
    """
    n_found = _u(len(found))
    n_lines, n_quotes, start, k, last = _u(0), _u(0), _u(begin), _u(0), _u(len(rows_of)) - _1
    while k < n_found:
        if _u(found[k]) == start and buffer[start] == _NEWLINE:
            start += _1
            k += _1
            continue
        if k + last >= n_found:
            return -1, n_quotes
        for field in range(last + _1):
            end = _u(found[k])
            k += _1
            if (buffer[end] == _NEWLINE) != (field == last):
                return -1, n_quotes
            quoted = _u(
                has_quotes and end - start > _1 and buffer[start] == _QUOTE and buffer[end - _1] == _QUOTE
            )
            n_quotes += quoted << _1
            if rows_of[field] >= 0:
                row = _u(rows_of[field])
                starts[row, n_lines] = start + quoted
                ends[row, n_lines] = end - quoted
            start = end + _1
        n_lines += _1
    return np.int64(n_lines), n_quotes
