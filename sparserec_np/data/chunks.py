"""Long columns as the chunks that they came in: held in memory, or kept in a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.memory import mapped

_LENGTH = 1 << 20  # values


class Chunks(Protocol):
    """Arrays of one dimension, one behind the other."""

    def append(self, chunk: NDArray[Any]) -> None:
        """Add an array."""

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Walk them, first to last."""

    def drain(self) -> Iterator[NDArray[Any]]:
        """Walk them for the last time: each is forgotten once it was handed out."""

    def clear(self) -> None:
        """Forget them."""


class MemoryChunks:
    """Arrays held in memory, gathered in a few long ones, whose memory goes with each of them."""

    def __init__(self) -> None:
        self._full: deque[NDArray[Any]] = deque()
        self._last = np.empty(0)
        self._used = 0

    def append(self, chunk: NDArray[Any]) -> None:
        """Add an array; it is copied."""
        if chunk.dtype != self._last.dtype or self._used + chunk.size > self._last.size:
            self._finish()
            self._last = mapped(max(_LENGTH, chunk.size), chunk.dtype)
        self._last[self._used : self._used + chunk.size] = chunk
        self._used += chunk.size

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Walk them, first to last."""
        self._finish()
        return iter(self._full)

    def drain(self) -> Iterator[NDArray[Any]]:
        """Walk them for the last time: each is forgotten once it was handed out."""
        self._finish()
        while self._full:
            yield self._full.popleft()

    def clear(self) -> None:
        """Forget them."""
        self._full.clear()
        self._last, self._used = np.empty(0), 0

    def _finish(self) -> None:
        if self._used:
            self._full.append(self._last[: self._used])
        self._last, self._used = np.empty(0), 0


class FileChunks:
    """Arrays kept in a file, so that there may be more of them than fit into memory.

    Parameters
    ----------
    path : Path
        The file, which is made with the first of them and removed when they are drained.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: list[tuple[np.dtype[Any], int]] = []

    def append(self, chunk: NDArray[Any]) -> None:
        """Add an array."""
        with open(self._path, "ab") as file:
            file.write(np.ascontiguousarray(chunk).data)
        self._kept.append((chunk.dtype, chunk.size))

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Walk them, first to last."""
        if self._kept:
            with open(self._path, "rb") as file:
                for kind, size in self._kept:
                    chunk = np.empty(size, kind)
                    file.readinto(chunk.data)
                    yield chunk

    def drain(self) -> Iterator[NDArray[Any]]:
        """Walk them for the last time: the file is removed at the end."""
        yield from self
        self.clear()

    def clear(self) -> None:
        """Forget them, and remove the file."""
        self._kept.clear()
        self._path.unlink(missing_ok=True)
