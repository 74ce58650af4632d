"""The one check of row and column numbers that every array passes before anything indexes by it.

A compiled kernel, and SciPy's own routines, read and write wherever a number points to, so that a column
beyond a matrix's shape ends the interpreter. NumPy counts a negative number from the end, which is a silent
wrong answer. `pattern_fault` looks at the pattern of a compressed sparse matrix, `first_outside` at a flat
or two-dimensional array of numbers. Each caller makes an error of its own of what they find.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Entries that are looked at together: a mapped array may be larger than the memory.
_BLOCK = 1 << 20


class Fault(NamedTuple):
    """The first thing that is wrong with a compressed pattern.

    Attributes
    ----------
    kind : {"type", "ends", "falls", "outside", "order"}
        An array that does not hold integers in one dimension; row pointers that do not lead from 0 to the
        number of stored entries; a row that ends before it starts; a column that does not exist; columns of
        a row that do not rise.
    part : {"indptr", "indices"}
        The array at fault.
    row : int
        The row at fault; -1 where the fault is not in one of the rows.
    found : str
        What was found, such as ``"7"`` for a column or ``"0 to 5"`` for the ends.
    """

    kind: str
    part: str
    row: int
    found: str


def first_outside(numbers: NDArray[Any], least: int, stop: int) -> int | None:
    """Find the first number that is below `least` or not below `stop`.

    Parameters
    ----------
    numbers : ndarray of int
        Of any shape.

    Returns
    -------
    int or None
        Its place in the flat array; None where there is no such number.
    """
    if not numbers.size or (int(numbers.min()) >= least and int(numbers.max()) < stop):
        return None
    flat = numbers.reshape(-1)
    return int(np.argmax((flat < least) | (flat >= stop)))


def pattern_fault(
    indptr: NDArray[Any], indices: NDArray[Any], n_columns: int, *, rising: bool = True, spare: bool = False
) -> Fault | None:
    """Find what is wrong with the pattern of a compressed matrix; its rows may as well be columns.

    Parameters
    ----------
    indptr : ndarray, shape (n_rows + 1,)
        Where each row starts among the stored entries.
    indices : ndarray, shape (nnz,)
        The column of each entry.
    n_columns : int
        Columns are numbered from 0 to one less.
    rising : bool
        Whether the columns of a row must rise, which also means that none occurs twice.
    spare : bool
        Whether `indices` may be longer than the row pointers say, as in a matrix of SciPy.

    Returns
    -------
    Fault or None
    """
    for part, array in (("indptr", indptr), ("indices", indices)):
        if array.ndim != 1 or array.dtype.kind not in "iu":
            return Fault("type", part, -1, f"{array.dtype} of shape {array.shape}")
    nnz = int(indptr[-1]) if spare and len(indptr) else len(indices)
    if not len(indptr) or indptr[0] != 0 or indptr[-1] != nnz or not nnz <= len(indices):
        found = f"{indptr[0]} to {indptr[-1]}" if len(indptr) else "nowhere"
        return Fault("ends", "indptr", -1, found)
    # Compared, not subtracted: a difference of unsigned numbers is never negative.
    falls = indptr[1:] < indptr[:-1]
    if falls.any():
        row = int(falls.argmax())
        return Fault("falls", "indptr", row, f"{indptr[row]} to {indptr[row + 1]}")
    for start in range(0, nnz, _BLOCK):
        stop = min(start + _BLOCK, nnz)
        at = first_outside(indices[start:stop], 0, n_columns)
        if at is not None:
            return Fault("outside", "indices", _row_of(indptr, start + at), str(indices[start + at]))
        if rising and (at := _first_not_rising(indptr, indices, start, stop)) is not None:
            return Fault("order", "indices", _row_of(indptr, at), f"{indices[at - 1]}, then {indices[at]}")
    return None


def _first_not_rising(indptr: NDArray[Any], indices: NDArray[Any], start: int, stop: int) -> int | None:
    """Find the first entry from `start` on that is not above the one before it in its row."""
    first = max(start, 1)
    fine = indices[first:stop] > indices[first - 1 : stop - 1]
    if fine.all():
        return None
    # From one row to the next the column may fall.
    begins = indptr[np.searchsorted(indptr, first) : np.searchsorted(indptr, stop)].astype(np.intp)
    fine[begins - first] = True
    return None if fine.all() else first + int(fine.argmin())


def _row_of(indptr: NDArray[Any], entry: int) -> int:
    return int(np.searchsorted(indptr, entry, side="right")) - 1
