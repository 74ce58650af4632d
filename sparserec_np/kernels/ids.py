"""Integer ids looked up in tables over their range."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mark(ids, low, present):
    """Mark ids as present in a table that begins with the id ``low``."""
    for id in ids:
        present[id - low] = True


@njit(cache=True, nogil=True)
def look_up(ids, low, table):
    """Return what a table that begins with the id ``low`` holds for each of the ids."""
    found = np.empty(len(ids), table.dtype)
    for row in range(len(ids)):
        found[row] = table[ids[row] - low]
    return found
