"""Interactions files read as a stream of blocks.

Each block first takes the fast road, on which separators are found and numbers parsed for the whole block
at once; it is left for anything odd. The careful road understands quotes, knows line numbers and finds the
one field to blame. Both end in the same columns.
"""

from __future__ import annotations

import csv
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.columns import Column, IdColumn, TimeColumn, WeightColumn
from sparserec_np.data.digits import PADDING, parse_decimals, parse_integers
from sparserec_np.data.pairs import Ids, Rows
from sparserec_np.data.sniff import (
    BLANKS,
    SEPARATORS,
    ColumnChoice,
    Layout,
    find_layout,
    find_separator,
    shorten,
    split_line,
    split_lines,
    uses_quotes,
)
from sparserec_np.data.source import Source
from sparserec_np.errors import DataError, SettingError

_SAMPLE_LINES = 200
_STAND_IN = b"\x1f"  # one byte in place of a longer separator


@dataclass(frozen=True)
class Table:
    """The columns read from a file.

    Attributes
    ----------
    source : str
        What messages call the file.
    layout : Layout
        How it is laid out.
    rows : Rows
        Users and items by number, weights and times.
    user_ids, item_ids : ndarray of int64 or list of str
        The ids, ascending.
    """

    source: str
    layout: Layout
    rows: Rows
    user_ids: Ids
    item_ids: Ids


def read_table(
    path: str | os.PathLike[str],
    choices: dict[str, ColumnChoice],
    *,
    sep: str | None = None,
    header: bool | None = None,
    allow_negative: bool = False,
) -> Table:
    """Read the columns of an interactions file.

    Parameters
    ----------
    path : str or path-like
        The file, perhaps compressed; ``"-"`` for standard input.
    choices : dict of str to (str, int or None)
        For each role the column asked for: name, position counted from 1, or None to find it.
    sep : str, optional
        The separator; found out by default.
    header : bool, optional
        Whether the first line holds names; found out by default.
    allow_negative : bool
        Whether a weight may be negative.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file cannot be read or understood, or a field cannot be right.
    """
    if sep is not None and (not sep or sep in ('"', "\n", "\r")):
        raise SettingError(f"sep is {sep!r}; expected a separator such as ',', '\\t', ';', '::' or ' '")
    with Source(path) as source:
        return _Reader(source, choices, sep, header, allow_negative).read()


class _Reader:
    """One pass over a file."""

    def __init__(
        self,
        source: Source,
        choices: dict[str, ColumnChoice],
        sep: str | None,
        header: bool | None,
        allow_negative: bool,
    ) -> None:
        self._name = source.name
        self._blocks = source.blocks()
        # The first lines are decoded before the separator is known.
        self._separators = (sep,) if sep else tuple(SEPARATORS)
        line, first = self._first_block()
        self._layout = self._find_layout(first, line, choices, sep, header)
        self._separators = (self._layout.separator,)
        if self._layout.header:
            line, first = line + 1, first[first.index(b"\n") + 1 :]
        self._blocks = chain([(line, first)], self._blocks)
        self._users = IdColumn("user")
        self._items = IdColumn("item")
        self._weights = WeightColumn(allow_negative=allow_negative)
        self._times = TimeColumn()
        columns: tuple[Column, ...] = (self._users, self._items, self._weights, self._times)
        self._columns = [column for column in columns if column.role in self._layout.columns]

    def read(self) -> Table:
        """Read to the end."""
        n_rows = 0
        line = 1
        for line, raw in self._blocks:
            block: _FastBlock | _CarefulBlock | None = _split_fast(raw, self._layout)
            if block is None:
                block = self._split_carefully(raw, line)
            try:
                self._add(block)
            except ValueError:
                careful = block if isinstance(block, _CarefulBlock) else self._split_carefully(raw, line)
                self._blame(careful)
            n_rows += block.n_rows
        if not n_rows:
            raise DataError(
                f"{self._name}, line {line}: found a header and nothing after it; expected a line for "
                "each interaction; add them, or give header=False if the one line is no header"
            )
        users, user_ids = self._users.finish()
        items, item_ids = self._items.finish()
        weights = self._weights.finish() if self._weights in self._columns else None
        times = self._times.finish() if self._times in self._columns else None
        return Table(self._name, self._layout, Rows(users, items, weights, times), user_ids, item_ids)

    def _add(self, block: _FastBlock | _CarefulBlock) -> None:
        if block.n_rows == 0:
            return
        if isinstance(block, _CarefulBlock) and any(len(row) != self._layout.n_fields for row in block.rows):
            raise ValueError
        for column in self._columns:
            column.add(block.fields(self._layout.columns[column.role]))

    def _first_block(self) -> tuple[int, bytes]:
        """Return the first block that says something, from the line on which it does."""
        for line, block in self._blocks:
            text = block.lstrip(b"\n" + BLANKS.encode())
            if text:
                begin = block.rfind(b"\n", 0, len(block) - len(text)) + 1
                return line + block.count(b"\n", 0, begin), block[begin:]
        raise DataError(
            f"{self._name}, line 1, column 1: found an empty file; expected a line for each interaction: "
            "user, item and perhaps a rating and a time; give another file"
        )

    def _find_layout(
        self,
        block: bytes,
        line: int,
        choices: dict[str, ColumnChoice],
        sep: str | None,
        header: bool | None,
    ) -> Layout:
        cut = 0
        for _ in range(_SAMPLE_LINES):
            cut = block.find(b"\n", cut) + 1 or len(block)
        lines = [text for text in self._decode(block[:cut], line).split("\n") if text.strip(BLANKS)]
        where = f"{self._name}, line {line}"
        sep = sep or find_separator(lines, where)
        return find_layout(split_lines(lines, sep), sep, choices, header, where)

    def _split_carefully(self, raw: bytes, line: int) -> _CarefulBlock:
        """Split a block into rows with their line numbers; a quoted field may pull in further blocks."""
        text = self._decode(raw, line)
        separator = self._layout.separator
        if not (uses_quotes(separator) and '"' in text):
            numbered = [(n, row) for n, row in enumerate(text.split("\n"), line) if row.strip(" \r")]
            return _CarefulBlock(
                [split_line(row, separator) for _, row in numbered], [n for n, _ in numbered]
            )
        block = _CarefulBlock([], [])
        feed = _Feed(text, self._more_text)
        rows = csv.reader(feed, delimiter=separator, strict=True, skipinitialspace=True)
        begin = line
        while feed:
            feed.taken.clear()
            try:
                row = next(rows)
            except csv.Error as error:
                column, found = _badly_quoted("".join(feed.taken), separator)
                raise DataError(
                    f"{self._name}, line {begin}, column {column}: found {shorten(found)}, quoted wrongly "
                    f"({error}); expected a quote at its end, before the separator; close it, or double the "
                    'quotes inside it ("")'
                ) from error
            if len(row) > 1 or "".join(row).strip(BLANKS):
                block.rows.append([field.strip(BLANKS) for field in row])
                block.lines.append(begin)
            begin = line + rows.line_num
        return block

    def _more_text(self) -> str | None:
        line, raw = next(self._blocks, (0, b""))
        return self._decode(raw, line) or None

    def _decode(self, raw: bytes, line: int) -> str:
        """Decode a block that begins at the given line."""
        bad = raw.find(b"\0")
        try:
            if bad < 0:
                return raw.decode()
            found, mend = "a NUL byte", "it is no text, or is in UTF-16: convert it to CSV in UTF-8"
        except UnicodeDecodeError as error:
            bad = error.start
            found, mend = (
                f"the byte 0x{raw[bad]:02x}",
                "convert it, for example with: iconv -f latin1 -t utf-8",
            )
        begin = raw.rfind(b"\n", 0, bad) + 1
        line += raw.count(b"\n", 0, bad)
        column = 1 + max(raw.count(separator.encode(), begin, bad) for separator in self._separators)
        raise DataError(
            f"{self._name}, line {line}, column {column}: found {found}; expected text in UTF-8; {mend}"
        )

    def _blame(self, block: _CarefulBlock) -> NoReturn:
        """Raise the error that names the first field to be wrong."""
        layout = self._layout
        for line, row in zip(block.lines, block.rows, strict=True):
            if len(row) != layout.n_fields:
                name = SEPARATORS.get(layout.separator, repr(layout.separator))
                raise DataError(
                    f"{self._name}, line {line}, column {min(len(row), layout.n_fields) + 1}: found "
                    f"{_count(len(row))}, {shorten(layout.separator.join(row))}; expected "
                    f"{_count(layout.n_fields)} as in the first line, separated by {name}; correct or "
                    "remove the line, or name another separator with sep"
                )
            for column in self._columns:
                position = layout.columns[column.role]
                expected = column.complaint(row[position])
                if expected:
                    raise DataError(
                        f"{self._name}, line {line}, {layout.describe(position)}: found "
                        f"{shorten(row[position])}; expected {expected}"
                    )
        raise AssertionError("a block was refused for no field")


class _FastBlock:
    """A block whose fields are known by where they begin and end."""

    def __init__(
        self,
        data: bytes,
        separator: bytes,
        buffer: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
    ) -> None:
        self.n_rows, self._n_fields = ends.shape
        self._data = data
        self._separator = separator
        self._buffer = buffer
        self._starts = starts
        self._ends = ends
        self._texts: list[str] | None = None
        self._has_blanks = False

    def fields(self, position: int) -> _FastFields:
        """Return a column."""
        return _FastFields(self, position, self._buffer, self._starts[:, position], self._ends[:, position])

    def texts(self, position: int) -> list[str]:
        """Return a column as text."""
        if self._texts is None:
            # Every quote encloses a whole field, or the block would not be here.
            data = self._data.replace(b"\n", self._separator).replace(b'"', b"")
            self._texts = data.decode().split(self._separator.decode())
            blanks = (blank.encode() for blank in BLANKS)
            self._has_blanks = any(blank in data for blank in blanks if blank != self._separator)
        texts = self._texts[position : self.n_rows * self._n_fields : self._n_fields]
        return [text.strip(BLANKS) for text in texts] if self._has_blanks else texts


@dataclass(frozen=True)
class _FastFields:
    block: _FastBlock
    position: int
    buffer: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def integers(self, *, canonical: bool = False) -> NDArray[np.int64] | None:
        if canonical and np.any((self.buffer[self.starts] == ord("0")) & (self.ends - self.starts > 1)):
            return None
        return parse_integers(self.buffer, self.starts, self.ends)

    def decimals(self) -> NDArray[np.float64] | None:
        return parse_decimals(self.buffer, self.starts, self.ends)

    def texts(self) -> list[str]:
        return self.block.texts(self.position)


@dataclass(frozen=True)
class _CarefulBlock:
    """A block split into rows, with the line on which each begins."""

    rows: list[list[str]]
    lines: list[int]

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    def fields(self, position: int) -> _CarefulFields:
        """Return a column."""
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


class _Feed:
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


def _split_fast(data: bytes, layout: Layout) -> _FastBlock | None:
    """Find all fields of a block at once, or return None where that needs more care."""
    if b"\0" in data or not _is_utf8(data):
        return None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if b"\n\n" in data or data.startswith(b"\n"):
        data = re.sub(rb"\n{2,}", b"\n", data).lstrip(b"\n")
    separator = layout.separator.encode()
    if separator == b" " and re.search(rb"[\t\r]|  |^ | $", data, re.MULTILINE):
        return None
    if len(separator) > 1:
        if _STAND_IN in data:
            return None
        data = data.replace(separator, _STAND_IN)
        separator = _STAND_IN

    buffer = np.frombuffer(bytes(PADDING) + data, dtype=np.uint8)
    is_newline = buffer == ord("\n")
    flat = np.flatnonzero(is_newline | (buffer == ord(separator)))
    if flat.size != np.count_nonzero(is_newline) * layout.n_fields:
        return None
    ends = flat.reshape(-1, layout.n_fields)
    if not is_newline[ends[:, -1]].all():
        return None
    starts = np.append(PADDING, flat + 1)[:-1].reshape(ends.shape)
    n_quotes = data.count(b'"')
    if n_quotes:
        quoted = (buffer[starts] == ord('"')) & (buffer[ends - 1] == ord('"')) & (ends - starts > 1)
        if n_quotes != 2 * np.count_nonzero(quoted):
            return None  # a quote inside a field, or a separator between quotes
        starts, ends = starts + quoted, ends - quoted
    return _FastBlock(data, separator, buffer, starts, ends)


def _is_utf8(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _badly_quoted(row: str, separator: str) -> tuple[int, str]:
    """Return the column, counted from 1, and the text of the first field that does not end as it should."""
    other = rf"[^{re.escape(separator)}]"
    good = re.compile(rf' *("([^"]|"")*"|(?!"){other}*){re.escape(separator)}')
    column, begin = 1, 0
    while match := good.match(row, begin):
        column, begin = column + 1, match.end()
    return column, row[begin:].rstrip("\n")


def _count(n_fields: int) -> str:
    return f"{n_fields} field{'s' if n_fields != 1 else ''}"
