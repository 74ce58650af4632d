"""Parts of a model as a file holds them: unpacked, and checked, where they are used.

Opening a file touches no entry of them. A row, or a column, is unpacked by itself; what needs the whole
table, such as a ranking by a history, unpacks it once and keeps it. An entry takes at most 12 bytes then
and at least two in the file, so that the memory is bounded by the bytes that the file really has,
whatever its header says. Threads that need a part at once may each unpack it; they get the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.runtime.format import naming
from sparserec_np.runtime.model_data import SeenItems
from sparserec_np.runtime.packing import PackedLists
from sparserec_np.runtime.precision import from_int8
from sparserec_np.runtime.table_data import Compressed, TableData, check_values

#: Lists between two that a file says the start of: rows are many and short, columns few and long.
ROWS_PER_BLOCK = 64
COLUMNS_PER_BLOCK = 1


class PackedValues:
    """Values as a file holds them, and what they stand for.

    Parameters
    ----------
    name : str
        For messages.
    stored : ndarray of float32, float16 or int8, shape (nnz,)
    scales : ndarray of uint8, shape (n_rows,), optional
        With int8.
    exponent : int
        Of the scales.
    """

    def __init__(self, name: str, stored: NDArray[Any], scales: NDArray[np.uint8] | None, exponent: int):
        self._name, self._stored, self._scales, self._exponent = name, stored, scales, exponent
        self.have_scales = scales is not None

    def of(self, entries: slice, rows: NDArray[np.integer] | int) -> NDArray[np.float32]:
        """Return some values, in the rows that are given or all in one, as finite float32."""
        stored = self._stored[entries]
        values: NDArray[np.float32]
        if self._scales is None:
            values = stored.astype(np.float32, copy=False)
        else:
            values = from_int8(stored, rows, self._scales, self._exponent)
        check_values(self._name, values, len(stored))
        return values


class PackedTable(TableData):
    """A table over the arrays of a file, whose lists are its rows (users) or its columns (items).

    Parameters
    ----------
    path : str
        The file, for messages.
    lists : PackedLists
    values : PackedValues
    shape : tuple of int
        Rows and width.
    by : {"row", "column"}
        What the lists are.
    """

    def __init__(
        self, path: str, lists: PackedLists, values: PackedValues, shape: tuple[int, int], by: str
    ) -> None:
        self.n_rows, self.dim = shape
        self.nnz = lists.total
        self._path, self._lists, self._values = path, lists, values
        self._given = f"by_{by}"
        self._sought = False
        self._columns: dict[int, tuple[NDArray[Any], NDArray[np.float32]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what the file holds, and nothing that was unpacked of it."""
        unpacked = ("by_row", "by_column")
        state = {name: value for name, value in self.__dict__.items() if name not in unpacked}
        return state | {"_columns": {}, "_sought": False}

    @cached_property
    def by_row(self) -> Compressed:
        """The stored entries row by row."""
        if self._given == "by_column":
            return self._rows_of_columns()
        with naming(self._path):
            indptr, columns = self._lists.all()
            rows = np.repeat(np.arange(self.n_rows), np.diff(indptr)) if self._values.have_scales else 0
            return Compressed(indptr, columns, self._values.of(slice(None), rows))

    @cached_property
    def by_column(self) -> Compressed:
        """The stored entries column by column."""
        if self._given == "by_row":
            return self._columns_of_rows()
        with naming(self._path):
            starts, rows = self._lists.all()
            whole = Compressed(starts, rows, self._values.of(slice(None), rows))
        # Views of it take the place of what was unpacked by itself.
        self._columns = {}
        return whole

    @property
    def used_columns(self) -> NDArray[np.bool_]:
        """Which columns hold a stored entry; the lengths of the lists tell, where those are the columns."""
        return super().used_columns if self._given == "by_row" else self._lists.lengths > 0

    def column(self, column: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Rows, rising, and values of one column."""
        if self._given == "by_row" or "by_column" in self.__dict__:
            return super().column(column)
        found = self._columns.get(column)
        if found is None:
            with naming(self._path):
                start, rows = self._lists.list(column)
                found = rows, self._values.of(slice(start, start + len(rows)), rows)
            self._columns[column] = found
        return found

    def row(self, row: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Columns, rising, and values of one row."""
        if self._given == "by_column" or "by_row" in self.__dict__:
            return super().row(row)
        with naming(self._path):
            start, columns = self._lists.list(row)
            return columns, self._values.of(slice(start, start + len(columns)), row)

    def entries(self, rows: NDArray[np.integer]) -> Compressed:
        """Copy the stored entries of some rows, in the order given.

        From columns, the first call looks for the rows among all entries, which is sooner done than
        sorting them all by row; from the second call on that pays.
        """
        if self._given == "by_row" or "by_row" in self.__dict__ or self._sought:
            return super().entries(rows)
        self._sought = True
        starts, all_rows, values = self.by_column
        distinct, place = np.unique(rows, return_inverse=True)
        wanted = np.full(self.n_rows, -1, np.int32)
        wanted[distinct] = np.arange(len(distinct))
        which = wanted[all_rows]
        found = np.flatnonzero(which >= 0)
        # Columns rise from one entry to the next, and a stable sort leaves them so within each row.
        found = found[np.argsort(which[found], kind="stable")]
        indptr = np.zeros(len(distinct) + 1, np.intp)
        np.cumsum(np.bincount(which[found], minlength=len(distinct)), out=indptr[1:])
        columns = np.searchsorted(starts, found, side="right") - 1
        return Compressed(indptr, columns, values[found]).taken(place.ravel())

    def check(self, name: str) -> None:
        """Unpack the whole table, which checks it."""
        self.check_dim(name)
        getattr(self, self._given)


class PackedSeen(SeenItems):
    """The seen items over the arrays of a file."""

    def __init__(self, path: str, lists: PackedLists) -> None:
        self._path, self._lists = path, lists
        self.n_users = lists.n_lists

    def __getstate__(self) -> dict[str, Any]:
        """Return what the file holds, and nothing that was unpacked of it."""
        return {name: value for name, value in self.__dict__.items() if name != "_all"}

    @cached_property
    def _all(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        with naming(self._path):
            return self._lists.all()

    @property
    def indptr(self) -> NDArray[np.integer]:  # type: ignore[override]
        """Where each user starts."""
        return self._all[0]

    @property
    def indices(self) -> NDArray[np.integer]:  # type: ignore[override]
        """Items, rising for each user."""
        return self._all[1]

    def __iter__(self) -> Iterator[NDArray[np.integer]]:
        """Unpack into ``indptr, indices``."""
        return iter(self._all)

    def of(self, user: int) -> NDArray[np.int64]:
        """Return the item rows of one user."""
        if "_all" in self.__dict__:
            return super().of(user)
        with naming(self._path):
            return self._lists.list(user)[1].astype(np.int64)
