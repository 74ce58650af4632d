"""Sparse embedding tables and their gradients."""

from sparserec_np.tables.sparse_table import SparseTable, TableGradient, column_dtype, index_dtype, unsigned

__all__ = ["SparseTable", "TableGradient", "column_dtype", "index_dtype", "unsigned"]
