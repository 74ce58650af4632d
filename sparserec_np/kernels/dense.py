"""Sums of dense rows."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract"})
def sum_dense_rows(start, stop, indptr, rows, weights, dense, out):
    """``out[r] += Σ weights[p] · dense[rows[p]]`` over the entries ``p`` of the sparse rows of the part."""
    width = np.uint64(dense.shape[1])
    for r in range(np.uint64(start), np.uint64(stop)):
        for p in range(np.uint64(indptr[r]), np.uint64(indptr[r + np.uint64(1)])):
            row, weight = np.uint64(rows[p]), weights[p]
            for c in range(width):
                out[r, c] += weight * dense[row, c]
