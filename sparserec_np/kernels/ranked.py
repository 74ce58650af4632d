"""The gradients of pairs of rows that meet in dot products, a row at a time; and BPR in one go.

Tables, gradients and probe rows are passed as to ``sparserec_np.kernels.embedding``. Here every row that a
batch touched is one thread's, with all of its pairs: its gradient is summed in a dense row of the table's
width, which stays in the nearest cache, in the order in which the pairs come. What is stored of it goes to
``values``, all of it to the row's accumulator if it is a probe row. So each number is the same bits whatever
the parts, and no thread waits for another.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sparserec_np.kernels.exponentials import _exp, _log1p_of_share
from sparserec_np.kernels.prefetch import prefetch_entries, prefetch_row

_u = np.uint64
_f = np.float32
_1 = np.uint64(1)
# How many rows, pairs, before they are needed their memory is asked for: what is on its way at a time.
_ROWS_AHEAD = np.uint64(4)
_PAIRS_AHEAD = np.uint64(16)


@njit(nogil=True, inline="always")
def _prefetch_touched(t, stop, touched, indptr, columns, data, slots, probes):
    """Ask for what the touched row ``t`` needs, if it is before ``stop``."""
    if t < stop:
        row = _u(touched[t])
        prefetch_entries(columns, data, _u(indptr[row]))
        if slots[row] >= 0:
            prefetch_row(probes[_u(slots[row])])


@njit(cache=True, nogil=True, fastmath={"contract"})
def _hand_out(gradient, row, v, indptr, columns, values, slots, probes):
    """Write what is stored of a row's gradient, add it to its accumulator, and zero it."""
    for q in range(_u(indptr[row]), _u(indptr[row + _1])):
        values[v] = gradient[columns[q]]
        v += _1
    if slots[row] >= 0:
        probe = probes[_u(slots[row])]
        for c in range(len(gradient)):
            probe[c] += gradient[c]
    gradient[:] = 0


@njit(cache=True, nogil=True, fastmath={"contract"})
def add_partners(
    start, stop, touched, offsets, pairs, owners, a_indptr, a_columns, a_data,
    b_indptr, b_columns, g, value_starts, values, slots, probes,
):  # fmt: skip
    """Gradient of the touched rows of ``B`` in the part: ``Σ g[pairs[k]] · A[owners[k]]`` over their pairs.

    Those of the row ``touched[t]`` are ``offsets[t]`` to ``offsets[t + 1]``.
    """
    start, stop, n_pairs = _u(start), _u(stop), _u(len(pairs))
    gradient = np.zeros(probes.shape[1], dtype=values.dtype)
    for t in range(start, stop):
        _prefetch_touched(t + _ROWS_AHEAD, stop, touched, b_indptr, b_columns, b_columns, slots, probes)
        for k in range(_u(offsets[t]), _u(offsets[t + _1])):
            if k + _PAIRS_AHEAD < n_pairs:
                prefetch_entries(a_columns, a_data, _u(a_indptr[_u(owners[k + _PAIRS_AHEAD])]))
            row, weight = _u(owners[k]), g[_u(pairs[k])]
            for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
                gradient[a_columns[q]] += weight * a_data[q]
        _hand_out(gradient, _u(touched[t]), _u(value_starts[t]), b_indptr, b_columns, values, slots, probes)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _bpr(scores, g, e):
    """Loss of one example; ``g[e]`` becomes its derivative by each of the scores."""
    share = _f(1.0) / _f(len(scores) - 1)
    loss, pull = _f(0.0), _f(0.0)
    for j in range(_1, _u(len(scores))):
        x = scores[0] - scores[j]
        below = x if x < _f(0.0) else _f(0.0)
        small = _exp(below + below - x)
        loss += _log1p_of_share(small) - below
        push = share * (small if x > _f(0.0) else _f(1.0)) / (_f(1.0) + small)
        g[e, j] = push
        pull += push
    g[e, 0] = -pull
    return share * loss


@njit(cache=True, nogil=True, fastmath={"contract"})
def bpr_owners(
    start, stop, touched, offsets, partners, a_indptr, a_columns, a_data, b_indptr, b_columns, b_data,
    g, losses, value_starts, values, slots, probes,
):  # fmt: skip
    """Loss of the examples of the touched rows of ``A`` in the part, and the gradient of these rows.

    Those of the row ``touched[t]`` are ``offsets[t]`` to ``offsets[t + 1]``; example ``e`` scores the rows
    ``partners[e]`` of ``B``, the first of which is the positive. Its loss goes to ``losses[e]``, the
    derivative by its scores to ``g[e]``.
    """
    start, stop = _u(start), _u(stop)
    width = _u(partners.shape[1])
    flat, n_pairs = partners.reshape(-1), _u(partners.size)
    wide = np.zeros(probes.shape[1], dtype=values.dtype)
    gradient = np.zeros(probes.shape[1], dtype=values.dtype)
    scores = np.empty(width, dtype=values.dtype)
    for t in range(start, stop):
        _prefetch_touched(t + _ROWS_AHEAD, stop, touched, a_indptr, a_columns, a_data, slots, probes)
        row = _u(touched[t])
        for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
            wide[a_columns[q]] = a_data[q]
        for e in range(_u(offsets[t]), _u(offsets[t + _1])):
            p = e * width
            for j in range(width):
                if p + j + _PAIRS_AHEAD < n_pairs:
                    prefetch_entries(b_columns, b_data, _u(b_indptr[_u(flat[p + j + _PAIRS_AHEAD])]))
                partner, score = _u(flat[p + j]), _f(0.0)
                for q in range(_u(b_indptr[partner]), _u(b_indptr[partner + _1])):
                    score += wide[b_columns[q]] * b_data[q]
                scores[j] = score
            losses[e] = _bpr(scores, g, e)
            for j in range(width):
                partner, weight = _u(flat[p + j]), g[e, j]
                for q in range(_u(b_indptr[partner]), _u(b_indptr[partner + _1])):
                    gradient[b_columns[q]] += weight * b_data[q]
        for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
            wide[a_columns[q]] = 0
        _hand_out(gradient, row, _u(value_starts[t]), a_indptr, a_columns, values, slots, probes)
