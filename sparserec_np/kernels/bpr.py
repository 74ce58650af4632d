"""BPR of dot products: loss, gradients and the update by them, a row at a time.

Tables and probe rows are passed as to ``sparserec_np.kernels.embedding``, what an optimizer does as a rule of
``sparserec_np.kernels.updates``. Every row that a batch touched is one thread's, with all of its pairs, in
the order in which these come, and is moved as soon as its gradient is summed. So each number is the same bits
whatever the parts, and threads wait for each other only between the two phases of a step.
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.dense import zeros_in_lines
from sparserec_np.kernels.exponentials import _exp, _log1p_of_share
from sparserec_np.kernels.lanes import LANES, put, take
from sparserec_np.kernels.loops import short_loop
from sparserec_np.kernels.prefetch import prefetch, prefetch_entries, prefetch_probe, prefetch_row
from sparserec_np.kernels.sharing import await_phase, next_portion, portion_done
from sparserec_np.kernels.updates import move, move_row

_u = np.uint64
_f = np.float32
_1 = np.uint64(1)
_LANES = np.uint64(LANES)
# How many rows, pairs, before they are needed their memory is asked for: what is on its way at a time.
_ROWS_AHEAD = np.uint64(4)
_PAIRS_AHEAD = np.uint64(16)
_OWNERS_AHEAD = np.uint64(8)
# Numbers of the dense rows that are at work at a time: they stay in the nearest caches. But so many examples
# are, however wide.
_BLOCK_NUMBERS = np.uint64(16384)
_LEAST_EXAMPLES = np.uint64(16)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _push(start, stop, margins, pushes):
    """Turn the margins of some examples into losses, and write the derivatives by the negative scores."""
    for e in range(start, stop):
        x = margins[e]
        small = _exp(-abs(x))
        pushes[e] = (small if x > _f(0.0) else _f(1.0)) / (_f(1.0) + small)
        margins[e] = _log1p_of_share(small) - min(x, _f(0.0))


@njit(nogil=True, inline="always")
def _within(begin, end, offsets, t):
    """Return the first example of the row ``touched[t]`` in the block, and the one after its last."""
    return max(begin, _u(offsets[t])), min(end, _u(offsets[t + _1]))


@njit(nogil=True, inline="always")
def _weight(pair, pushes):
    """Return the derivative of the loss by the score of a pair."""
    push = pushes[pair >> _1]
    return push if pair & _1 else -push


# The sum of a dot product may be taken in any order, so that it is taken in vector instructions.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def move_owners(
    start, stop, touched, offsets, firsts, run_starts, a_indptr, a_columns, a_data, b_columns, b_data,
    pushes, losses, old_starts, old_columns, old_data, runs, slots, accumulators, l2, rule, wide, apart,
    gradient,
):  # fmt: skip
    """Loss of the examples of the touched rows of ``A`` in the part, and the update of these rows.

    Those of the row ``touched[t]`` are ``offsets[t]`` to ``offsets[t + 1]``; example ``e`` has the pairs
    ``2 e`` with its positive and ``2 e + 1`` with its negative. The row of ``B`` of pair ``p`` is stored from
    ``firsts[p]`` on, ``run_starts[p + 1] - run_starts[p]`` entries. The loss goes to ``losses[e]``; the
    derivative by the negative's score, which is that by the positive's with the other sign, to ``pushes[e]``.
    What is stored of row ``touched[t]`` before it moves is kept from ``old_starts[t]`` on, and what pair
    ``p`` finds in it at the columns of its row of ``B`` is written to ``runs`` from ``run_starts[p]`` on.
    """
    start, stop, dim = _u(start), _u(stop), _u(accumulators.shape[1])
    n_pairs, probes = _u(len(firsts)), accumulators.reshape(-1)
    block, stored = _u(len(wide)), np.empty(dim, dtype=gradient.dtype)
    t, last = start, _u(offsets[stop])
    for begin in range(_u(offsets[start]), last, block):
        end, first_owner = min(begin + block, last), t
        apart[: end - begin] = 0
        while t < stop and _u(offsets[t]) < end:
            if t + _ROWS_AHEAD < stop:
                ahead = _u(touched[t + _ROWS_AHEAD])
                prefetch_row(a_indptr, a_columns, a_data, ahead)
                prefetch_probe(slots, probes, dim, ahead)
            row, i, kept = _u(touched[t]), t - first_owner, _u(old_starts[t])
            for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
                short_loop()
                column, number = a_columns[q], a_data[q]
                wide[i, column] = number
                old_columns[kept] = column
                old_data[kept] = number
                kept += _1
            own, others = _within(begin, end, offsets, t)
            for e in range(own, others):
                k, p = e - begin, e + e
                if p + _PAIRS_AHEAD < n_pairs:
                    for coming in range(p + _PAIRS_AHEAD, p + _PAIRS_AHEAD + _u(2)):
                        length = _u(run_starts[coming + _1]) - _u(run_starts[coming])
                        prefetch_entries(b_columns, b_data, _u(firsts[coming]), length)
                at = _u(firsts[p])
                for v in range(_u(run_starts[p]), _u(run_starts[p + _1])):
                    short_loop()
                    column = _u(b_columns[at])
                    apart[k, column] = -b_data[at]
                    runs[v] = wide[i, column]
                    at += _1
                at = _u(firsts[p + _1])
                for v in range(_u(run_starts[p + _1]), _u(run_starts[p + _u(2)])):
                    short_loop()
                    column = _u(b_columns[at])
                    apart[k, column] += b_data[at]
                    runs[v] = wide[i, column]
                    at += _1
            t += _1
        for s in range(first_owner, t):
            i = s - first_owner
            own, others = _within(begin, end, offsets, s)
            for e in range(own, others):
                k, margin = e - begin, _f(0.0)
                for c in range(dim):
                    margin -= apart[k, c] * wide[i, c]
                losses[e] = margin
        _push(begin, end, losses, pushes)
        for s in range(first_owner, t):
            row, i = _u(touched[s]), s - first_owner
            own, others = _within(begin, end, offsets, s)
            e = own
            while e + _1 < others:
                k, p0, p1 = e - begin, pushes[e], pushes[e + _1]
                for c in range(dim):
                    gradient[c] = (gradient[c] + p0 * apart[k, c]) + p1 * apart[k + _1, c]
                e += _u(2)
            if e < others:
                k, push = e - begin, pushes[e]
                for c in range(dim):
                    gradient[c] += push * apart[k, c]
            first, n = _u(a_indptr[row]), _u(a_indptr[row + _1]) - _u(a_indptr[row])
            for q in range(n):
                short_loop()
                column = _u(a_columns[first + q])
                wide[i, column] = 0
                stored[q] = gradient[column]
            if _u(offsets[s + _1]) > end:
                # The row has more examples, which begin the next block.
                t = s
                break
            shrink = l2 * _f(_u(offsets[s + _1]) - _u(offsets[s]))
            move_row(rule, a_data, first, n, stored, _u(0), shrink)
            if slots[row] >= 0:
                probe = _u(slots[row]) * dim
                for c in range(dim):
                    probes[probe + c] += gradient[c]
            gradient[:] = 0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def move_partners(
    start, stop, touched, offsets, pairs, run_starts, runs, pushes, weights, b_indptr, b_data, l2, rule,
    gradient,
):  # fmt: skip
    """Update the touched rows of ``B`` in the part by the ``runs`` and ``pushes`` of `move_owners`.

    The pairs of the row ``touched[t]`` are ``offsets[t]`` to ``offsets[t + 1]`` of ``pairs``; the derivatives
    of the loss by their scores are written to ``weights``, in this order. ``runs`` and ``gradient``, which
    may hold anything, have room for ``LANES`` numbers more than are needed.
    """
    n_pairs = _u(len(pairs))
    for t in range(_u(start), _u(stop)):
        row = _u(touched[t])
        first, n = _u(b_indptr[row]), _u(b_indptr[row + _1]) - _u(b_indptr[row])
        begin, end = _u(offsets[t]), _u(offsets[t + _1])
        for k in range(begin, end):
            if k + _PAIRS_AHEAD < n_pairs:
                ahead = _u(run_starts[_u(pairs[k + _PAIRS_AHEAD])])
                prefetch(runs, ahead)
                prefetch(runs, ahead + 16)
                prefetch(runs, ahead + 28)
            v, weight = _u(run_starts[_u(pairs[k])]), _weight(_u(pairs[k]), pushes)
            weights[k] = weight
            # Whole lanes: what is behind a row's end is not looked at any more.
            i = _u(0)
            if k == begin:
                while i < n:
                    put(gradient, i, _LANES, weight * take(runs, v + i, _LANES))
                    i += _LANES
            else:
                while i < n:
                    added = weight * take(runs, v + i, _LANES)
                    put(gradient, i, _LANES, take(gradient, i, _LANES) + added)
                    i += _LANES
        shrink, i = l2 * _f(end - begin), _u(0)
        while i < n:
            some = min(n - i, _LANES)
            move(rule, b_data, first + i, some, take(gradient, i, _LANES), shrink)
            i += _LANES


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def judge_partners(
    start, stop, judged, offsets, weights, owners, old_starts, old_columns, old_data, accumulators
):
    """Add the gradients of the probe rows of ``B`` in the part, over all of a row, to their accumulators.

    Of several steps at a time, so that an accumulator, which is as wide as the table, is fetched once for
    all of them. In batch ``b`` probe row ``s`` is number ``judged[b, s]`` of those that `move_partners` went
    through, or does not occur, -1; ``weights`` are of that, and ``owners`` tells whose its pairs are, a
    number ``t`` of `move_owners`.
    """
    n_old, dim = _u(old_data.shape[1]), _u(accumulators.shape[1])
    columns, data, probes = old_columns.reshape(-1), old_data.reshape(-1), accumulators.reshape(-1)
    n_pairs = _u(0)
    for s in range(_u(start), _u(stop)):
        for b in range(_u(len(judged))):
            if judged[b, s] >= 0:
                n_pairs += _u(offsets[b, judged[b, s] + 1]) - _u(offsets[b, judged[b, s]])
    # From a list the processor begins with a pair while it is at the ones before.
    firsts, lasts = np.empty(n_pairs, dtype=np.uint64), np.empty(n_pairs, dtype=np.uint64)
    slots, factors = np.empty(n_pairs, dtype=np.uint32), np.empty(n_pairs, dtype=weights.dtype)
    m = _u(0)
    for s in range(_u(start), _u(stop)):
        for b in range(_u(len(judged))):
            if judged[b, s] >= 0:
                t = _u(judged[b, s])
                for k in range(_u(offsets[b, t]), _u(offsets[b, t + _1])):
                    owner = _u(owners[b, k])
                    slots[m], factors[m] = s, weights[b, k]
                    firsts[m] = b * n_old + _u(old_starts[b, owner])
                    lasts[m] = b * n_old + _u(old_starts[b, owner + _1])
                    m += _1
    for i in range(n_pairs):
        if i + _OWNERS_AHEAD < n_pairs:
            ahead, last = _u(firsts[i + _OWNERS_AHEAD]), _u(lasts[i + _OWNERS_AHEAD]) - _1
            prefetch(columns, ahead)
            prefetch(columns, last)
            prefetch(data, ahead)
            prefetch(data, ahead + 16)
            prefetch(data, ahead + 32)
            prefetch(data, last)
        weight, first = factors[i], _u(slots[i]) * dim
        for q in range(_u(firsts[i]), _u(lasts[i])):
            short_loop()
            probes[first + _u(columns[q])] += weight * data[q]


@njit(cache=True, nogil=True, error_model="numpy")
def run_steps(
    thread, stop, counts, sizes, left_rows, left_offsets, left_starts, right_rows, right_offsets, pairs,
    owners, firsts, run_starts, judged, a_indptr, a_columns, a_data, b_indptr, b_columns, b_data, pushes,
    losses, weights, old_columns, old_data, runs, a_slots, a_accumulators, a_l2, a_rule, b_accumulators,
    b_l2, b_rule,
):  # fmt: skip
    """Go through the steps of several batches, with all threads that are sent here."""
    dim = _u(a_accumulators.shape[1])
    block = max(_LEAST_EXAMPLES, _BLOCK_NUMBERS // dim)
    # Rows of A, and for each example how its two rows of B are apart, dense: the processor guesses where a
    # sparse row ends, mostly wrong, and a wrong guess takes as long as a dense row.
    wide, apart = zeros_in_lines(block, dim, a_data), zeros_in_lines(block, dim, a_data)
    left_gradient = zeros_in_lines(_1, dim, a_data)[0]
    right_gradient = zeros_in_lines(_1, dim + _LANES, b_data)[0]
    phase = _u(0)
    for b in range(_u(len(sizes))):
        n, n_left, n_right = _u(sizes[b, 0]), _u(sizes[b, 1]), _u(sizes[b, 2])
        starts = run_starts[b]
        first, last = next_portion(counts, phase, thread, n_left)
        while first < last:
            move_owners(
                first, last, left_rows[b], left_offsets[b], firsts[b, : n + n], starts, a_indptr,
                a_columns, a_data, b_columns, b_data, pushes[b], losses[b], left_starts[b], old_columns[b],
                old_data[b], runs, a_slots, a_accumulators, a_l2, a_rule, wide, apart, left_gradient,
            )  # fmt: skip
            portion_done(counts, phase, last - first)
            first, last = next_portion(counts, phase, thread, n_left)
        await_phase(counts, phase, n_left)
        phase += _1
        first, last = next_portion(counts, phase, thread, n_right)
        while first < last:
            move_partners(
                first, last, right_rows[b], right_offsets[b], pairs[b, : n + n], starts, runs, pushes[b],
                weights[b], b_indptr, b_data, b_l2, b_rule, right_gradient,
            )  # fmt: skip
            portion_done(counts, phase, last - first)
            first, last = next_portion(counts, phase, thread, n_right)
        await_phase(counts, phase, n_right)
        phase += _1
    n_judged = _u(len(b_accumulators))
    first, last = next_portion(counts, phase, thread, n_judged)
    while first < last:
        judge_partners(
            first, last, judged, right_offsets, weights, owners, left_starts, old_columns, old_data,
            b_accumulators,
        )  # fmt: skip
        portion_done(counts, phase, last - first)
        first, last = next_portion(counts, phase, thread, n_judged)
    # Whoever called waits for all threads.
