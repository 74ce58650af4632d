"""Long arrays in memory of their own."""

from __future__ import annotations

import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mapped(size: int, kind: Any) -> NDArray[Any]:
    """Return zeros whose memory comes page by page as they are written, and goes once they are forgotten.

    NumPy asks for pages of some MB, each of which is there as a whole once anything is written to it; and
    what it frees, the allocator may keep. So one column could not be made in the memory of another.

    Parameters
    ----------
    size : int
        Length of the array, of one dimension.
    kind : dtype-like
    """
    n_bytes = max(1, size * np.dtype(kind).itemsize)
    if sys.platform == "win32":
        return np.frombuffer(mmap.mmap(-1, n_bytes), kind, size)
    return np.frombuffer(mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), kind, size)
