"""Dot products with the rows of a sparse table.

A person's vector has few stored entries, so it is matched with a table column by column: the work is
the share of the table that lies in those columns. For each row, the products are summed in float32 in
the order of their columns; every path here, and any kernel that takes its place, keeps to that order, so
that all of them give the same bits.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sparserec_np.runtime.table_data import TableData

# Entries of the largest dense block that a computation in blocks holds at once.
_BLOCK_ENTRIES = 1 << 19


class TableScorer:
    """A sparse table, made ready for dot products.

    What is derived from the table is made when first needed and then kept. Threads that need it at once
    may each make it; they make the same.

    Parameters
    ----------
    table : TableData
        Not copied and never changed.
    """

    def __init__(self, table: TableData) -> None:
        self.table = table

    @cached_property
    def _starts(self) -> list[int]:
        """Where each column starts, as Python's integers: they slice faster than NumPy's."""
        starts: list[int] = self.table.by_column.indptr.tolist()
        return starts

    @cached_property
    def norms(self) -> NDArray[np.float32]:
        """Euclidean length of each row."""
        _, rows, values = self.table.by_column
        sums = np.bincount(rows, np.square(values, dtype=np.float64), self.table.n_rows)
        return np.sqrt(sums).astype(np.float32)

    @cached_property
    def gram(self) -> NDArray[np.float64]:
        """Sum of the outer products of all rows with themselves, shape (dim, dim)."""
        gram = np.zeros((self.table.dim, self.table.dim))
        step = max(_BLOCK_ENTRIES // self.table.dim, 1)
        for start in range(0, self.table.n_rows, step):
            block = self.dense(np.arange(start, min(start + step, self.table.n_rows))).astype(np.float64)
            gram += block.T @ block
        return gram

    def row(self, row: int) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """Columns and values of the stored entries of one row."""
        entries = slice(int(self.table.indptr[row]), int(self.table.indptr[row + 1]))
        return self.table.indices[entries], self.table.values[entries]

    def dense(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Copy some rows into a dense array, shape (len(rows), dim)."""
        table = self.table
        starts = table.indptr[rows].astype(np.intp)
        lengths = table.indptr[rows + 1].astype(np.intp) - starts
        block = np.zeros((len(rows), table.dim), np.float32)
        before = np.cumsum(lengths) - lengths
        entries = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
        block[np.repeat(np.arange(len(rows)), lengths), table.indices[entries]] = table.values[entries]
        return block

    def dots(self, columns: NDArray[np.integer], values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Dot products of one sparse vector with every row.

        Parameters
        ----------
        columns : ndarray of int
            Columns of the vector's entries, rising.
        values : ndarray of float32
            Their values.

        Returns
        -------
        ndarray of float32, shape (n_rows,)
        """
        _, rows, stored = self.table.by_column
        starts = self._starts
        scores = np.zeros(self.table.n_rows, np.float32)
        for column, value in zip(columns.tolist(), values, strict=True):
            entries = slice(starts[column], starts[column + 1])
            # A row occurs once in a column, so that no addition is lost.
            scores[rows[entries]] += value * stored[entries]
        return scores

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
