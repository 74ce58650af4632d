"""Tables of parts: their largest entries, and several side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparserec_np.tables import SparseTable, column_dtype, index_dtype


def largest_entries(table: SparseTable, n: int) -> SparseTable:
    """Keep the n entries of largest magnitude; of equal ones the first by row and column.

    Parameters
    ----------
    table : SparseTable
        Not modified.
    n : int
        Entries to keep; all if the table has fewer.

    Returns
    -------
    SparseTable
        Of the same shape; the same table if nothing is left out.

    Examples
    --------
    >>> import numpy as np
    >>> from sparserec_np.tables import SparseTable
    >>> table = SparseTable(np.array([0, 2, 3]), np.array([0, 1, 1]), np.array([1.0, -3.0, 2.0]), dim=2)
    >>> largest_entries(table, 2).data.tolist()
    [-3.0, 2.0]
    """
    if n >= table.nnz:
        return table
    magnitudes = np.abs(table.data)
    kept = np.zeros(table.nnz, np.bool_)
    if n > 0:
        least = np.partition(magnitudes, table.nnz - n)[table.nnz - n]
        kept = magnitudes > least
        kept[np.flatnonzero(magnitudes == least)[: n - np.count_nonzero(kept)]] = True
    before = np.zeros(table.nnz + 1, table.indptr.dtype)
    np.cumsum(kept, out=before[1:])
    return SparseTable(before[table.indptr], table.indices[kept], table.data[kept], table.dim)


def side_by_side(tables: Sequence[SparseTable]) -> SparseTable:
    """Join tables of the same rows: the columns of the first, then those of the second, and so on.

    Parameters
    ----------
    tables : sequence of SparseTable
        At least one; not modified.

    Returns
    -------
    SparseTable
        Its width is the sum of theirs; of a single table, the table itself.
    """
    if len(tables) == 1:
        return tables[0]
    n_rows, dim, nnz = tables[0].n_rows, sum(t.dim for t in tables), sum(t.nnz for t in tables)
    lengths = [np.diff(table.indptr) for table in tables]
    indptr = np.zeros(n_rows + 1, index_dtype(n_rows, dim, nnz))
    np.cumsum(sum(lengths), out=indptr[1:])
    indices, data = np.empty(nnz, column_dtype(dim)), np.empty(nnz, tables[0].data.dtype)
    free, first = indptr[:-1].astype(np.int64), 0
    for table, length in zip(tables, lengths, strict=True):
        places = np.arange(table.nnz) + np.repeat(free - table.indptr[:-1], length)
        indices[places] = table.indices.astype(np.int64) + first
        data[places] = table.data
        free += length
        first += table.dim
    return SparseTable(indptr, indices, data, dim)
