"""Dense rows: where they lie, and sums of them."""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit

_LINE = 64  # bytes


@njit(cache=True, nogil=True)
def zeros_in_lines(n_rows, dim, like):
    """Make zeros (n_rows, dim) of the type of ``like`` that begin where a cache line does.

    Otherwise a vector instruction that is as wide as a line needs two of them each time.
    """
    n = np.int64(n_rows) * np.int64(dim)
    room = np.zeros(n + _LINE // like.itemsize, dtype=like.dtype)
    skipped = np.int64(-np.int64(room.ctypes.data) % _LINE) // like.itemsize
    return room[skipped : skipped + n].reshape((np.int64(n_rows), np.int64(dim)))


@njit(cache=True, nogil=True, fastmath={"contract"})
def sum_dense_rows(start, stop, indptr, rows, weights, dense, out):
    """``out[r] += Σ weights[p] · dense[rows[p]]`` over the entries ``p`` of the sparse rows of the part."""
    width = np.uint64(dense.shape[1])
    for r in range(np.uint64(start), np.uint64(stop)):
        for p in range(np.uint64(indptr[r]), np.uint64(indptr[r + np.uint64(1)])):
            row, weight = np.uint64(rows[p]), weights[p]
            for c in range(width):
                out[r, c] += weight * dense[row, c]
