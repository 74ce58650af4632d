"""A sparse embedding table as arrays: by row, by column, or both."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError
from sparserec_np.runtime.bounds import pattern_fault

#: Widest table of embeddings that a model may have: column numbers take two bytes at most.
MAX_DIM = 1 << 16

#: Most columns that tables side by side may have; a column may stand for an item.
MAX_COLUMNS = (1 << 31) - 1

#: Far beyond any trained value, and small enough that no score of float32 overflows.
MAX_MAGNITUDE = 1e12

#: Largest weight, or rating, of an interaction: its errors can be squared and summed in float32.
MAX_WEIGHT = 1e12


class Compressed(NamedTuple):
    """Stored entries, one row (or one column) after the other.

    Attributes
    ----------
    indptr : ndarray of int, shape (n_rows + 1,)
        Where each row starts among the stored entries.
    indices : ndarray of int, shape (nnz,)
        Column of each entry, rising within a row.
    values : ndarray of float32, shape (nnz,)
    """

    indptr: NDArray[np.integer]
    indices: NDArray[Any]
    values: NDArray[np.float32]

    @property
    def majors(self) -> NDArray[np.intp]:
        """Row of each stored entry."""
        starts = self.indptr.astype(np.intp)
        return np.repeat(np.arange(len(starts) - 1), starts[1:] - starts[:-1])

    def taken(self, rows: NDArray[np.integer]) -> Compressed:
        """Copy some rows, in the order given."""
        starts = self.indptr[rows].astype(np.intp)
        lengths = self.indptr[rows + 1].astype(np.intp) - starts
        indptr = np.zeros(len(lengths) + 1, np.intp)
        np.cumsum(lengths, out=indptr[1:])
        entries = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Compressed(indptr, self.indices[entries], self.values[entries])


class TableData:
    """A sparse embedding table: what is stored of it, by row (CSR) and by column (CSC).

    It is made from either; the other is derived when first asked for and then kept. Threads that ask at
    once may each derive it; they get the same.

    Parameters
    ----------
    indptr : ndarray of int, shape (n_rows + 1,)
        Where each row starts among the stored entries.
    indices : ndarray of int, shape (nnz,)
        Column numbers, rising within each row.
    values : ndarray of float32, shape (nnz,)
    dim : int
        Width of the table.

    Attributes
    ----------
    n_rows, nnz : int
        Number of rows and of stored entries.
    """

    def __init__(
        self,
        indptr: NDArray[np.integer],
        indices: NDArray[np.integer],
        values: NDArray[np.float32],
        dim: int,
    ) -> None:
        self.n_rows = len(indptr) - 1
        self.dim = dim
        self.nnz = len(indices)
        self._given = "by_row"
        self.by_row = Compressed(indptr, indices, values)

    @classmethod
    def from_columns(
        cls, indptr: NDArray[np.integer], rows: NDArray[np.intp], values: NDArray[np.float32], n_rows: int
    ) -> TableData:
        """Make a table from its columns: where each starts, row numbers, rising within each, and values."""
        table = cls.__new__(cls)
        table.n_rows = n_rows
        table.dim = len(indptr) - 1
        table.nnz = len(rows)
        table._given = "by_column"
        table.by_column = Compressed(indptr, rows, values)
        return table

    def __getstate__(self) -> dict[str, Any]:
        """Return all but what is derived; a copy derives it again."""
        derived = {"by_row", "by_column"} - {self._given}
        return {name: value for name, value in self.__dict__.items() if name not in derived}

    @cached_property
    def by_row(self) -> Compressed:
        """The stored entries row by row."""
        return self._rows_of_columns()

    @cached_property
    def by_column(self) -> Compressed:
        """The stored entries column by column; row numbers in the type that NumPy indexes with fastest."""
        return self._columns_of_rows()

    def _rows_of_columns(self) -> Compressed:
        starts, rows, values = self.by_column
        indptr = np.zeros(self.n_rows + 1, np.intp)
        np.cumsum(np.bincount(rows, minlength=self.n_rows), out=indptr[1:])
        indices = np.empty(self.nnz, _index_dtype(self.dim))
        by_row = np.empty(self.nnz, np.float32)
        # Columns rise, so that each appends to rows that are sorted so far: no sort is needed.
        free = indptr[:-1].copy()
        for column in range(self.dim):
            entries = slice(int(starts[column]), int(starts[column + 1]))
            places = free[rows[entries]]
            indices[places] = column
            by_row[places] = values[entries]
            free[rows[entries]] += 1
        return Compressed(indptr, indices, by_row)

    def _columns_of_rows(self) -> Compressed:
        indices = self.by_row.indices
        if self.dim <= 1 << 16:
            # NumPy's stable sort of short integers is a radix sort.
            indices = indices.astype(np.uint16, copy=False)
        order = np.argsort(indices, kind="stable")
        starts = np.zeros(self.dim + 1, np.intp)
        np.cumsum(np.bincount(indices, minlength=self.dim), out=starts[1:])
        return Compressed(starts, self.by_row.majors[order], self.by_row.values[order])

    @property
    def indptr(self) -> NDArray[np.integer]:
        """Where each row starts among the stored entries."""
        return self.by_row.indptr

    @property
    def indices(self) -> NDArray[np.integer]:
        """Column numbers, rising within each row."""
        return self.by_row.indices

    @property
    def values(self) -> NDArray[np.float32]:
        """Values, row by row."""
        return self.by_row.values

    @property
    def used_columns(self) -> NDArray[np.bool_]:
        """Which columns hold a stored entry, shape (dim,)."""
        if "by_column" in self.__dict__:
            return np.diff(self.by_column.indptr) > 0
        used = np.zeros(self.dim, np.bool_)
        used[self.by_row.indices] = True
        return used

    def column(self, column: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Rows, rising, and values of one column; views where they can be."""
        starts, rows, values = self.by_column
        entries = slice(int(starts[column]), int(starts[column + 1]))
        return rows[entries], values[entries]

    def row(self, row: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Columns, rising, and values of one row; views where they can be."""
        entries = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        return self.indices[entries], self.values[entries]

    def columns(self, start: int, stop: int) -> TableData:
        """Return the columns from `start` to before `stop` as a table; its arrays are views."""
        starts, rows, values = self.by_column
        first, last = int(starts[start]), int(starts[stop])
        return TableData.from_columns(
            starts[start : stop + 1] - starts[start], rows[first:last], values[first:last], self.n_rows
        )

    def dense(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Copy some rows into a dense array, shape (len(rows), dim)."""
        found = self.entries(rows)
        block = np.zeros((len(rows), self.dim), np.float32)
        block[found.majors, found.indices] = found.values
        return block

    def entries(self, rows: NDArray[np.integer]) -> Compressed:
        """Copy the stored entries of some rows, in the order given."""
        return self.by_row.taken(rows)

    def check_dim(self, name: str) -> None:
        """Check the width; `name` begins the message."""
        if not 1 <= self.dim <= MAX_COLUMNS:
            raise ModelFormatError(f"dim of {name} is {self.dim}; expected 1 to {MAX_COLUMNS}")

    def check(self, name: str) -> None:
        """Check every invariant of what the table was made from.

        Raises
        ------
        ModelFormatError
            For the first that does not hold; the message begins with `name`.
        """
        self.check_dim(name)
        indptr, indices, values = getattr(self, self._given)
        if self._given == "by_row":
            check_csr(name, indptr, indices, self.dim)
        else:
            check_csr(f"columns of {name}", indptr, indices, self.n_rows, "column")
        check_values(f"{name}.values", values, self.nnz)


def _index_dtype(dim: int) -> Any:
    """Return the smallest unsigned type that holds the numbers of `dim` columns."""
    return np.uint8 if dim <= 1 << 8 else np.uint16 if dim <= 1 << 16 else np.uint32


def check_csr(
    name: str, indptr: NDArray[Any], indices: NDArray[Any], n_columns: int, major: str = "row"
) -> None:
    """Check that a CSR pattern has sorted, unique columns in range; `major` is what messages call a row."""
    fault = pattern_fault(indptr, indices, n_columns)
    if fault is None:
        return
    found = {
        "type": f"is {fault.found}; expected integers in one dimension",
        "ends": f"leads from {fault.found}; expected 0 to {len(indices)}, the stored entries",
        "falls": f"falls after {major} {fault.row}; expected no {major} to end before it starts",
        "outside": f"holds {fault.found} in {major} {fault.row}; expected 0 to {n_columns - 1}",
        "order": f"is not rising within {major} {fault.row}; expected sorted, unique numbers",
    }[fault.kind]
    raise ModelFormatError(f"{name}.{fault.part} {found}")


def check_values(name: str, values: NDArray[Any], length: int) -> None:
    """Check that values are finite float32, one for each of `length` places."""
    if values.ndim != 1 or values.dtype != np.float32:
        raise ModelFormatError(
            f"{name} is {values.dtype} of shape {values.shape}; expected float32 in one dimension"
        )
    check_length(name, len(values), length)
    # A comparison with NaN is false; some NumPy versions warn of it besides.
    with np.errstate(invalid="ignore"):
        fine = np.abs(values) <= MAX_MAGNITUDE
    if not fine.all():
        bad = int(fine.argmin())
        raise ModelFormatError(f"{name} holds {values[bad]} at position {bad}; expected finite numbers")


def check_length(name: str, found: int, expected: int) -> None:
    """Check a length."""
    if found != expected:
        raise ModelFormatError(f"{name} has length {found}; expected {expected}")
