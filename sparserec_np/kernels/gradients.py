"""Backward arithmetic of batches of embedding rows: the gradients of `kernels.embedding`.

Conventions are those of that module. The gradient of a table is written to ``values``, one number for each
stored entry of a touched row. A probe row (``slots[row] >= 0``) has its gradient of the full width added to
``probes[slots[row]]``, too.

Two ways lead to a gradient without atomics. A batch's *owners*, one row for many pairs, are grouped, and a
part of the groups is a thread's. Their *partners* are too many to be worth sorting: a thread goes through
all pairs, takes those whose row number lies in its part, and adds in the order in which they stand. Either
way each number is summed in the same order whatever the parts.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_u = np.uint64
_1 = np.uint64(1)


@njit(cache=True, nogil=True, fastmath={"contract"})
def dot_owners_vjp(
    start, stop, dim, touched, offsets, order, g, partners,
    own_indptr, own_columns, other_indptr, other_columns, other_data,
    value_starts, values, slots, probes,
):  # fmt: skip
    """Gradient of the owners in ``dot_rows``: ``Σ g[e, j] · Other[partners[e, j]]`` over a row's pairs.

    The examples of ``touched[t]`` are ``order[offsets[t]:offsets[t + 1]]``.
    """
    width = np.zeros(dim, dtype=values.dtype)
    m = _u(partners.shape[1])
    for t in range(_u(start), _u(stop)):
        row = _u(touched[t])
        for k in range(_u(offsets[t]), _u(offsets[t + _1])):
            e = _u(order[k])
            for j in range(m):
                weight, partner = g[e, j], _u(partners[e, j])
                for q in range(_u(other_indptr[partner]), _u(other_indptr[partner + _1])):
                    width[other_columns[q]] += weight * other_data[q]
        v = _u(value_starts[t])
        for q in range(_u(own_indptr[row]), _u(own_indptr[row + _1])):
            values[v] = width[own_columns[q]]
            v += _1
        if slots[row] >= 0:
            probe = probes[_u(slots[row])]
            for c in range(dim):
                probe[c] += width[c]
        width[:] = 0


@njit(cache=True, nogil=True, inline="always")
def _those_between(rows, first, last, low, high, mine):
    """Write to ``mine`` where in ``rows[first:last]`` the row numbers are in ``[low, high)``; how many."""
    n = _u(0)
    for p in range(first, last):
        mine[n] = p
        n += _u(_u(rows[p]) - low < high - low)  # no branch, which would be guessed wrong
    return n


@njit(cache=True, nogil=True, fastmath={"contract"})
def dot_partners_vjp(
    low, high, dim, rows, a_indptr, a_columns, a_data, partners, g,
    indptr, columns, places, values, slots, probes,
):  # fmt: skip
    """Gradient of the partners in ``dot_rows``, of those in ``[low, high)``: ``Σ g[e, j] · A[rows[e]]``.

    The stored entries of row ``r`` have their numbers in ``values`` from ``places[r]`` on; they come in
    zeroed. ``partners`` and ``g`` are flat.
    """
    low, high = _u(low), _u(high)
    n = _u(len(rows))
    m = _u(len(partners)) // max(n, _1)
    spread = np.zeros(dim, dtype=values.dtype)
    mine = np.empty(m + _1, dtype=np.uint64)
    for e in range(n):
        n_mine = _those_between(partners, e * m, (e + _1) * m, low, high, mine)
        if n_mine == 0:
            continue
        row = _u(rows[e])
        a_first, a_last = _u(a_indptr[row]), _u(a_indptr[row + _1])
        for q in range(a_first, a_last):
            spread[a_columns[q]] = a_data[q]
        for k in range(n_mine):
            row, weight = _u(partners[mine[k]]), g[mine[k]]
            v = _u(places[row])
            for q in range(_u(indptr[row]), _u(indptr[row + _1])):
                values[v] += weight * spread[columns[q]]
                v += _1
            if slots[row] >= 0:
                probe = probes[_u(slots[row])]
                for q in range(a_first, a_last):
                    probe[a_columns[q]] += weight * a_data[q]
        for q in range(a_first, a_last):
            spread[a_columns[q]] = 0


@njit(cache=True, nogil=True, fastmath={"contract"})
def match_owners_vjp(start, stop, offsets, order, g, indptr, columns, data, rows, out):
    """Gradient of ``dense`` in ``match_rows``; group ``b`` of ``order`` holds the examples of row ``b``."""
    m = _u(rows.shape[1])
    for b in range(_u(start), _u(stop)):
        own = out[b]
        for k in range(_u(offsets[b]), _u(offsets[b + _1])):
            e = _u(order[k])
            for j in range(m):
                weight, row = g[e, j], _u(rows[e, j])
                for q in range(_u(indptr[row]), _u(indptr[row + _1])):
                    own[columns[q]] += weight * data[q]


@njit(cache=True, nogil=True, fastmath={"contract"})
def match_partners_vjp(low, high, dense, owners, pair_starts, rows, weights, indptr, columns, places, values):
    """Gradient of the rows in ``[low, high)`` that met rows of ``dense``; probe rows are not looked at.

    ``Σ_p weights[p] · dense[owners[e]]`` over the pairs ``p`` of a row; example ``e`` stands for the pairs
    ``pair_starts[e]`` to ``pair_starts[e + 1]``. As to ``places`` and ``values`` see `dot_partners_vjp`.
    """
    low, high = _u(low), _u(high)
    longest = _u(0)
    for e in range(_u(len(owners))):
        longest = max(longest, _u(pair_starts[e + _1]) - _u(pair_starts[e]))
    mine = np.empty(longest + _1, dtype=np.uint64)
    for e in range(_u(len(owners))):
        left = dense[_u(owners[e])]
        n_mine = _those_between(rows, _u(pair_starts[e]), _u(pair_starts[e + _1]), low, high, mine)
        for k in range(n_mine):
            row, weight = _u(rows[mine[k]]), weights[mine[k]]
            v = _u(places[row])
            for q in range(_u(indptr[row]), _u(indptr[row + _1])):
                values[v] += weight * left[columns[q]]
                v += _1


@njit(cache=True, nogil=True)
def group_probe_pairs(owners, pair_starts, rows, weights, slots, offsets, pair_owners, pair_weights):
    """Collect the pairs of probe rows by slot, in each the order in which they stand.

    Returns how many there are. ``offsets`` (one more than there are slots) comes in zeroed, and slot ``s``
    then has the pairs from ``offsets[s]`` to ``offsets[s + 1]``; the two outputs have room for all pairs.
    """
    for p in range(_u(len(rows))):
        slot = slots[_u(rows[p])]
        if slot >= 0:
            offsets[_u(slot)] += 1
    total = offsets.dtype.type(0)
    for s in range(_u(len(offsets))):
        total += offsets[s]
        offsets[s] = total
    # From the last pair to the first: what was a group's end becomes its start.
    for e in range(len(owners) - 1, -1, -1):
        for p in range(pair_starts[_u(e) + _1] - 1, pair_starts[_u(e)] - 1, -1):
            slot = slots[_u(rows[_u(p)])]
            if slot >= 0:
                offsets[_u(slot)] -= 1
                place = _u(offsets[_u(slot)])
                pair_owners[place] = owners[_u(e)]
                pair_weights[place] = weights[_u(p)]
    return total


@njit(cache=True, nogil=True, fastmath={"contract"})
def add_to_probes(start, stop, offsets, pair_owners, pair_weights, dense, probes):
    """``probes[s] += Σ weight · dense[owner]`` over the pairs of slot ``s``, for the slots of the part."""
    for s in range(_u(start), _u(stop)):
        probe = probes[s]
        for k in range(_u(offsets[s]), _u(offsets[s + _1])):
            weight, partner = pair_weights[k], dense[_u(pair_owners[k])]
            for c in range(len(probe)):
                probe[c] += weight * partner[c]
