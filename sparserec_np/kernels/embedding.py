"""Forward and backward arithmetic of batches of embedding rows.

A table is passed as its CSR arrays ``(indptr, indices, data)``; columns are sorted and unique within a row.
Every kernel works on the part ``[start, stop)`` of a batch and writes nothing outside of it, so the parts
may run in any number of threads and always give the same bits. Preconditions (row numbers in range, array
lengths) are checked by the callers in ``sparserec_np.autograd.sparse``.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def dot_rows(start, stop, dim, a_indptr, a_indices, a_data, a_rows, b_indptr, b_indices, b_data, b_rows, out):
    """``out[e, j] = ⟨A[a_rows[e]], B[b_rows[e, j]]⟩`` for the examples ``e`` of the part."""
    # The row of A is spread out once and meets all of its partners.
    spread = np.zeros(dim, dtype=a_data.dtype)
    for e in range(start, stop):
        first, last = a_indptr[a_rows[e]], a_indptr[a_rows[e] + 1]
        for q in range(first, last):
            spread[a_indices[q]] = a_data[q]
        for j in range(b_rows.shape[1]):
            row = b_rows[e, j]
            total = a_data.dtype.type(0)
            for q in range(b_indptr[row], b_indptr[row + 1]):
                total += spread[b_indices[q]] * b_data[q]
            out[e, j] = total
        for q in range(first, last):
            spread[a_indices[q]] = 0


@njit(cache=True, nogil=True)
def gather_rows(start, stop, indptr, indices, data, rows, out):
    """``out[e] = A[rows[e]]`` as a dense row, for the examples of the part; ``out`` comes in zeroed."""
    for e in range(start, stop):
        for q in range(indptr[rows[e]], indptr[rows[e] + 1]):
            out[e, indices[q]] = data[q]


@njit(cache=True, nogil=True)
def group_rows(rows, counts, order):
    """Sort the positions of ``rows`` by row, stably.

    Parameters
    ----------
    rows : int array (n,)
        Row numbers, each below ``len(counts)``.
    counts : int64 array (n_rows,)
        Zeros; comes back zeroed.
    order : int64 array (n,)
        Receives the positions, grouped by ascending row, ascending within a row.

    Returns
    -------
    touched : int64 array (t,)
        The rows that occur, ascending.
    offsets : int64 array (t + 1,)
        Group ``g`` of ``order`` is ``order[offsets[g]:offsets[g + 1]]``.
    """
    n_touched = 0
    for r in rows:
        n_touched += counts[r] == 0
        counts[r] += 1
    touched = np.empty(n_touched, dtype=np.int64)
    offsets = np.zeros(n_touched + 1, dtype=np.int64)
    t = 0
    for r in range(len(counts)):
        if counts[r] > 0:
            touched[t] = r
            offsets[t + 1] = offsets[t] + counts[r]
            counts[r] = offsets[t]
            t += 1
    for p in range(len(rows)):
        order[counts[rows[p]]] = p
        counts[rows[p]] += 1
    for t in range(n_touched):
        counts[touched[t]] = 0
    return touched, offsets


@njit(cache=True, nogil=True)
def dot_rows_vjp(
    start, stop, dim, touched, offsets, order, span, g, partners, partner_span,
    own_indptr, own_indices, other_indptr, other_indices, other_data,
    value_starts, values, slots, probes,
):  # fmt: skip
    """Gradient of one table in ``dot_rows``: ``Σ_p g[p] · Other[partner of p]``, over a row's pairs ``p``.

    An occurrence ``o`` of a touched row stands for the pairs ``o·span … (o+1)·span - 1``; pair ``p`` has
    the partner row ``partners[p // partner_span]``. Only the row's stored entries are written to
    ``values``; a probe row (``slots[row] >= 0``) adds the full width to ``probes[slot]``.
    """
    width = np.zeros(dim, dtype=values.dtype)
    for t in range(start, stop):
        row = touched[t]
        for k in range(offsets[t], offsets[t + 1]):
            for p in range(order[k] * span, (order[k] + 1) * span):
                weight = g[p]
                if weight == 0:
                    continue
                partner = partners[p // partner_span]
                for q in range(other_indptr[partner], other_indptr[partner + 1]):
                    width[other_indices[q]] += weight * other_data[q]
        v = value_starts[t]
        for q in range(own_indptr[row], own_indptr[row + 1]):
            values[v] = width[own_indices[q]]
            v += 1
        slot = slots[row]
        if slot >= 0:
            for c in range(dim):
                probes[slot, c] += width[c]
        width[:] = 0


@njit(cache=True, nogil=True)
def combine_rows(start, stop, indptr, indices, data, w_indptr, w_indices, w_data, out):
    """``out[e] += Σ_i w[e, i] · A[i]`` for the rows ``e`` of the part; ``w`` is CSR, ``out`` dense."""
    for e in range(start, stop):
        for k in range(w_indptr[e], w_indptr[e + 1]):
            row, weight = w_indices[k], w_data[k]
            for q in range(indptr[row], indptr[row + 1]):
                out[e, indices[q]] += weight * data[q]


@njit(cache=True, nogil=True)
def match_rows(start, stop, dense, owners, indptr, indices, data, rows, out):
    """``out[e, j] = ⟨dense[owners[e]], A[rows[e, j]]⟩`` for the examples ``e`` of the part."""
    for e in range(start, stop):
        left = dense[owners[e]]
        for j in range(rows.shape[1]):
            row = rows[e, j]
            total = data.dtype.type(0)
            for q in range(indptr[row], indptr[row + 1]):
                total += left[indices[q]] * data[q]
            out[e, j] = total


@njit(cache=True, nogil=True)
def match_rows_dense_vjp(start, stop, offsets, order, g, indptr, indices, data, rows, out):
    """Gradient of ``dense`` in ``match_rows``; group ``b`` of ``order`` holds the examples of row ``b``."""
    for b in range(start, stop):
        for k in range(offsets[b], offsets[b + 1]):
            e = order[k]
            for j in range(rows.shape[1]):
                weight, row = g[e, j], rows[e, j]
                if weight == 0:
                    continue
                for q in range(indptr[row], indptr[row + 1]):
                    out[b, indices[q]] += weight * data[q]


@njit(cache=True, nogil=True)
def dense_partners_vjp(
    start, stop, touched, offsets, order, weights, partners, partner_span, dense,
    own_indptr, own_indices, value_starts, values, slots, probes,
):  # fmt: skip
    """Gradient of a table whose rows met rows of ``dense``: ``Σ_p weights[p] · dense[partner of p]``.

    As `dot_rows_vjp` with a span of 1; pair ``p`` has the partner ``partners[p // partner_span]``.
    """
    for t in range(start, stop):
        row = touched[t]
        first, last = own_indptr[row], own_indptr[row + 1]
        v = value_starts[t]
        values[v : v + last - first] = 0
        slot = slots[row]
        for k in range(offsets[t], offsets[t + 1]):
            p = order[k]
            weight = weights[p]
            if weight == 0:
                continue
            partner = dense[partners[p // partner_span]]
            for q in range(last - first):
                values[v + q] += weight * partner[own_indices[first + q]]
            if slot >= 0:
                for c in range(len(partner)):
                    probes[slot, c] += weight * partner[c]
