r"""Ridge regressions on sparse rows, in memory that follows from their stored entries, not from their width.

The minimiser of

.. math:: \sum_i w_i (t_i - u^T v_i)^2 + \alpha \sum_j (u^T x_j)^2 + \sum_c p_c u_c^2

over the rows `v` of a history and the rows `x` of a whole table is 0 in every column that none of these rows
has an entry in. So the system is set up in the other columns alone. Where these are few for the number of
entries it is dense and solved directly; else, as in a table of 65,536 columns that a small file may well
describe, it is solved by conjugate gradients [1]_, which need no more than products with the rows.

References
----------
.. [1] M. R. Hestenes, E. Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", Journal of
   Research of the National Bureau of Standards 49 (6), 1952.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.runtime.table_data import Compressed, TableData

Floats = NDArray[np.float64]

# Numbers of a dense system that is always affordable; a larger one must not have more than there are entries.
_DENSE = 1 << 20
# Numbers of the largest dense block, or pairs of entries, that are held at once.
_BLOCK = 1 << 19
# A pair of entries that is looked up costs as much as so many multiplications within a dense block.
_PAIR_COST = 64
# Conjugate gradients stop once the residual is so small a part of the first one, or after so many steps.
_TOLERANCE = 1e-10
_MOST_STEPS = 2000


def is_dense(n_columns: int, n_entries: int) -> bool:
    """Whether a system of so many columns may be held dense, for rows of so many stored entries."""
    return n_columns * n_columns <= max(_DENSE, n_entries)


def gram_of(rows: Compressed, n_columns: int, weights: Floats | None = None) -> Floats:
    """Sum the outer products of sparse rows with themselves, each times its weight.

    Parameters
    ----------
    rows : Compressed
        Columns rise within each row.
    n_columns : int
    weights : ndarray of float64, shape (n_rows,), optional

    Returns
    -------
    ndarray of float64, shape (n_columns, n_columns)
    """
    starts = rows.indptr.astype(np.int64)
    lengths = starts[1:] - starts[:-1]
    if len(lengths) * n_columns <= _BLOCK:
        return _product(rows, np.arange(len(lengths)), n_columns, weights)
    gram = np.zeros((n_columns, n_columns))
    full = lengths * lengths * _PAIR_COST >= n_columns * n_columns
    chosen = np.flatnonzero(full & (lengths > 0))
    step = max(_BLOCK // n_columns, 1)
    for start in range(0, len(chosen), step):
        gram += _product(rows, chosen[start : start + step], n_columns, weights)
    # Rows with few of the columns would be mostly zeros.
    chosen = np.flatnonzero(~full & (lengths > 0))
    ends = np.cumsum(lengths[chosen] ** 2)
    at = 0
    while at < len(chosen):
        done = int(ends[at - 1]) if at else 0
        stop = max(int(np.searchsorted(ends, done + max(_BLOCK, gram.size), side="right")), at + 1)
        gram += _sum_of_pairs(rows, chosen[at:stop], lengths, n_columns, weights)
        at = stop
    return gram


def _product(rows: Compressed, which: NDArray[np.integer], n_columns: int, weights: Floats | None) -> Floats:
    part = rows.taken(which)
    block = np.zeros((len(which), n_columns))
    block[part.majors, part.indices] = part.values
    weighted = block if weights is None else block * weights[which][:, None]
    product: Floats = weighted.T @ block
    return product


def _sum_of_pairs(
    rows: Compressed,
    which: NDArray[np.integer],
    lengths: NDArray[np.int64],
    n_columns: int,
    weights: Floats | None,
) -> Floats:
    """Sum the products of every two entries that share a row."""
    part = rows.taken(which)
    columns, values = part.indices.astype(np.int64), part.values.astype(np.float64)
    partners = lengths[which][part.majors]
    begins = np.repeat(part.indptr[:-1], lengths[which])
    first = np.repeat(np.arange(len(columns)), partners)
    ends = np.cumsum(partners)
    second = np.arange(len(first)) + np.repeat(begins - (ends - partners), partners)
    weighted = values if weights is None else values * weights[which][part.majors]
    places = columns[first] * n_columns + columns[second]
    products = weighted[first] * values[second]
    return sums(places, products, n_columns * n_columns).reshape(n_columns, n_columns)


class Gram:
    """Sum of the outer products of all rows of a table with themselves, in the columns that have an entry.

    Parameters
    ----------
    table : TableData
    """

    def __init__(self, table: TableData) -> None:
        self._table = table

    @cached_property
    def columns(self) -> NDArray[np.intp]:
        """Columns that have an entry, rising."""
        return np.flatnonzero(np.diff(self._table.by_column.indptr.astype(np.int64)))

    @cached_property
    def mean_square(self) -> float:
        """Mean squared length of a row."""
        return float(np.square(self._table.by_column.values, dtype=np.float64).sum()) / max(
            self._table.n_rows, 1
        )

    @cached_property
    def dense(self) -> Floats | None:
        """The sum in these columns; None where it would be large for the number of entries."""
        n = len(self.columns)
        if not is_dense(n, self._table.nnz):
            return None
        return gram_of(narrowed(self._table.by_row, self.columns, self._table.dim), n)

    @cached_property
    def diagonal(self) -> Floats:
        """Its diagonal."""
        places, _, values = self._entries
        return sums(places, values * values, len(self.columns))

    def times(self, vector: Floats) -> Floats:
        """Multiply with a vector over these columns."""
        places, rows, values = self._entries
        scores = sums(rows, values * vector[places], self._table.n_rows)
        return sums(places, values * scores[rows], len(self.columns))

    @cached_property
    def _entries(self) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Place of its column, row and value of every entry."""
        starts, rows, values = self._table.by_column
        lengths = starts[self.columns + 1].astype(np.intp) - starts[self.columns].astype(np.intp)
        places = np.repeat(np.arange(len(lengths)), lengths)
        return places, rows.astype(np.intp), values.astype(np.float64)


def narrowed(rows: Compressed, columns: NDArray[np.intp], dim: int) -> Compressed:
    """Renumber the columns of sparse rows by their place among those that occur."""
    if len(columns) == dim:
        return rows._replace(indices=rows.indices.astype(np.intp))
    place = np.zeros(dim, np.intp)
    place[columns] = np.arange(len(columns))
    return Compressed(rows.indptr, place[rows.indices], rows.values)


def solve(
    rows: Compressed,
    weights: Floats | None,
    right: Floats,
    pulls: Floats,
    alpha: float = 0.0,
    gram: Gram | None = None,
) -> Floats:
    r"""Solve :math:`(\sum_i w_i v_i v_i^T + \alpha G + \mathrm{diag}(p)) u = b`.

    Parameters
    ----------
    rows : Compressed
        The rows `v`, in as many columns as there are `pulls`.
    weights : ndarray of float64, shape (n_rows,), optional
        Weight of each, 0 or more; 1 by default.
    right : ndarray of float64
        The right side `b`.
    pulls : ndarray of float64
        What is added to the diagonal; above 0.
    alpha : float
    gram : Gram, optional
        The matrix `G`, of a table in whose columns the rows are.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    numpy.linalg.LinAlgError
        If the numbers are so large or so small that there is no solution in float64.
    """
    n = len(pulls)
    if gram is None or not alpha:
        if is_dense(n, len(rows.indices)):
            return np.asarray(np.linalg.solve(gram_of(rows, n, weights) + np.diag(pulls), right))
    elif gram.dense is not None:
        system = gram_of(rows, n, weights) + alpha * gram.dense + np.diag(pulls)
        return np.asarray(np.linalg.solve(system, right))
    majors, columns, values = rows.majors, rows.indices.astype(np.intp), rows.values.astype(np.float64)
    weighted = values if weights is None else values * weights[majors]

    def times(vector: Floats) -> Floats:
        scores = sums(majors, values * vector[columns], len(rows.indptr) - 1)
        product = sums(columns, weighted * scores[majors], n) + pulls * vector
        return product if gram is None or not alpha else product + alpha * gram.times(vector)

    diagonal = sums(columns, weighted * values, n) + pulls
    if gram is not None and alpha:
        diagonal += alpha * gram.diagonal
    return _conjugate_gradients(times, right, diagonal)


def _conjugate_gradients(times: Callable[[Floats], Floats], right: Floats, diagonal: Floats) -> Floats:
    """Solve a positive definite system, preconditioned by its diagonal."""
    solution = np.zeros(len(right))
    residual = right.copy()
    scaled = residual / diagonal
    direction, size = scaled, float(residual @ scaled)
    enough = _TOLERANCE**2 * size
    for _ in range(_MOST_STEPS):
        if not size > enough:
            break
        product = times(direction)
        step = size / float(direction @ product)
        solution += step * direction
        residual -= step * product
        scaled = residual / diagonal
        size, before = float(residual @ scaled), size
        direction = scaled + size / before * direction
    if not (np.isfinite(size) and np.isfinite(diagonal).all() and np.isfinite(solution).all()):
        raise np.linalg.LinAlgError("the numbers overflow")
    return solution


def sums(places: NDArray[np.intp], values: Floats, n: int) -> Floats:
    """Add up values by their places, of which there are `n`; in the order given."""
    return np.asarray(np.bincount(places, values, n), np.float64)


def with_column(rows: Compressed, column: int, value: float) -> Compressed:
    """Append one more entry, of the same value, to every row, in a column beyond all others."""
    n = len(rows.indptr) - 1
    places = rows.indptr[1:].astype(np.intp)
    indptr = rows.indptr.astype(np.intp) + np.arange(n + 1)
    indices = np.insert(rows.indices.astype(np.intp), places, column)
    values: Any = np.insert(rows.values.astype(np.float64), places, value)
    return Compressed(indptr, indices, values)


def occurring(rows: Compressed) -> NDArray[Any]:
    """Return the columns that some rows have an entry in, rising."""
    return np.unique(rows.indices)
