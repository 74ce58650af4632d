"""BPR of dot products: loss, gradients and the update by them, a row at a time.

Tables and probe rows are passed as to ``sparserec_np.kernels.embedding``, what an optimizer does as a rule of
``sparserec_np.kernels.updates``. Every row that a batch touched is one thread's, with all of its pairs, in
the order in which these come, and is moved as soon as its gradient is summed. So each number is the same bits
whatever the parts, and no thread waits for another.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sparserec_np.kernels.exponentials import _exp, _log1p_of_share
from sparserec_np.kernels.loops import short_loop
from sparserec_np.kernels.prefetch import prefetch, prefetch_entries, prefetch_touched
from sparserec_np.kernels.updates import move

_u = np.uint64
_f = np.float32
_1 = np.uint64(1)
# How many rows, pairs, before they are needed their memory is asked for: what is on its way at a time.
_ROWS_AHEAD = np.uint64(4)
_PAIRS_AHEAD = np.uint64(16)
# Numbers of the dense rows that are at work at a time: they stay in the nearest cache.
_BLOCK_NUMBERS = 2048


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _push(start, stop, margins, pushes):
    """Turn the margins of some examples into losses, and write the derivatives by the negative scores."""
    for e in range(start, stop):
        x = margins[e]
        small = _exp(-abs(x))
        pushes[e] = (small if x > _f(0.0) else _f(1.0)) / (_f(1.0) + small)
        margins[e] = _log1p_of_share(small) - min(x, _f(0.0))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def move_owners(
    start, stop, touched, offsets, partners, run_starts, a_indptr, a_columns, a_data,
    b_indptr, b_columns, b_data, pushes, losses, old_starts, old_columns, old_data, runs, slots, accumulators,
    l2, rule,
):  # fmt: skip
    """Loss of the examples of the touched rows of ``A`` in the part, and the update of these rows.

    Those of the row ``touched[t]`` are ``offsets[t]`` to ``offsets[t + 1]``; example ``e`` has the positive
    ``partners[e, 0]`` and the negative ``partners[e, 1]``, rows of ``B``. Its loss goes to ``losses[e]``; the
    derivative by the negative's score, which is that by the positive's with the other sign, to ``pushes[e]``.
    What pair ``2 e + j`` contributes to the gradient of its row of ``B`` is written to ``runs``, a number for
    each stored entry of the row, from ``run_starts[2 e + j]`` on. What the row ``touched[t]`` stored before
    is kept from ``old_starts[t]`` on.
    """
    start, stop, dim = _u(start), _u(stop), _u(accumulators.shape[1])
    flat, n_pairs, probes = partners.reshape(-1), _u(partners.size), accumulators.reshape(-1)
    block = max(_1, _u(_BLOCK_NUMBERS) // dim)
    wide = np.zeros((block, dim), dtype=a_data.dtype)
    gradient = np.zeros(dim, dtype=a_data.dtype)
    for begin in range(start, stop, block):
        end = min(begin + block, stop)
        # First all margins of some rows, then what they push by, then the gradients: within each of these
        # nothing waits for what was just computed.
        for t in range(begin, end):
            prefetch_touched(t + _ROWS_AHEAD, stop, touched, a_indptr, a_columns, a_data, slots, probes, dim)
            row, i, v = _u(touched[t]), t - begin, _u(old_starts[t])
            for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
                short_loop()
                wide[i, a_columns[q]] = a_data[q]
                old_columns[v] = a_columns[q]
                old_data[v] = a_data[q]
                v += _1
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
            shrink = l2 * _f(_u(offsets[t + _1]) - _u(offsets[t]))
            for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
                short_loop()
                c = a_columns[q]
                wide[i, c] = 0
                move(rule, a_data, q, gradient[c] + shrink * a_data[q])
            if slots[row] >= 0:
                first = _u(slots[row]) * dim
                for c in range(dim):
                    probes[first + c] += gradient[c]
            gradient[:] = 0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def move_partners(
    start, stop, touched, offsets, pairs, owners, run_starts, runs, old_starts, old_columns, old_data, pushes,
    b_indptr, b_columns, b_data, slots, accumulators, l2, rule,
):  # fmt: skip
    """Update the touched rows of ``B`` in the part by the ``runs`` that `move_owners` wrote.

    The pairs of the row ``touched[t]`` are ``offsets[t]`` to ``offsets[t + 1]`` of ``pairs``, and ``owners``
    tells whose they are, a number ``t`` of `move_owners`; only a probe row needs to look at these.
    """
    start, stop, n_pairs, dim = _u(start), _u(stop), _u(len(pairs)), _u(accumulators.shape[1])
    probes, gradient = accumulators.reshape(-1), np.zeros(dim, dtype=b_data.dtype)
    for t in range(start, stop):
        prefetch_touched(t + _ROWS_AHEAD, stop, touched, b_indptr, b_columns, b_data, slots, probes, dim)
        row = _u(touched[t])
        first, n = _u(b_indptr[row]), _u(b_indptr[row + _1]) - _u(b_indptr[row])
        for k in range(_u(offsets[t]), _u(offsets[t + _1])):
            if k + _PAIRS_AHEAD < n_pairs:
                ahead = _u(run_starts[_u(pairs[k + _PAIRS_AHEAD])])
                prefetch(runs, ahead)
                prefetch(runs, ahead + 16)
                prefetch(runs, ahead + 28)
            v = _u(run_starts[_u(pairs[k])])
            for i in range(n):
                gradient[i] += runs[v + i]
        shrink = l2 * _f(_u(offsets[t + _1]) - _u(offsets[t]))
        for i in range(n):
            move(rule, b_data, first + i, gradient[i] + shrink * b_data[first + i])
        gradient[:n] = 0
        if slots[row] >= 0:
            slot = _u(slots[row]) * dim
            for k in range(_u(offsets[t]), _u(offsets[t + _1])):
                pair, owner = _u(pairs[k]), _u(owners[k])
                push = pushes[pair >> _1]
                weight = push if pair & _1 else -push
                for q in range(_u(old_starts[owner]), _u(old_starts[owner + _1])):
                    short_loop()
                    probes[slot + _u(old_columns[q])] += weight * old_data[q]
