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
from sparserec_np.kernels.loops import short_loop
from sparserec_np.kernels.prefetch import prefetch, prefetch_entries, prefetch_row

_u = np.uint64
_f = np.float32
_1 = np.uint64(1)
# How many rows, pairs, before they are needed their memory is asked for: what is on its way at a time.
_ROWS_AHEAD = np.uint64(4)
_PAIRS_AHEAD = np.uint64(16)
# Numbers of the dense rows that are at work at a time: they stay in the nearest cache.
_BLOCK_NUMBERS = 2048


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
    start, stop, n_pairs = _u(start), _u(stop), _u(len(pairs))
    gradient = np.zeros(probes.shape[1], dtype=values.dtype)
    for t in range(start, stop):
        _prefetch_touched(t + _ROWS_AHEAD, stop, touched, b_indptr, b_columns, b_columns, slots, probes)
        for k in range(_u(offsets[t]), _u(offsets[t + _1])):
            if k + _PAIRS_AHEAD < n_pairs:
                prefetch_entries(a_columns, a_data, _u(a_indptr[_u(owners[k + _PAIRS_AHEAD])]))
            row, weight = _u(owners[k]), g[_u(pairs[k])]
            for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
                short_loop()
                gradient[a_columns[q]] += weight * a_data[q]
        _hand_out(gradient, _u(touched[t]), _u(value_starts[t]), b_indptr, b_columns, values, slots, probes)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _push(start, stop, margins, pushes):
    """Turn the margins of some examples into losses, and write the derivatives by the negative scores."""
    for e in range(start, stop):
        x = margins[e]
        small = _exp(-abs(x))
        pushes[e] = (small if x > _f(0.0) else _f(1.0)) / (_f(1.0) + small)
        margins[e] = _log1p_of_share(small) - min(x, _f(0.0))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def bpr_owners(
    start, stop, touched, offsets, partners, run_starts, a_indptr, a_columns, a_data,
    b_indptr, b_columns, b_data, pushes, losses, value_starts, values, runs, slots, probes,
):  # fmt: skip
    """Loss of the examples of the touched rows of ``A`` in the part, and the gradient of these rows.

    Those of the row ``touched[t]`` are ``offsets[t]`` to ``offsets[t + 1]``; example ``e`` has the positive
    ``partners[e, 0]`` and the negative ``partners[e, 1]``, rows of ``B``. Its loss goes to ``losses[e]``; the
    derivative by the negative's score, which is that by the positive's with the other sign, to ``pushes[e]``.
    What pair ``2 e + j`` contributes to the gradient of its row of ``B`` is written to ``runs``, a number for
    each stored entry of the row, from ``run_starts[2 e + j]`` on.
    """
    start, stop, dim = _u(start), _u(stop), _u(probes.shape[1])
    flat, n_pairs = partners.reshape(-1), _u(partners.size)
    block = _u(max(1, _BLOCK_NUMBERS // probes.shape[1]))
    wide = np.zeros((block, dim), dtype=values.dtype)
    gradient = np.zeros(dim, dtype=values.dtype)
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        # First all margins of some rows, then what they push by, then the gradients: within each of these
        # nothing waits for what was just computed.
        for t in range(begin, end):
            _prefetch_touched(t + _ROWS_AHEAD, stop, touched, a_indptr, a_columns, a_data, slots, probes)
            row, i = _u(touched[t]), t - begin
            for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
                short_loop()
                wide[i, a_columns[q]] = a_data[q]
            for e in range(_u(offsets[t]), _u(offsets[t + _1])):
                p = e + e
                if p + _PAIRS_AHEAD < n_pairs:
                    prefetch_entries(b_columns, b_data, _u(b_indptr[_u(flat[p + _PAIRS_AHEAD])]))
                    prefetch_entries(b_columns, b_data, _u(b_indptr[_u(flat[p + _PAIRS_AHEAD + _1])]))
                liked, other = _u(flat[p]), _u(flat[p + _1])
                x = y = _f(0.0)
                for q in range(_u(b_indptr[liked]), _u(b_indptr[liked + _1])):
                    short_loop()
                    x += wide[i, b_columns[q]] * b_data[q]
                for q in range(_u(b_indptr[other]), _u(b_indptr[other + _1])):
                    short_loop()
                    y += wide[i, b_columns[q]] * b_data[q]
                losses[e] = x - y
        _push(_u(offsets[begin]), _u(offsets[end]), losses, pushes)
        for t in range(begin, end):
            row, i = _u(touched[t]), t - begin
            for e in range(_u(offsets[t]), _u(offsets[t + _1])):
                for j in range(_u(2)):
                    p = e + e + j
                    partner, v = _u(flat[p]), _u(run_starts[p])
                    weight = pushes[e] if j == _1 else -pushes[e]
                    for q in range(_u(b_indptr[partner]), _u(b_indptr[partner + _1])):
                        short_loop()
                        c = b_columns[q]
                        gradient[c] += weight * b_data[q]
                        runs[v] = weight * wide[i, c]
                        v += _1
            for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
                short_loop()
                wide[i, a_columns[q]] = 0
            _hand_out(gradient, row, _u(value_starts[t]), a_indptr, a_columns, values, slots, probes)


@njit(cache=True, nogil=True, fastmath={"contract"})
def sum_runs(
    start, stop, touched, offsets, pairs, owners, run_starts, runs, a_indptr, a_columns, a_data, pushes,
    value_starts, values, slots, probes,
):  # fmt: skip
    """Gradient of the touched rows of ``B`` in the part, from the ``runs`` that `bpr_owners` wrote.

    The pairs of the row ``touched[t]`` are ``offsets[t]`` to ``offsets[t + 1]`` of ``pairs``, and their rows
    of ``A`` of ``owners``; only a probe row needs to look at these.
    """
    start, stop, n_pairs = _u(start), _u(stop), _u(len(pairs))
    for t in range(start, stop):
        first, n = _u(value_starts[t]), _u(value_starts[t + _1]) - _u(value_starts[t])
        for k in range(_u(offsets[t]), _u(offsets[t + _1])):
            if k + _PAIRS_AHEAD < n_pairs:
                ahead = _u(run_starts[_u(pairs[k + _PAIRS_AHEAD])])
                prefetch(runs, ahead)
                prefetch(runs, ahead + 16)
                prefetch(runs, ahead + 28)
            v = _u(run_starts[_u(pairs[k])])
            if k == _u(offsets[t]):
                for i in range(n):
                    values[first + i] = runs[v + i]
            else:
                for i in range(n):
                    values[first + i] += runs[v + i]
        row = _u(touched[t])
        if slots[row] >= 0:
            probe = probes[_u(slots[row])]
            for k in range(_u(offsets[t]), _u(offsets[t + _1])):
                pair, owner = _u(pairs[k]), _u(owners[k])
                push = pushes[pair >> _1]
                weight = push if pair & _1 else -push
                for q in range(_u(a_indptr[owner]), _u(a_indptr[owner + _1])):
                    short_loop()
                    probe[a_columns[q]] += weight * a_data[q]
