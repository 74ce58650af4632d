"""Integer ids looked up in tables over their range."""

from __future__ import annotations

from sparserec_np.compilation import njit


@njit(cache=True, nogil=True)
def mark(ids, low, present):
    """Mark ids as present in a table that begins with the id ``low``."""
    for id in ids:
        present[id - low] = True


@njit(cache=True, nogil=True)
def look_up(ids, low, table, out):
    """Write what a table that begins with the id ``low`` holds for each of the ids, be it in their place."""
    for row in range(len(ids)):
        out[row] = table[ids[row] - low]
