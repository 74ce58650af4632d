"""Dot products with the rows of a sparse table.

A person's vector has few stored entries, so it is matched with a table column by column: the work is
the share of the table that lies in those columns. For each row, the products are summed in float32 in
the order of their columns; every path here, and any kernel that takes its place, keeps to that order, so
that all of them give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import MissingPackageError
from sparserec_np.runtime.neighbours import NeighbourFilter
from sparserec_np.runtime.regression import Gram
from sparserec_np.runtime.table_data import Compressed
from sparserec_np.runtime.topk import best_of

if TYPE_CHECKING:
    from sparserec_np.runtime.table_data import TableData


class Vector(NamedTuple):
    """Stored entries of a sparse vector, and what is added to all of its scores.

    Attributes
    ----------
    columns : ndarray of int
        Rising.
    values : ndarray of float32
    base : float32
    added : callable, optional
        Returns what else is added to the score of each row, float32 of shape (n_rows,): what neighbours
        say. It is computed where it is asked for.
    """

    columns: NDArray[np.integer]
    values: NDArray[np.float32]
    base: np.float32 = np.float32(0)
    added: Callable[[], NDArray[np.float32]] | None = None


#: A vector without entries.
NO_VECTOR = Vector(np.empty(0, np.int64), np.empty(0, np.float32))


class TableScorer:
    """A sparse table, made ready for dot products.

    What is derived from the table is made when first needed and then kept. Threads that need it at once
    may each make it; they make the same.

    Parameters
    ----------
    table : TableData
        Not copied and never changed.
    bias : ndarray of float32, shape (n_rows,), optional
        Added to the scores.
    popularity : ndarray of int or float32, shape (n_rows,), optional
        Of equal scores, the row of the larger one comes first.
    """

    #: What scores by neighbours beside the table.
    neighbour_filter: ClassVar[type[NeighbourFilter]] = NeighbourFilter

    def __init__(
        self,
        table: TableData,
        bias: NDArray[np.float32] | None = None,
        popularity: NDArray[Any] | None = None,
    ) -> None:
        self.table = table
        self.bias = bias
        self.popularity = popularity

    @cached_property
    def norms(self) -> NDArray[np.float32]:
        """Euclidean length of each row."""
        _, rows, values = self.table.by_column
        sums = np.bincount(rows, np.square(values, dtype=np.float64), self.table.n_rows)
        return np.sqrt(sums).astype(np.float32)

    @cached_property
    def gram(self) -> Gram:
        """Sum of the outer products of all rows with themselves."""
        return Gram(self.table)

    @cached_property
    def used_columns(self) -> NDArray[np.bool_]:
        """Which columns hold an entry of some row, shape (dim,)."""
        return self.table.used_columns

    @cached_property
    def _all_used(self) -> bool:
        return bool(self.used_columns.all())

    def meets(self, vector: Vector) -> bool:
        """Whether a vector has an entry in a column that some row has an entry in, so that scores differ."""
        values = vector.values if self._all_used else vector.values[self.used_columns[vector.columns]]
        return bool(values.any())

    def row(self, row: int) -> Vector:
        """Return one row."""
        return Vector(*self.table.row(row))

    def dense(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Copy some rows into a dense array, shape (len(rows), dim)."""
        return self.table.dense(rows)

    def entries(self, rows: NDArray[np.integer]) -> Compressed:
        """Copy the stored entries of some rows, in the order given."""
        return self.table.entries(rows)

    def weighted_sum(self, rows: NDArray[np.integer], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum rows, each times its weight, one after the other in float64, shape (dim,)."""
        # Only these rows are unpacked; bincount adds in the order given, as the kernel for many users does.
        found = self.entries(rows)
        products = weights[found.majors] * found.values
        return np.asarray(np.bincount(found.indices.astype(np.intp), products, self.table.dim), np.float64)

    def dots(self, vector: Vector) -> NDArray[np.float32]:
        """Dot products of a sparse vector with every row, shape (n_rows,)."""
        dots = np.zeros(self.table.n_rows, np.float32)
        for column, value in zip(vector.columns.tolist(), vector.values, strict=True):
            rows, stored = self.table.column(column)
            # A row occurs once in a column, so that no addition is lost.
            dots[rows] += value * stored
        return dots

    def scores(self, vector: Vector) -> NDArray[np.float32]:
        """Dot products, plus the rows' bias, the vector's base and what it adds, shape (n_rows,)."""
        scores = self.dots(vector)
        if self.bias is not None:
            scores += self.bias
        if vector.base:
            scores += vector.base
        if vector.added is not None:
            scores += vector.added()
        return scores

    def best(
        self,
        vector: Vector,
        k: int,
        excluded: NDArray[np.integer],
        candidates: NDArray[np.integer] | None = None,
    ) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """Find the rows of the k best scores; as `sparserec_np.runtime.topk.best_of`."""
        return best_of(self.scores(vector), k, excluded, candidates, self.popularity)

    def most_similar(
        self, vector: Vector, k: int, own: int = -1
    ) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """Find the k rows of the largest cosine with a vector, and the cosines.

        Rows without entries, and row `own`, which is the vector's, are left out; -1 is no row.
        """
        length = np.sqrt(np.square(vector.values, dtype=np.float64).sum()).astype(np.float32)
        lengths = self.norms * length
        cosines = np.full(len(lengths), -np.inf, np.float32)
        np.divide(self.dots(vector), lengths, out=cosines, where=lengths > 0)
        nothing = np.array([own] if own >= 0 else [], np.int64)
        return best_of(cosines, k, nothing, popularity=self.popularity)

    def paired_dots(
        self, rows: NDArray[np.integer], vectors: NDArray[np.float32], which: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Dot products of pairs: the table's ``rows[i]`` with ``vectors[which[i]]``.

        Parameters
        ----------
        rows : ndarray of int, shape (n_pairs,)
        vectors : ndarray of float32, shape (n_vectors, dim)
            Dense.
        which : ndarray of int, shape (n_pairs,)

        Returns
        -------
        ndarray of float32, shape (n_pairs,)
        """
        table = self.table
        starts = table.indptr[rows].astype(np.intp)
        lengths = table.indptr[rows + 1].astype(np.intp) - starts
        scores = np.zeros(len(rows), np.float32)
        # The first entries of all rows, then the second ones: rising columns for each, as in `dots`.
        for step in range(lengths.max(initial=0)):
            pairs = np.flatnonzero(lengths > step)
            entries = starts[pairs] + step
            scores[pairs] += vectors[which[pairs], table.indices[entries]] * table.values[entries]
        return scores


def scorer_type(accelerate: bool) -> type[TableScorer]:
    """Return the scorer that does the work in NumPy, or the one that does it in a kernel of numba."""
    if not accelerate:
        return TableScorer
    try:
        from sparserec_np.runtime.accelerated import AcceleratedScorer
    except ImportError:
        raise MissingPackageError("accelerate=True", "numba") from None
    return AcceleratedScorer
