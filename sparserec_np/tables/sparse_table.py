"""An embedding table of which only a share of the entries exists."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.errors import SettingError
from sparserec_np.kernels.grouping import add_gradients
from sparserec_np.runtime.bounds import pattern_fault

# Values that are looked at in float64 at a time.
_PART = 1 << 22

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.signedinteger[Any]]


def unsigned(numbers: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return the same memory, contiguous, as numbers without a sign: what kernels index by."""
    return np.ascontiguousarray(numbers).view(f"u{numbers.dtype.itemsize}")


def index_dtype(n_rows: int, dim: int, nnz: int) -> type[np.signedinteger[Any]]:
    """int32 where row pointers and columns fit, else int64: scipy's own rule, so nothing is converted."""
    return np.int32 if max(n_rows, dim, nnz) <= np.iinfo(np.int32).max else np.int64


def column_dtype(dim: int) -> Any:
    """Type of the column numbers of a table: half as many bytes to keep and to fetch where they fit."""
    return np.uint16 if dim <= 1 << 16 else np.int32


@dataclass(eq=False)
class SparseTable:
    """A table of ``n_rows`` embeddings of width ``dim``, stored as CSR: a pattern and its values.

    Parameters
    ----------
    indptr : int32 or int64 array (n_rows + 1,)
        Row ``r`` owns the stored entries ``indptr[r]:indptr[r + 1]``.
    indices : int array (nnz,)
        Columns, ascending and unique within a row, each below ``dim``; uint16 where they fit and the table
        was made here.
    data : float32 or float64 array (nnz,)
        Values. A stored entry may be 0; it exists all the same.
    dim : int
        Width of the table.

    Raises
    ------
    SettingError
        If the arrays are no such table.
    """

    indptr: IntArray
    indices: npt.NDArray[Any]
    data: FloatArray
    dim: int

    def __post_init__(self) -> None:
        # The kernels look up what the numbers say, wherever that is.
        self.check()

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the columns in another type, which a copy derives again."""
        return {name: value for name, value in self.__dict__.items() if name != "_columns"}

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_rows, dim)``."""
        return self.n_rows, self.dim

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        return len(self.data)

    @property
    def density(self) -> float:
        """Stored entries ÷ (n_rows · dim)."""
        return self.nnz / (self.n_rows * self.dim)

    @property
    def nbytes(self) -> int:
        """Bytes of the three arrays in memory."""
        return self.indptr.nbytes + self.indices.nbytes + self.data.nbytes

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], FloatArray]:
        """``(indptr, columns, data)`` as the kernels take them; pointers and values are the same memory."""
        return unsigned(self.indptr), self._columns, self.data

    @cached_property
    def _columns(self) -> npt.NDArray[np.unsignedinteger[Any]]:
        # Half as many bytes to fetch.
        if self.dim <= 1 << 16:
            return self.indices.astype(np.uint16, copy=False)
        return unsigned(self.indices)

    def pattern_changed(self) -> None:
        """Forget what was derived of the columns; to be called by who changes them in place."""
        self.__dict__.pop("_columns", None)

    @classmethod
    def from_positions(
        cls, positions: IntArray, shape: tuple[int, int], dtype: Any = np.float32
    ) -> SparseTable:
        """Make a table of zeros stored at ``positions`` (``row · dim + column``, sorted and unique)."""
        n_rows, dim = shape
        index = index_dtype(n_rows, dim, len(positions))
        indptr = np.searchsorted(positions, np.arange(n_rows + 1, dtype=np.int64) * dim).astype(index)
        indices = (positions % dim).astype(column_dtype(dim))
        return cls(indptr, indices, np.zeros(len(positions), dtype=dtype), dim)

    @classmethod
    def from_scipy(cls, matrix: Any) -> SparseTable:
        """Wrap a scipy CSR matrix or array; its arrays are shared, not copied.

        Raises
        ------
        SettingError
            If it is not CSR in canonical form (sorted unique columns) with floating values.
        """
        is_sparse = sparse.issparse(matrix)
        if not is_sparse or matrix.format != "csr":
            found = getattr(matrix, "format", type(matrix).__name__)
            raise SettingError(f"a table must be a scipy.sparse CSR array, found {found}; use matrix.tocsr()")
        if not np.issubdtype(matrix.dtype, np.floating):
            raise SettingError(
                f"a table must hold floats, found {matrix.dtype}; use matrix.astype('float32')"
            )
        return cls(matrix.indptr, matrix.indices, matrix.data, matrix.shape[1])

    def to_scipy(self) -> sparse.csr_array:
        """Return the table as a scipy CSR array that shares its values, and all where scipy takes it."""
        indices = self.indices.astype(self.indptr.dtype, copy=False)
        return sparse.csr_array((self.data, indices, self.indptr), shape=self.shape, copy=False)

    def take(self, rows: npt.NDArray[Any]) -> SparseTable:
        """Return a table of copies of some rows, in the order given."""
        starts, lengths = self.indptr[rows], self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.zeros(len(rows) + 1, dtype=self.indptr.dtype)
        np.cumsum(lengths, out=indptr[1:])
        entries = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], lengths)
        return SparseTable(indptr, self.indices[entries], self.data[entries], self.dim)

    def positions(self) -> IntArray:
        """``row · dim + column`` of every stored entry, ascending; int64 (nnz,)."""
        rows = np.repeat(np.arange(self.n_rows, dtype=np.int64), np.diff(self.indptr))
        rows *= self.dim
        rows += self.indices
        return rows

    def copy(self) -> SparseTable:
        """Return a table that shares nothing with this one."""
        return SparseTable(self.indptr.copy(), self.indices.copy(), self.data.copy(), self.dim)

    def rescale(self, length: float) -> None:
        """Multiply all values, in place, so that the root mean square length of the rows is ``length``."""
        parts = (self.data[start : start + _PART] for start in range(0, self.nnz, _PART))
        square = sum(float(np.sum(part.astype(np.float64) ** 2)) for part in parts) / self.n_rows
        if square > 0:
            self.data *= self.data.dtype.type(length / np.sqrt(square))

    def check(self) -> None:
        """Raise `SettingError` unless the CSR invariants hold."""
        fault = pattern_fault(self.indptr, self.indices, self.dim)
        if fault is not None and fault.kind == "type":
            raise SettingError(f"{fault.part} must hold integers in one dimension, found {fault.found}")
        if self.data.ndim != 1 or self.data.dtype.kind != "f":
            found = f"{self.data.dtype} of shape {self.data.shape}"
            raise SettingError(f"data must hold floats in one dimension, found {found}")
        if not len(self.indptr) or self.indptr[0] != 0 or self.indptr[-1] != len(self.data):
            raise SettingError("row pointers must start at 0 and end at the number of stored entries")
        if len(self.indices) != len(self.data) or (fault is not None and fault.kind == "falls"):
            raise SettingError("row pointers must not fall, and there must be a value for each column number")
        if fault is None:
            return
        if fault.kind == "outside":
            raise SettingError(
                f"column numbers must lie in 0 … {self.dim - 1}, found {fault.found} in row {fault.row}"
            )
        raise SettingError(
            "columns must be sorted and unique within a row; use matrix.sum_duplicates() "
            f"(found {fault.found} in row {fault.row})"
        )


@dataclass(eq=False)
class TableGradient:
    """The gradient of a `SparseTable` on the rows that a batch touched, with the table's own pattern.

    Parameters
    ----------
    rows : int64 array (t,)
        Touched rows, ascending and unique.
    counts : int64 array (t,)
        Occurrences of each in the batch.
    starts : int64 array (t + 1,)
        Row ``rows[i]`` owns ``values[starts[i]:starts[i + 1]]``.
    values : float array
        One per stored entry of a touched row, in the table's order.
    """

    rows: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    values: FloatArray

    @classmethod
    def empty_like(
        cls, table: SparseTable, rows: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
    ) -> TableGradient:
        """Make a gradient for the given rows of ``table``, its values still to be written."""
        starts = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(table.indptr[rows + 1] - table.indptr[rows], out=starts[1:])
        return cls(rows, counts, starts, np.empty(starts[-1], dtype=table.data.dtype))

    def __add__(self, other: TableGradient) -> TableGradient:
        """Sum two gradients of the same table."""
        most = len(self.rows) + len(other.rows)
        rows, counts, starts = (np.empty(most + more, dtype=np.int64) for more in (0, 0, 1))
        values = np.empty(len(self.values) + len(other.values), dtype=self.values.dtype)
        n = add_gradients(
            self.rows, self.counts, self.starts, self.values,
            other.rows, other.counts, other.starts, other.values,
            rows, counts, starts, values,
        )  # fmt: skip
        return TableGradient(rows[:n], counts[:n], starts[: n + 1], values[: starts[n]])

    def entries(self, table: SparseTable) -> IntArray:
        """Numbers of the table's stored entries that ``values`` belong to, ascending."""
        shift = np.repeat(table.indptr[self.rows] - self.starts[:-1], np.diff(self.starts))
        return np.arange(len(self.values)) + shift

    def to_scipy(self, table: SparseTable) -> sparse.csr_array:
        """Return a scipy CSR array with the pattern of ``table`` on the touched rows."""
        lengths = np.zeros(table.n_rows, dtype=np.int64)
        lengths[self.rows] = np.diff(self.starts)
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        columns = table.indices[self.entries(table)]
        return sparse.csr_array((self.values, columns, indptr), shape=table.shape)
