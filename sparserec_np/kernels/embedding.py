"""Forward arithmetic of batches of embedding rows.

A table is passed as its CSR arrays ``(indptr, columns, data)``, sorted and unique within a row. Row pointers,
columns and row numbers are unsigned: numba then leaves out its test for negative indices, which costs as
much as the arithmetic. Every kernel works on the part ``[start, stop)`` of a batch and writes nothing
outside of it, so the parts may run in any number of threads and always give the same bits. Preconditions
(row numbers in range, array lengths) are checked by the callers in ``sparserec_np.autograd.sparse``.

``fastmath={"contract"}`` lets a product and a sum be one instruction. It does not reorder anything.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_u = np.uint64
_1 = np.uint64(1)


@njit(cache=True, nogil=True, fastmath={"contract"})
def dot_rows(start, stop, dim, a_indptr, a_columns, a_data, a_rows, b_indptr, b_columns, b_data, b_rows, out):
    """``out[e, j] = ⟨A[a_rows[e]], B[b_rows[e, j]]⟩`` for the examples ``e`` of the part."""
    # The row of A is spread out once and meets all of its partners.
    spread = np.zeros(dim, dtype=a_data.dtype)
    m = _u(b_rows.shape[1])
    for e in range(_u(start), _u(stop)):
        row = _u(a_rows[e])
        first, last = _u(a_indptr[row]), _u(a_indptr[row + _1])
        for q in range(first, last):
            spread[a_columns[q]] = a_data[q]
        for j in range(m):
            row = _u(b_rows[e, j])
            total = b_data.dtype.type(0)
            for q in range(_u(b_indptr[row]), _u(b_indptr[row + _1])):
                total += spread[b_columns[q]] * b_data[q]
            out[e, j] = total
        for q in range(first, last):
            spread[a_columns[q]] = 0


@njit(cache=True, nogil=True, fastmath={"contract"})
def gather_rows(start, stop, indptr, columns, data, rows, out):
    """``out[e] = A[rows[e]]`` as a dense row, for the examples of the part; ``out`` comes in zeroed."""
    for e in range(_u(start), _u(stop)):
        row = _u(rows[e])
        for q in range(_u(indptr[row]), _u(indptr[row + _1])):
            out[e, columns[q]] = data[q]


@njit(cache=True, nogil=True, fastmath={"contract"})
def combine_rows(start, stop, indptr, columns, data, w_indptr, w_rows, w_data, out):
    """``out[e] += Σ_i w[e, i] · A[i]`` for the rows ``e`` of the part; ``w`` is CSR, ``out`` dense."""
    for e in range(_u(start), _u(stop)):
        for k in range(_u(w_indptr[e]), _u(w_indptr[e + _1])):
            row, weight = _u(w_rows[k]), w_data[k]
            for q in range(_u(indptr[row]), _u(indptr[row + _1])):
                out[e, columns[q]] += weight * data[q]


@njit(cache=True, nogil=True, fastmath={"contract"})
def match_rows(start, stop, dense, owners, indptr, columns, data, rows, out):
    """``out[e, j] = ⟨dense[owners[e]], A[rows[e, j]]⟩`` for the examples ``e`` of the part."""
    m = _u(rows.shape[1])
    for e in range(_u(start), _u(stop)):
        left = dense[_u(owners[e])]
        for j in range(m):
            row = _u(rows[e, j])
            total = data.dtype.type(0)
            for q in range(_u(indptr[row]), _u(indptr[row + _1])):
                total += left[columns[q]] * data[q]
            out[e, j] = total
