"""Pruning and growing: walks over the stored entries, in linear time, nothing held but the result."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mark_stored(rows, indptr, columns, scores):
    """Set ``scores[i, c]`` to 0 where the entry ``(rows[i], c)`` of a table is stored."""
    for i in range(np.uint64(len(rows))):
        row = np.uint64(rows[i])
        for q in range(np.uint64(indptr[row]), np.uint64(indptr[row + np.uint64(1)])):
            scores[i, columns[q]] = 0


@njit(cache=True, nogil=True)
def merge_entries(
    indptr, columns, data, keep, grown_rows, grown_columns, new_indptr, new_columns, new_data, origin
):
    """Write the kept entries and the grown ones, which are 0, row by row with rising columns.

    The grown entries come in the order of rows and columns, and none is stored already. ``origin`` becomes
    the old number of each entry, -1 for grown ones.
    """
    n, g = 0, 0
    new_indptr[0] = 0
    for row in range(len(indptr) - 1):
        for q in range(indptr[row], indptr[row + 1]):
            if not keep[q]:
                continue
            while g < len(grown_rows) and grown_rows[g] == row and grown_columns[g] < columns[q]:
                new_columns[n], new_data[n], origin[n] = grown_columns[g], 0, -1
                n += 1
                g += 1
            new_columns[n], new_data[n], origin[n] = columns[q], data[q], q
            n += 1
        while g < len(grown_rows) and grown_rows[g] == row:
            new_columns[n], new_data[n], origin[n] = grown_columns[g], 0, -1
            n += 1
            g += 1
        new_indptr[row + 1] = n


@njit(cache=True, nogil=True)
def follow_entries(origin, old, start, new):
    """``new[q] = old[origin[q]]``, or ``start`` where there is no old entry."""
    for q in range(len(origin)):
        new[q] = old[origin[q]] if origin[q] >= 0 else start
