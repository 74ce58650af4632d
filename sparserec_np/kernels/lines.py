"""Lines of text split into fields."""

from __future__ import annotations

import numpy as np
from numba import njit

_u = np.uint64
_1 = np.uint64(1)
_PIECE = np.uint64(4096)  # bytes between looking whether there are more fields than there may be
_NEWLINE, _QUOTE = np.uint8(10), np.uint8(34)


@njit(cache=True, nogil=True)
def find_fields(buffer, begin, separator, ends_field, rows_of, starts, ends):
    """Find where the fields of the columns that are read begin and end.

    Parameters
    ----------
    buffer : (n_bytes,) uint8
        Whole lines from ``begin`` on, each ending with a newline; empty ones are passed over.
    begin : int
    separator : uint8
    ends_field : (256,) uint8
        1 for the separator and the newline, 0 for any other byte.
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
    # Every byte is noted, and the note is left standing or not: a wrong guess of where a field ends, as the
    # processor makes it at every other one, takes longer than ten bytes.
    most = _u(starts.shape[1] * len(rows_of))
    found = np.empty(most + _PIECE, np.int32)
    n_found = _u(0)
    for piece in range(_u(begin), _u(len(buffer)), _PIECE):
        if n_found > most:
            return -1, _u(0)
        for at in range(piece, min(piece + _PIECE, _u(len(buffer)))):
            found[n_found] = at
            n_found += _u(ends_field[buffer[at]])
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
            if buffer[end] != (_NEWLINE if field == last else separator):
                return -1, n_quotes
            quoted = _u(end - start > _1 and buffer[start] == _QUOTE and buffer[end - _1] == _QUOTE)
            n_quotes += quoted << _1
            if rows_of[field] >= 0:
                row = _u(rows_of[field])
                starts[row, n_lines] = start + quoted
                ends[row, n_lines] = end - quoted
            start = end + _1
        n_lines += _1
    return np.int64(n_lines), n_quotes
