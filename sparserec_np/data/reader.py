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
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.blocks import CarefulBlock, FastBlock, FastSplitter, LineFeed
from sparserec_np.data.chunks import MemoryChunks
from sparserec_np.data.columns import Column, IdColumn, MakeChunks, TimeColumn, WeightColumn
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
from sparserec_np.data.source import Source, ahead
from sparserec_np.data.words import content, padded
from sparserec_np.errors import DataError, SettingError
from sparserec_np.kernels.workers import Background

_SAMPLE_LINES = 200
_THREADS = 2  # one reads, one splits
_IN_FLIGHT = 2  # blocks that columns may be behind


@dataclass(frozen=True)
class Table:
    """The columns read from a file.

    Attributes
    ----------
    source : str
        What messages call the file.
    layout : Layout
        How it is laid out.
    n_rows : int
        Number of rows.
    users, items : IdColumn
        Their ids.
    weights : WeightColumn or None
        Weights, where there are any.
    times : TimeColumn or None
        Times, where there are any.
    """

    source: str
    layout: Layout
    n_rows: int
    users: IdColumn
    items: IdColumn
    weights: WeightColumn | None
    times: TimeColumn | None

    def rows(self) -> tuple[Rows, Ids, Ids]:
        """Return all rows, and the ids of users and items; the columns are used up."""
        with Background(2) as pool:  # kernels release the interpreter
            (users, user_ids), (items, item_ids) = pool.map(IdColumn.finish, (self.users, self.items))
        weights = None if self.weights is None else list(self.weights.chunks.drain())
        times = None if self.times is None else list(self.times.chunks.drain())
        return Rows(users, items, weights, times), user_ids, item_ids


def read_table(
    path: str | os.PathLike[str],
    choices: dict[str, ColumnChoice],
    *,
    sep: str | None = None,
    header: bool | None = None,
    allow_negative: bool = False,
    make_chunks: MakeChunks = lambda _: MemoryChunks(),
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
    make_chunks : callable
        Makes what holds the values of a column.

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
    if sep is not None and any("\ud800" <= character <= "\udfff" for character in sep):
        raise SettingError(f"sep is {sep!r}, which no text in UTF-8 holds; expected a separator such as ','")
    with Source(path) as source, Background(_THREADS) as pool, ExitStack() as lanes:
        return _Reader(source, pool, lanes, choices, sep, header, allow_negative, make_chunks).read()


@dataclass(frozen=True)
class _Taken:
    """A block that the columns take in, each when it has taken in those before."""

    line: int
    raw: NDArray[np.uint8]
    block: FastBlock | CarefulBlock
    parts: list[Future[None]]


class _Reader:
    """One pass over a file."""

    def __init__(
        self,
        source: Source,
        pool: Executor,
        lanes: ExitStack,
        choices: dict[str, ColumnChoice],
        sep: str | None,
        header: bool | None,
        allow_negative: bool,
        make_chunks: MakeChunks,
    ) -> None:
        self._name = source.name
        # Reading and unpacking release the interpreter: they go on beside the parsing.
        self._blocks = ahead(source.blocks(), pool) if source.is_file else source.blocks()
        # The first lines are decoded before the separator is known.
        self._separators = (sep,) if sep else tuple(SEPARATORS)
        line, first = self._first_block()
        self._layout = self._find_layout(first, line, choices, sep, header)
        self._separators = (self._layout.separator,)
        if self._layout.header:
            n_lines = _lines_of_header(first, self._layout.separator)
            line, first = line + n_lines, b"\n".join(first.split(b"\n", n_lines)[n_lines:])
        # So does splitting.
        self._splitter = FastSplitter(self._layout)
        pieces = map(self._split_fast, chain([(line, padded(first))], self._blocks))
        self._pieces = ahead(pieces, pool) if source.is_file else pieces
        self._users = IdColumn("user", make_chunks)
        self._items = IdColumn("item", make_chunks)
        self._weights = WeightColumn(make_chunks, allow_negative=allow_negative)
        self._times = TimeColumn(make_chunks)
        columns: tuple[Column, ...] = (self._users, self._items, self._weights, self._times)
        self._columns = [column for column in columns if column.role in self._layout.columns]
        # Each column goes through the blocks in their order, and does not wait for the others.
        self._lanes = [lanes.enter_context(Background(1)) for _ in self._columns]
        self._in_flight: deque[_Taken] = deque()

    def read(self) -> Table:
        """Read to the end."""
        n_rows, line = 0, 1
        error = None
        try:
            for line, raw, fast in self._pieces:
                if fast is None:
                    self._settle(0)
                block = fast or self._split_carefully(raw, line)
                self._take_in(line, raw, block)
                self._settle(_IN_FLIGHT)
                n_rows += block.n_rows
        except DataError as raised:
            error = raised
        # What is wrong with a block before comes first.
        self._settle(0)
        if error is not None:
            raise error
        if not n_rows:
            raise DataError(
                f"{self._name}, line {line}: found a header and nothing after it; expected a line for "
                "each interaction; add them, or give header=False if the one line is no header"
            )
        return Table(
            self._name,
            self._layout,
            n_rows,
            self._users,
            self._items,
            self._weights if self._weights in self._columns else None,
            self._times if self._times in self._columns else None,
        )

    def _split_fast(
        self, piece: tuple[int, NDArray[np.uint8]]
    ) -> tuple[int, NDArray[np.uint8], FastBlock | None]:
        """Split a block on the fast road; None where it needs care."""
        line, raw = piece
        return line, raw, self._splitter.split(raw)

    def _take_in(self, line: int, raw: NDArray[np.uint8], block: FastBlock | CarefulBlock) -> None:
        """Hand a block's columns over."""
        if block.n_rows == 0:
            return
        if isinstance(block, CarefulBlock) and any(len(row) != self._layout.n_fields for row in block.rows):
            self._blame(block)
        parts = [
            lane.submit(column.add, block.fields(column.role))
            for lane, column in zip(self._lanes, self._columns, strict=True)
        ]
        self._in_flight.append(_Taken(line, raw, block, parts))

    def _settle(self, n_left: int) -> None:
        """Wait until that many blocks are left to be taken in; find out what is wrong with one."""
        while len(self._in_flight) > n_left:
            taken = self._in_flight.popleft()
            refused = False
            for part in taken.parts:
                try:
                    part.result()
                except ValueError:
                    refused = True
            if refused:
                self._in_flight.clear()
                block = taken.block
                if not isinstance(block, CarefulBlock):
                    block = self._split_carefully(taken.raw, taken.line)
                self._blame(block)

    def _first_block(self) -> tuple[int, bytes]:
        """Return the first block that says something, from the line on which it does."""
        for line, buffer in self._blocks:
            block = content(buffer)
            text = block.lstrip(b"\n" + BLANKS.encode())
            if text:
                begin = block.rfind(b"\n", 0, len(block) - len(text)) + 1
                line, block = line + block.count(b"\n", 0, begin), block[begin:]
                # A last line without a newline is a block of its own, and may end what the one before began.
                while block.count(b"\n") < _SAMPLE_LINES and (following := next(self._blocks, None)):
                    block += content(following[1])
                return line, block
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

    def _split_carefully(self, raw: NDArray[np.uint8], line: int) -> CarefulBlock:
        """Split a block into rows with their line numbers; a quoted field may pull in further blocks."""
        text = self._decode(content(raw), line)
        separator = self._layout.separator
        if not (uses_quotes(separator) and '"' in text):
            numbered = [(n, row) for n, row in enumerate(text.split("\n"), line) if row.strip(" \r")]
            return CarefulBlock(
                [split_line(row, separator) for _, row in numbered], [n for n, _ in numbered], self._layout
            )
        block = CarefulBlock([], [], self._layout)
        feed = LineFeed(text, self._more_text)
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
        for line, raw, _ in self._pieces:
            return self._decode(content(raw), line)
        return None

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

    def _blame(self, block: CarefulBlock) -> NoReturn:
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


def _lines_of_header(block: bytes, separator: str) -> int:
    """Return how many lines the header takes: more than one if it quotes newlines."""
    lines = (line.decode() + "\n" for line in block.split(b"\n", _SAMPLE_LINES)[:-1])
    if not uses_quotes(separator) or b'"' not in block.split(b"\n", 1)[0]:
        return 1
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        next(rows)
    except csv.Error:
        return 1
    return rows.line_num


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
