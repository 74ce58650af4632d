"""Pruning and growing in place: walks over the stored entries, in linear time.

What an exploration does to a table is told by two arrays: ``kept``, whether each entry stays, and ``places``,
the numbers that the grown entries have afterwards, ascending. As many are grown as are not kept.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def clear_stored(slots, indptr, columns, scores):
    """Set ``scores[slots[row], c]`` to 0 where the entry ``(row, c)`` of a table is stored."""
    for row in range(np.uint64(len(slots))):
        if slots[row] >= 0:
            judged = scores[np.uint64(slots[row])]
            for q in range(np.uint64(indptr[row]), np.uint64(indptr[row + np.uint64(1)])):
                judged[columns[q]] = 0


@njit(cache=True, nogil=True)
def place_grown(indptr, columns, kept, slots, chosen, places, grown_columns):
    """Find the places and columns of what is grown, which is none of the stored entries.

    In row ``r`` these are the columns ``c`` with ``chosen[slots[r], c]``, if ``slots[r]`` is not -1.
    ``indptr`` is changed to what it is afterwards.
    """
    n_kept, n_grown, q = 0, 0, indptr[0]
    for row in range(len(indptr) - 1):
        end = indptr[row + 1]
        if slots[row] >= 0:
            grows = chosen[slots[row]]
            for column in range(len(grows)):
                if not grows[column]:
                    continue
                while q < end and columns[q] < column:
                    n_kept += kept[q]
                    q += 1
                places[n_grown] = n_kept + n_grown
                grown_columns[n_grown] = column
                n_grown += 1
        while q < end:
            n_kept += kept[q]
            q += 1
        indptr[row + 1] = n_kept + n_grown


@njit(cache=True, nogil=True)
def replace_entries(kept, places, value, array):
    """Move what an array has for each entry to the entry's new place; grown entries get ``value``."""
    n = 0
    for q in range(len(array)):
        array[n] = array[q]
        n += kept[q]
    end = len(array)
    for g in range(len(places) - 1, -1, -1):
        for place in range(end - 1, places[g], -1):
            n -= 1
            array[place] = array[n]
        end = places[g]
        array[end] = value
