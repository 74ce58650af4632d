"""SciPy's sparse matrices, checked before anything is computed with them.

SciPy takes the arrays of a matrix as they are: a column number beyond the shape is found by none of its
constructors, and its own conversions, as well as the kernels here, then write beyond their arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sparserec_np.errors import DataError, shown
from sparserec_np.runtime.bounds import first_outside, pattern_fault

# Rows and columns are numbered in 32 bits.
_MOST = np.iinfo(np.int32).max


def as_csr(matrix: Any, name: str, shape: tuple[int, int] | None = None) -> Any:
    """Return ``matrix`` as CSR with sorted columns and no pair twice; the caller's arrays stay untouched.

    Parameters
    ----------
    matrix : scipy.sparse matrix or array
        In any format.
    name : str
        What messages call it.
    shape : (int, int), optional
        The shape that it must have: users in rows, items in columns.

    Returns
    -------
    csr_array
        It shares the arrays of a matrix that is like this already.

    Raises
    ------
    DataError
        If it is no sparse matrix of real numbers, has another shape, or holds entries outside of its shape;
        the message names the row and the column.
    """
    csr = checked_csr(matrix, name, shape)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return csr


def checked_csr(matrix: Any, name: str, shape: tuple[int, int] | None = None) -> Any:
    """Return ``matrix`` as CSR whose entries lie within its shape, in the order in which they stand.

    Parameters and errors as for `as_csr`.
    """
    is_sparse: bool = sparse.issparse(matrix)  # by name, or mypy would know the matrix as nothing more
    if not is_sparse:
        raise DataError(
            f"{name} is a {type(matrix).__name__}; expected a scipy.sparse CSR array; "
            "convert it with scipy.sparse.csr_array(...)"
        )
    if matrix.ndim != 2:
        raise DataError(f"{name} has {matrix.ndim} dimensions; expected 2: users in rows, items in columns")
    if matrix.dtype.kind not in "biuf":
        raise DataError(f"{name} is of type {matrix.dtype}; expected real numbers; convert it with astype")
    if shape is not None and matrix.shape != shape:
        raise DataError(f"{name} has shape {matrix.shape}; expected {shape}, users in rows, items in columns")
    if max(matrix.shape) > _MOST:
        raise DataError(f"{name} has shape {matrix.shape}; expected at most {_MOST:,} rows and columns")
    if matrix.format in ("csr", "csc", "bsr"):
        _check_compressed(matrix, name)
    elif matrix.format == "lil":
        _check_lists(matrix, name)
        matrix = matrix.tocsr()
        _check_compressed(matrix, name)
    elif matrix.format == "dia":
        _check_diagonals(matrix, name)
    else:
        matrix = matrix.tocoo()
        _check_coordinates(matrix, name)
    csr = sparse.csr_array(matrix)
    if len(csr.indices) > csr.nnz or len(csr.data) > csr.nnz:
        csr.prune()  # in this object alone
    return csr


def check_rows(rows: Any, name: str, n_rows: int, of: str = "user") -> NDArray[np.int64]:
    """Return row numbers as a flat array of int64.

    Raises
    ------
    DataError
        If they are no integers, or one of them is not the number of one of ``n_rows`` rows.
    """
    array = np.asarray(rows)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise DataError(
            f"{name} is {array.dtype} of shape {array.shape}; "
            f"{name} must be a flat array of {of} rows from 0 to {n_rows - 1}"
        )
    at = first_outside(array, 0, n_rows)
    if at is not None:
        raise DataError(
            f"{name}[{at}] is {array[at]}; {name} must be a flat array of {of} rows from 0 to {n_rows - 1}"
        )
    return array.astype(np.int64, copy=False)


def _check_compressed(matrix: Any, name: str) -> None:
    """Check the arrays of a CSR, CSC or BSR matrix."""
    by_row = matrix.format != "csc"
    n_major, n_minor = matrix.shape if by_row else matrix.shape[::-1]
    indptr, indices, data = (np.asarray(getattr(matrix, part)) for part in ("indptr", "indices", "data"))
    if matrix.format == "bsr":
        height, width = data.shape[1:] if data.ndim == 3 else (1, 1)
        n_major, n_minor = n_major // max(height, 1), n_minor // max(width, 1)
    if len(indptr) != n_major + 1:
        raise DataError(
            f"{name}.indptr has {len(indptr)} elements for the shape {matrix.shape}; expected {n_major + 1}"
        )
    if len(data) != len(indices):
        raise DataError(
            f"{name} has {len(data)} values for {len(indices)} column numbers; expected one for each"
        )
    fault = pattern_fault(indptr, indices, n_minor, rising=False, spare=True)
    if fault is None:
        return
    blocks = " of blocks" if matrix.format == "bsr" else ""
    major, minor = (f"row{blocks}", f"column{blocks}") if by_row else ("column", "row")
    if fault.kind == "outside":
        raise DataError(
            f"{name} has an entry in {major} {fault.row} and {minor} {fault.found}, outside of its shape "
            f"{matrix.shape}; expected {minor}s from 0 to {n_minor - 1}; correct its indices or its shape"
        )
    if fault.kind == "falls":
        raise DataError(
            f"{name}.indptr falls from {fault.found} at {major} {fault.row}; expected no {major} to end "
            "before it starts"
        )
    expected = "integers in one dimension" if fault.kind == "type" else f"0 to at most {len(indices)}"
    raise DataError(f"{name}.{fault.part} is {fault.found}; expected {expected}")


def _check_lists(matrix: Any, name: str) -> None:
    """Check that the lists of a LIL matrix have a value for each column number."""
    for row, (columns, values) in enumerate(zip(matrix.rows, matrix.data, strict=True)):
        if len(columns) != len(values):
            raise DataError(
                f"{name} has {len(values)} values for {len(columns)} column numbers in row {row}; "
                "expected one for each"
            )


def _check_diagonals(matrix: Any, name: str) -> None:
    """Check that a DIA matrix has a row of values for each diagonal."""
    offsets, data = np.asarray(matrix.offsets), np.asarray(matrix.data)
    if offsets.dtype.kind not in "iu" or data.ndim != 2 or offsets.shape != data.shape[:1]:
        raise DataError(
            f"{name}.offsets is {offsets.dtype} of shape {offsets.shape}; expected integers, one for each of "
            f"the diagonals in values of shape {data.shape}"
        )


def _check_coordinates(matrix: Any, name: str) -> None:
    """Check the arrays of a COO matrix."""
    row, column = np.asarray(matrix.row), np.asarray(matrix.col)
    for part, numbers in (("row", row), ("col", column)):
        if numbers.dtype.kind not in "iu" or numbers.shape != (len(matrix.data),):
            raise DataError(
                f"{name}.{part} is {numbers.dtype} of shape {numbers.shape}; expected integers of shape "
                f"({len(matrix.data)},), one for each value"
            )
    for numbers, n in zip((row, column), matrix.shape, strict=True):
        at = first_outside(numbers, 0, n)
        if at is not None:
            raise DataError(
                f"{name} has an entry in row {shown(int(row[at]))} and column {shown(int(column[at]))}, "
                f"outside of its shape {matrix.shape}; correct its numbers or its shape"
            )
