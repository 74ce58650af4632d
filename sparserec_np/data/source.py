"""Bytes from a file, compressed or not, or from standard input, in blocks of whole lines."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.words import BEHIND, PADDING, padded
from sparserec_np.errors import DataError
from sparserec_np.kernels.lines import count_newlines

BLOCK_BYTES = 1 << 21
"""Size of a block: large enough to hide Python's overhead, small enough to stay near."""

_Thing = TypeVar("_Thing")

_LONGEST_LINE = 64 << 20
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or spreadsheet",
    b"PAR1": "a Parquet file",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_LONGEST_MARK = max(map(len, [_BOM, *_FOREIGN]))


class Source:
    """A text file read as bytes, a block of whole lines at a time.

    Compression is told by the first bytes, not by the suffix, so that it is found on standard input too.

    Parameters
    ----------
    path : str or path-like
        The file; ``"-"`` for standard input.

    Attributes
    ----------
    name : str
        What messages call the file.
    is_file : bool
        Whether it is a file, not standard input.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.is_file = self._close = os.fspath(path) != "-"
        self.name = str(Path(path)) if self._close else "standard input"
        if not self._close and sys.stdin is None:
            raise DataError(f"{self.name}: it is closed; give a file, or something to read from")
        try:
            # Not a "with": the file stays open for as long as the source.
            raw = open(path, "rb") if self._close else sys.stdin.buffer  # noqa: SIM115
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read: {error.strerror}; give a file that can") from error
        peeks = raw if hasattr(raw, "peek") else io.BufferedReader(cast(io.RawIOBase, raw))
        self._raw = cast(io.BufferedReader, peeks)
        self._stream = self._decompressed()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._close:
            self._raw.close()

    def blocks(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield blocks of whole lines as `padded` would, each with the number of its first line.

        Each line ends with a newline; a byte-order mark is left out.
        """
        rest = np.empty(0, np.uint8)
        n_lines = 0
        first = True
        while True:
            # Read to where it stays. NumPy lets other threads go on while it copies; joining bytes would not.
            start = PADDING + rest.size
            buffer = np.empty(start + BLOCK_BYTES + BEHIND, np.uint8)
            buffer[PADDING:start] = rest
            end = start + self._read(buffer[start:-BEHIND], n_lines)
            if end == start:
                break
            if first:
                first = False
                begin = buffer[start:end][:_LONGEST_MARK].tobytes()
                self._refuse_foreign(begin)
                if begin.startswith(_BOM):
                    buffer, end = buffer[len(_BOM) :], end - len(_BOM)
            n_newlines, cut = count_newlines(buffer, PADDING, end)
            rest = buffer[cut:end].copy()
            if n_newlines:
                buffer[:PADDING] = buffer[cut : cut + BEHIND] = 0
                yield n_lines + 1, buffer[: cut + BEHIND]
                n_lines += n_newlines
            if len(rest) > _LONGEST_LINE:
                raise DataError(
                    f"{self.name}, line {n_lines + 1}: found a line of more than {_LONGEST_LINE >> 20} MiB; "
                    "expected one interaction a line; end each line with a newline"
                )
        if rest.size:
            yield n_lines + 1, padded(rest.tobytes() + b"\n")

    def _decompressed(self) -> io.BufferedIOBase:
        start = self._raw.peek(6)
        if start.startswith(b"\x1f\x8b"):
            return gzip.GzipFile(fileobj=self._raw)
        if start.startswith(b"BZh"):
            return bz2.BZ2File(self._raw)
        if start.startswith(b"\xfd7zXZ\x00"):
            return lzma.LZMAFile(self._raw)
        return self._raw

    def _read(self, room: NDArray[np.uint8], n_lines: int) -> int:
        """Fill the room as far as there are bytes; return how many there were."""
        try:
            return self._stream.readinto(room.data)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise DataError(
                f"{self.name}, after line {n_lines}: the file is truncated or damaged ({error}); "
                "expected it to go on; fetch or compress it again"
            ) from error

    def _refuse_foreign(self, data: bytes) -> None:
        for magic, kind in _FOREIGN.items():
            if data.startswith(magic):
                raise DataError(
                    f"{self.name}, line 1, column 1: found {kind}; expected text in UTF-8, plain or "
                    "compressed as .gz, .bz2 or .xz; convert it to CSV"
                )


def ahead(things: Iterator[_Thing], pool: Executor) -> Iterator[_Thing]:
    """Yield things, each while the next one is being made by a thread of the pool.

    The pool is the caller's, who shuts it down: were it this generator's own, a generator that an error left
    behind would wait for a thread whenever it happened to be collected, be it in the midst of starting one.
    """
    following = pool.submit(next, things, None)
    while (thing := following.result()) is not None:
        following = pool.submit(next, things, None)
        yield thing
