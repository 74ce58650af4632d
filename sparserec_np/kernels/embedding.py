"""Arithmetic of batches of embedding rows, forward and backward.

A table is passed as its CSR arrays ``(indptr, columns, data)``, sorted and unique within a row. Row pointers,
columns and row numbers are unsigned: numba then leaves out its test for negative indices, which costs as
much as the arithmetic. ``fastmath={"contract"}`` lets a product and a sum be one instruction; it does not
reorder anything.

The pairs of a batch, an *owner* with a table row, come in the order of a `sparserec_np.autograd.pairing`:
block ``b`` has the owners ``blocks[b]`` to ``blocks[b + 1]``; those of owner ``t`` begin at ``starts[t]``;
``pairs`` has their numbers and ``owners`` the owner of each.

There are two ways to a gradient without atomics. A block of owners is one thread's. Their partners are too
many to be worth sorting: a thread goes through all pairs, takes those whose row number lies in its part, and
adds in the order in which they come. Either way each number is summed in the same order, and so is the same
bits, whatever the parts. Preconditions (row numbers in range, array lengths) are checked by the callers in
``sparserec_np.autograd.sparse``.

The gradient of a table is written to ``values``, one number for each stored entry of a touched row; those of
row ``r`` begin at ``places[r]``, zeroed. A probe row (``slots[row] >= 0``) has its gradient of the full width
added to ``probes[slots[row]]``, too.
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.prefetch import prefetch_ends, prefetch_row, prefetch_short_row

_u = np.uint64
_1 = np.uint64(1)

# So many pairs before it is needed, the row of a pair is asked for. Each kernel looks up by itself which row
# that is: in a function of its own, inlined or not, that takes longer than what is gained.
_PAIRS_AHEAD = np.uint64(16)


@njit(cache=True, nogil=True)
def _spread_rows(wide, t, last, rows, indptr, columns, data):
    """Write the table rows ``rows[t:last]`` to ``wide``, zeros so far, one after the other."""
    for i in range(last - t):
        row = _u(rows[t + i])
        for q in range(_u(indptr[row]), _u(indptr[row + _1])):
            wide[i, columns[q]] = data[q]


@njit(cache=True, nogil=True)
def _clear_rows(wide, t, last, rows, indptr, columns):
    """Undo `_spread_rows`."""
    for i in range(last - t):
        row = _u(rows[t + i])
        for q in range(_u(indptr[row]), _u(indptr[row + _1])):
            wide[i, columns[q]] = 0


@njit(cache=True, nogil=True, fastmath={"contract"})
def dot_pairs(
    start, stop, blocks, starts, pairs, owners, wide_shape,
    a_rows, a_indptr, a_columns, a_data, b_rows, b_indptr, b_columns, b_data, out,
):  # fmt: skip
    """``out[p] = ⟨A[a_rows[owner of p]], B[b_rows[p]]⟩`` for the pairs ``p`` of the blocks of the part."""
    wide = np.zeros(wide_shape, dtype=a_data.dtype)
    for b in range(_u(start), _u(stop)):
        t, last = _u(blocks[b]), _u(blocks[b + _1])
        _spread_rows(wide, t, last, a_rows, a_indptr, a_columns, a_data)
        for k in range(_u(starts[t]), _u(starts[last])):
            if k + _PAIRS_AHEAD < _u(len(pairs)):
                prefetch_short_row(b_indptr, b_columns, b_data, _u(b_rows[_u(pairs[k + _PAIRS_AHEAD])]))
            p, i = _u(pairs[k]), _u(owners[k]) - t
            row = _u(b_rows[p])
            total = b_data.dtype.type(0)
            for q in range(_u(b_indptr[row]), _u(b_indptr[row + _1])):
                total += wide[i, b_columns[q]] * b_data[q]
            out[p] = total
        _clear_rows(wide, t, last, a_rows, a_indptr, a_columns)


@njit(cache=True, nogil=True, fastmath={"contract"})
def dot_owners_vjp(
    start, stop, blocks, starts, pairs, owners, wide_shape,
    a_rows, a_indptr, a_columns, b_rows, b_indptr, b_columns, b_data, g, value_starts, values, slots, probes,
):  # fmt: skip
    """Gradient of ``A`` in ``dot_pairs``: ``Σ g[p] · B[b_rows[p]]`` over the pairs of an owner.

    The stored entries of owner ``t`` have their numbers in ``values`` from ``value_starts[t]`` on.
    """
    wide = np.zeros(wide_shape, dtype=values.dtype)
    for b in range(_u(start), _u(stop)):
        t, last = _u(blocks[b]), _u(blocks[b + _1])
        for k in range(_u(starts[t]), _u(starts[last])):
            if k + _PAIRS_AHEAD < _u(len(pairs)):
                prefetch_short_row(b_indptr, b_columns, b_data, _u(b_rows[_u(pairs[k + _PAIRS_AHEAD])]))
            p, i = _u(pairs[k]), _u(owners[k]) - t
            row, weight = _u(b_rows[p]), g[p]
            for q in range(_u(b_indptr[row]), _u(b_indptr[row + _1])):
                wide[i, b_columns[q]] += weight * b_data[q]
        for owner in range(t, last):
            row, gradient = _u(a_rows[owner]), wide[owner - t]
            v = _u(value_starts[owner])
            for q in range(_u(a_indptr[row]), _u(a_indptr[row + _1])):
                values[v] = gradient[a_columns[q]]
                v += _1
            if slots[row] >= 0:
                probe = probes[_u(slots[row])]
                for c in range(len(probe)):
                    probe[c] += gradient[c]
        wide[: last - t] = 0


@njit(cache=True, nogil=True, inline="always")
def _pairs_between(rows, pairs, first, last, low, high, mine):
    """Write to ``mine`` which of the pairs ``first`` to ``last`` have rows in ``[low, high)``; how many."""
    n = _u(0)
    for k in range(first, last):
        mine[n] = k
        n += _u(_u(rows[_u(pairs[k])]) - low < high - low)  # no branch, which would be guessed wrong
    return n


@njit(cache=True, nogil=True)
def _most_pairs(blocks, starts):
    most = _u(0)
    for b in range(_u(len(blocks) - 1)):
        most = max(most, _u(starts[_u(blocks[b + _1])]) - _u(starts[_u(blocks[b])]))
    return most


@njit(cache=True, nogil=True, fastmath={"contract"})
def square_rows(start, stop, indptr, data, rows, out):
    """``out[e] = ‖A[rows[e]]‖²`` for the examples of the part."""
    for e in range(_u(start), _u(stop)):
        row = _u(rows[e])
        total = data.dtype.type(0)
        for q in range(_u(indptr[row]), _u(indptr[row + _1])):
            total += data[q] * data[q]
        out[e] = total


@njit(cache=True, nogil=True, fastmath={"contract"})
def square_rows_vjp(rows, indptr, columns, data, g, places, values, slots, probes):
    """Gradient of ``A`` in ``square_rows``: ``Σ 2 g[e] · A[rows[e]]``; nothing for what is not stored."""
    for e in range(_u(len(rows))):
        row = _u(rows[e])
        weight = g[e] + g[e]
        v = _u(places[row])
        for q in range(_u(indptr[row]), _u(indptr[row + _1])):
            values[v] += weight * data[q]
            v += _1
        if slots[row] >= 0:
            probe = probes[_u(slots[row])]
            for q in range(_u(indptr[row]), _u(indptr[row + _1])):
                probe[columns[q]] += weight * data[q]


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
def match_pairs(start, stop, blocks, starts, pairs, owners, dense, rows, indptr, columns, data, out):
    """``out[p] = ⟨dense[owner of p], A[rows[p]]⟩`` for the pairs ``p`` of the blocks of the part."""
    for k in range(_u(starts[_u(blocks[_u(start)])]), _u(starts[_u(blocks[_u(stop)])])):
        if k + _PAIRS_AHEAD < _u(len(pairs)):
            prefetch_row(indptr, columns, data, _u(rows[_u(pairs[k + _PAIRS_AHEAD])]))
        p, owner = _u(pairs[k]), _u(owners[k])
        row = _u(rows[p])
        total = data.dtype.type(0)
        for q in range(_u(indptr[row]), _u(indptr[row + _1])):
            total += dense[owner, columns[q]] * data[q]
        out[p] = total


@njit(cache=True, nogil=True, fastmath={"contract"})
def match_owners_vjp(start, stop, blocks, starts, pairs, owners, rows, indptr, columns, data, g, out):
    """Gradient of ``dense`` in ``match_pairs``, to ``out``, which comes in zeroed."""
    for k in range(_u(starts[_u(blocks[_u(start)])]), _u(starts[_u(blocks[_u(stop)])])):
        if k + _PAIRS_AHEAD < _u(len(pairs)):
            prefetch_row(indptr, columns, data, _u(rows[_u(pairs[k + _PAIRS_AHEAD])]))
        p, owner = _u(pairs[k]), _u(owners[k])
        row, weight = _u(rows[p]), g[p]
        for q in range(_u(indptr[row]), _u(indptr[row + _1])):
            out[owner, columns[q]] += weight * data[q]


@njit(cache=True, nogil=True, fastmath={"contract"})
def match_partners_vjp(
    low, high, blocks, starts, pairs, owners, dense, rows, weights, indptr, columns, places, values
):
    """Gradient of the rows ``[low, high)`` that met rows of ``dense``; probe rows are not looked at.

    ``Σ weights[p] · dense[owner of p]`` over the pairs ``p`` of a row.
    """
    low, high = _u(low), _u(high)
    mine = np.empty(_most_pairs(blocks, starts) + _1, dtype=np.uint32)
    for b in range(_u(len(blocks) - 1)):
        first, last = _u(starts[_u(blocks[b])]), _u(starts[_u(blocks[b + _1])])
        n_mine = _pairs_between(rows, pairs, first, last, low, high, mine)
        for m in range(n_mine):
            if m + _PAIRS_AHEAD < n_mine:
                ahead = _u(rows[_u(pairs[_u(mine[m + _PAIRS_AHEAD])])])
                entry = _u(indptr[ahead])
                length = _u(indptr[ahead + _1]) - entry
                prefetch_ends(columns, entry, length)
                prefetch_ends(values, _u(places[ahead]), length)
            k = _u(mine[m])
            p, owner = _u(pairs[k]), _u(owners[k])
            row, weight = _u(rows[p]), weights[p]
            v = _u(places[row])
            for q in range(_u(indptr[row]), _u(indptr[row + _1])):
                values[v] += weight * dense[owner, columns[q]]
                v += _1


@njit(cache=True, nogil=True)
def group_probe_pairs(start, stop, pairs, owners, rows, weights, slots, places, probe_owners, probe_weights):
    """Collect the pairs of the probe rows whose slots are in the part, by slot, in the order they come in.

    The pairs of slot ``s`` are written from ``places[s]`` on, which moves to their end.
    """
    for k in range(_u(len(pairs))):
        p = _u(pairs[k])
        slot = slots[_u(rows[p])]
        if start <= slot < stop:
            place = _u(places[_u(slot)])
            places[_u(slot)] += 1
            probe_owners[place] = owners[k]
            probe_weights[place] = weights[p]


@njit(cache=True, nogil=True, fastmath={"contract"})
def add_to_probes(start, stop, offsets, probe_owners, probe_weights, dense, probes):
    """``probes[s] += Σ weight · dense[owner]`` over the pairs of slot ``s``, for the slots of the part."""
    for s in range(_u(start), _u(stop)):
        probe = probes[s]
        for k in range(_u(offsets[s]), _u(offsets[s + _1])):
            weight, partner = probe_weights[k], dense[_u(probe_owners[k])]
            for c in range(len(probe)):
                probe[c] += weight * partner[c]
