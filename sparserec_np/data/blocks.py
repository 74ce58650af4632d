"""Blocks of a file, split into fields in one of two ways.

A `FastBlock` knows where each field begins and ends, so that numbers are parsed for a whole column at
once. A `CarefulBlock` holds rows of strings with their line numbers: quotes have been understood, and an
error can be located.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.codebook import Codebook
from sparserec_np.data.sniff import BLANKS, Layout
from sparserec_np.data.words import BEHIND, PADDING, content, padded
from sparserec_np.kernels.digits import parse_decimals, parse_integers
from sparserec_np.kernels.lines import find_ends, find_fields

_STAND_IN = b"\x1f"  # one byte in place of a longer separator


class FastBlock:
    """A block whose fields are known by where they begin and end, in the columns that are read."""

    def __init__(
        self,
        layout: Layout,
        separator: bytes,
        buffer: NDArray[np.uint8],
        starts: NDArray[np.int32],
        ends: NDArray[np.int32],
    ) -> None:
        self.n_rows = ends.shape[1]
        self._layout = layout
        self._separator = separator
        self._buffer = buffer
        self._starts = starts
        self._ends = ends
        self._texts: list[str] | None = None
        self._has_blanks = False

    def fields(self, role: str) -> _FastFields:
        """Return a column."""
        row = list(self._layout.columns).index(role)
        return _FastFields(self, role, self._buffer, self._starts[row], self._ends[row])

    def texts(self, role: str) -> list[str]:
        """Return a column as text."""
        if self._texts is None:
            # Every quote encloses a whole field, or the block would not be here.
            data = re.sub(rb"\n{2,}", b"\n", content(self._buffer)).lstrip(b"\n")
            data = data.replace(b"\n", self._separator).replace(b'"', b"")
            self._texts = data.decode().split(self._separator.decode())
            blanks = (blank.encode() for blank in BLANKS)
            self._has_blanks = any(blank in data for blank in blanks if blank != self._separator)
        n_fields = self._layout.n_fields
        texts = self._texts[self._layout.columns[role] : self.n_rows * n_fields : n_fields]
        return [text.strip(BLANKS) for text in texts] if self._has_blanks else texts


@dataclass(frozen=True)
class _FastFields:
    block: FastBlock
    role: str
    buffer: NDArray[np.uint8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    def integers(self, *, canonical: bool = False) -> NDArray[np.int64] | None:
        numbers = np.empty(len(self.starts), np.int64)
        fit = parse_integers(self.buffer, self.starts, self.ends, canonical, numbers)
        return numbers if fit else None

    def decimals(self) -> NDArray[np.float64] | None:
        numbers = np.empty(len(self.starts), np.float64)
        return numbers if parse_decimals(self.buffer, self.starts, self.ends, numbers) else None

    def texts(self) -> list[str]:
        return self.block.texts(self.role)

    def codes(self, book: Codebook) -> NDArray[np.int32]:
        return book.encode_fields(self.buffer, self.starts, self.ends)


@dataclass(frozen=True)
class CarefulBlock:
    """A block split into rows, with the line on which each begins."""

    rows: list[list[str]]
    lines: list[int]
    layout: Layout

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def fields(self, role: str) -> _CarefulFields:
        """Return a column."""
        position = self.layout.columns[role]
        return _CarefulFields([row[position] for row in self.rows])


class _CarefulFields:
    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    def integers(self, *, canonical: bool = False) -> None:
        return None

    def decimals(self) -> None:
        return None

    def texts(self) -> list[str]:
        return self._texts

    def codes(self, book: Codebook) -> NDArray[np.int32]:
        return book.encode(self._texts)


class LineFeed:
    """Lines for the csv module; false once the text that it was made for is used up.

    A row whose quoted field goes on beyond the text makes it ask for more. What was handed out stays in
    `taken` until that is cleared.
    """

    def __init__(self, text: str, more: Callable[[], str | None]) -> None:
        self._lines = self._split(text)
        self._more = more
        self.taken: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._lines:
            text = self._more()
            if text is None:
                raise StopIteration
            self._lines = self._split(text)
        self.taken.append(self._lines.popleft())
        return self.taken[-1]

    @staticmethod
    def _split(text: str) -> deque[str]:
        return deque(line + "\n" for line in text.removesuffix("\n").split("\n"))


class FastSplitter:
    """Finds all fields of a block at once.

    Parameters
    ----------
    layout : Layout
        How the file is laid out.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        separator = layout.separator.encode()
        self._separator = separator if len(separator) == 1 else _STAND_IN
        self._rows_of = np.full(layout.n_fields, -1)
        self._rows_of[list(layout.columns.values())] = np.arange(len(layout.columns))
        self._found = np.empty(0, np.int32)  # used again: memory that is new to a process costs it time
        # Whether blocks are changed before they are split: line ends of two bytes do so from the first on.
        self._changes = self._separator == _STAND_IN or self._separator == b" "

    def split(self, buffer: NDArray[np.uint8]) -> FastBlock | None:
        """Split a block of whole lines, padded; not for two threads at once.

        Returns
        -------
        FastBlock or None
            None where more care is needed: text that is not UTF-8, another number of fields, quotes that do
            more than enclose a whole field.
        """
        if self._changes:
            data = content(buffer).replace(b"\r\n", b"\n")
            if self._separator == b" " and re.search(rb"[\t\r]|  |^ | $", data, re.MULTILINE):
                return None
            if self._separator == _STAND_IN:
                if _STAND_IN in data:
                    return None
                data = data.replace(self._layout.separator.encode(), _STAND_IN)
            buffer = padded(data)

        if len(self._found) < len(buffer):
            self._found = np.empty(len(buffer), np.int32)
        n_found, n_newlines, n_quotes, has_nul, has_return, is_ascii = find_ends(
            buffer, PADDING, len(buffer) - BEHIND, np.uint8(ord(self._separator)), self._found
        )
        if has_return and not self._changes:
            self._changes = True
            return self.split(buffer)
        if has_nul or not (is_ascii or _is_utf8(content(buffer))):
            return None
        starts = np.empty((len(self._layout.columns), n_newlines), np.int32)
        ends = np.empty_like(starts)
        n_lines, n_enclosing = find_fields(
            buffer, PADDING, self._found[:n_found], n_quotes > 0, self._rows_of, starts, ends
        )
        # Other quotes stand inside a field, or hide a separator.
        if n_lines < 0 or n_enclosing != n_quotes:
            return None
        return FastBlock(self._layout, self._separator, buffer, starts[:, :n_lines], ends[:, :n_lines])


def _is_utf8(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False
