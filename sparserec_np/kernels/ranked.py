"""The gradients of rows that others meet in dot products, a row at a time.

Tables, gradients and probe rows are passed as to ``sparserec_np.kernels.embedding``. Here every row that a
batch touched is one thread's, with all of its pairs: its gradient is summed in a dense row of the table's
width, which stays in the nearest cache, in the order in which the pairs come. What is stored of it goes to
``values``, all of it to the row's accumulator if it is a probe row. So each number is the same bits whatever
the parts, and no thread waits for another.
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.loops import short_loop
from sparserec_np.kernels.prefetch import prefetch, prefetch_probe, prefetch_row

_u = np.uint64
_1 = np.uint64(1)
# How many rows, pairs, before they are needed their memory is asked for: what is on its way at a time.
_ROWS_AHEAD = np.uint64(4)
_PAIRS_AHEAD = np.uint64(16)


@njit(nogil=True, inline="always")
def _prefetch_touched(t, stop, touched, indptr, columns, slots, probes, dim):
    """Ask for what the touched row ``t`` needs, if it is before ``stop``."""
    if t < stop:
        row = _u(touched[t])
        prefetch(columns, _u(indptr[row]))
        prefetch(columns, _u(indptr[row]) + _u(24))
        prefetch_probe(slots, probes, dim, row)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _hand_out(gradient, row, v, indptr, columns, values, slots, probes):
    """Write what is stored of a row's gradient, add it to its accumulator, and zero it."""
    for q in range(_u(indptr[row]), _u(indptr[row + _1])):
        short_loop()
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
    start, stop, n_pairs, dim = _u(start), _u(stop), _u(len(pairs)), _u(probes.shape[1])
    gradient, flat = np.zeros(dim, dtype=values.dtype), probes.reshape(-1)
    for t in range(start, stop):
        _prefetch_touched(t + _ROWS_AHEAD, stop, touched, b_indptr, b_columns, slots, flat, dim)
        for k in range(_u(offsets[t]), _u(offsets[t + _1])):
            if k + _PAIRS_AHEAD < n_pairs:
                prefetch_row(a_indptr, a_columns, a_data, _u(owners[k + _PAIRS_AHEAD]))
            row, weight = _u(owners[k]), g[_u(pairs[k])]
            for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
                short_loop()
                gradient[a_columns[q]] += weight * a_data[q]
        _hand_out(gradient, _u(touched[t]), _u(value_starts[t]), b_indptr, b_columns, values, slots, probes)
