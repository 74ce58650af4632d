"""Bytes as words of eight, each byte the first of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PADDING = 24
"""Bytes that precede the first field in a buffer, as words are loaded backwards from a field's end."""

_BEHIND = 64  # zeros, no separators: as many as are looked at together


def padded(data: bytes) -> NDArray[np.uint8]:
    """Return a buffer of bytes that begin behind the padding; zeros follow on them."""
    buffer = np.empty(PADDING + len(data) + _BEHIND, np.uint8)
    buffer[:PADDING] = buffer[PADDING + len(data) :] = 0
    # NumPy lets other threads go on while it copies; joining bytes would not.
    buffer[PADDING : PADDING + len(data)] = np.frombuffer(data, np.uint8)
    return buffer


def as_words(buffer: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return a view of the eight bytes from each byte on, little-endian; the last ones begin none."""
    return np.ndarray(buffer.size - 7, np.dtype("<u8"), buffer.data, strides=(1,))
