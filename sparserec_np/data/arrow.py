"""Blocks split by pyarrow, where it is installed: sooner, and to the same end.

Only what is beyond doubt is left to it: a block that holds a quote, a NUL byte or a stray carriage return,
and any that it refuses, is split by our own reader, which also finds the words for what is wrong.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.blocks import is_utf8
from sparserec_np.data.codebook import Codebook
from sparserec_np.data.sniff import Layout
from sparserec_np.kernels.texts import has_leading

LONGER = 8
"""How much longer blocks are where pyarrow splits them: only then do its threads have enough to do."""

_PIECE = 1 << 20  # what one of its threads takes at a time
_PATIENCE = 4  # blocks that it may refuse until it is no longer asked


@cache
def pyarrow_csv() -> ModuleType | None:
    """Return ``pyarrow.csv``; None where it is not installed."""
    try:
        import pyarrow.csv
    except ImportError:
        return None
    module: ModuleType = pyarrow.csv
    return module


class ArrowBlock:
    """A block whose columns pyarrow has split and parsed.

    Parameters
    ----------
    table : pyarrow.Table
        Its columns are named by their positions: ids are int64 or string, all else float64.
    """

    def __init__(self, table: Any) -> None:
        self.n_rows: int = table.num_rows
        self._table = table

    def fields(self, position: int) -> _ArrowFields:
        """Return a column."""
        return _ArrowFields(self._table.column(str(position)))


class _ArrowFields:
    def __init__(self, column: Any) -> None:
        self._column = column
        self._kind = str(column.type)

    def integers(self, *, canonical: bool = False) -> NDArray[np.int64] | None:
        if self._kind != "int64":
            return None
        numbers: NDArray[np.int64] = _values(self._column, np.int64)
        return None if numbers.min(initial=0) < 0 else numbers

    def decimals(self) -> NDArray[np.float64] | None:
        return _values(self._column, np.float64)

    def texts(self) -> list[str]:
        return [str(value) for value in self._column.to_pylist()]

    def codes(self, book: Codebook) -> NDArray[np.int32]:
        if self._kind == "int64":
            distinct, inverse = np.unique(_values(self._column, np.int64), return_inverse=True)
            return book.encode([str(number) for number in distinct.tolist()])[inverse]
        pieces = [np.empty(0, np.int32)]
        for piece in self._column.chunks:
            _, offsets, content = piece.buffers()
            if content is None:  # nothing but empty texts
                content = b" "
            places = np.frombuffer(offsets, np.int32)[piece.offset : piece.offset + len(piece) + 1]
            ends = places.astype(np.int64)
            pieces.append(book.encode_fields(np.frombuffer(content, np.uint8), ends[:-1], ends[1:]))
        return np.concatenate(pieces)


class ArrowSplitter:
    """Splits the blocks of a file, as far as pyarrow does so as our own reader would.

    Parameters
    ----------
    layout : Layout
        How the file is laid out.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._ids_are_integers = True
        separator = layout.separator
        able = pyarrow_csv() is not None and len(separator) == 1 and separator.isascii() and separator != " "
        self._patience = _PATIENCE if able else 0

    def split(self, data: bytes) -> ArrowBlock | None:
        """Split a block of whole lines and parse its columns; None where that is left to our own reader."""
        if not self._patience or _is_doubtful(data):
            return None
        if self._ids_are_integers:
            block = self._read(data, "int64") if _are_canonical(data, self._layout.separator) else None
            if block is not None:
                return block
            self._ids_are_integers = False
        block = self._read(data, "string")
        self._patience -= block is None
        return block

    def _read(self, data: bytes, id_type: str) -> ArrowBlock | None:
        import pyarrow as pa
        import pyarrow.csv as csv

        layout = self._layout
        kinds = {"user": id_type, "item": id_type, "weight": "float64", "time": "float64"}
        try:
            table = csv.read_csv(
                pa.py_buffer(data),
                read_options=csv.ReadOptions(
                    column_names=[str(position) for position in range(layout.n_fields)], block_size=_PIECE
                ),
                parse_options=csv.ParseOptions(delimiter=layout.separator, quote_char=False),
                convert_options=csv.ConvertOptions(
                    column_types={
                        str(position): getattr(pa, kinds[role])() for role, position in layout.columns.items()
                    },
                    include_columns=[str(position) for position in layout.columns.values()],
                    null_values=[],
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowException:
            return None
        numbers = (str(layout.columns[role]) for role in ("weight", "time") if role in layout.columns)
        if not all(np.isfinite(_values(table.column(name), np.float64)).all() for name in numbers):
            return None
        return ArrowBlock(table)


def _is_doubtful(data: bytes) -> bool:
    """Whether a block holds quotes, NUL bytes, carriage returns on their own, or what is no UTF-8."""
    if b'"' in data or b"\0" in data or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
        return True
    return not is_utf8(data)


def _are_canonical(data: bytes, separator: str) -> bool:
    """Whether no field begins with a blank, a sign or a zero that is lost in a number: 7 is not 007."""
    return not has_leading(np.frombuffer(data, np.uint8), np.uint8(ord(separator)))


def _values(column: Any, kind: Any) -> NDArray[Any]:
    """Copy a column of numbers out of pyarrow, whose own way to NumPy would import pandas where it can."""
    pieces = [np.empty(0, kind)]
    for piece in column.chunks:
        content = piece.buffers()[1]
        pieces.append(np.frombuffer(content, kind)[piece.offset : piece.offset + len(piece)])
    return np.concatenate(pieces)
