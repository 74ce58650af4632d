"""Bytes as words of eight, each byte the first of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PADDING = 24
"""Bytes that precede the first field in a buffer, as words are loaded backwards from a field's end."""

BEHIND = 64
"""Zeros that follow on the last field, no separators: as many as are looked at together."""


def padded(data: bytes) -> NDArray[np.uint8]:
    """Return a buffer of bytes that begin behind the padding; zeros follow on them."""
    buffer = np.empty(PADDING + len(data) + BEHIND, np.uint8)
    buffer[:PADDING] = buffer[PADDING + len(data) :] = 0
    buffer[PADDING : PADDING + len(data)] = np.frombuffer(data, np.uint8)
    return buffer


def content(buffer: NDArray[np.uint8]) -> bytes:
    """Return the bytes of a buffer that `padded` made."""
    return buffer[PADDING:-BEHIND].tobytes()


def as_words(buffer: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return a view of the eight bytes from each byte on, little-endian; the last ones begin none."""
    return np.ndarray(buffer.size - 7, np.dtype("<u8"), buffer.data, strides=(1,))
