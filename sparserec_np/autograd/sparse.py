"""Primitives over sparse embedding tables, forward and backward in the kernels.

A table stands on the tape as a `Parameter`. Its gradient is a `TableGradient` on the rows that the batch
touched; beside it, the full-width gradients of probe rows are added to the parameter's accumulators, so
that inactive entries can be judged without a dense gradient ever existing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from sparserec_np.autograd.pairing import Pairing, ends_of
from sparserec_np.autograd.parameter import Parameter, Rows
from sparserec_np.autograd.tape import Kept, Primitive
from sparserec_np.kernels.embedding import (
    add_to_probes,
    combine_rows,
    dot_owners_vjp,
    dot_pairs,
    gather_rows,
    group_probe_pairs,
    match_owners_vjp,
    match_pairs,
    match_partners_vjp,
    square_rows,
    square_rows_vjp,
)
from sparserec_np.kernels.grouping import group_partners, order_by_row
from sparserec_np.kernels.ranked import add_partners
from sparserec_np.runtime.bounds import first_outside, pattern_fault
from sparserec_np.tables import SparseTable, TableGradient, unsigned


def _check_rows(name: str, rows: Rows, ndim: int, table: SparseTable) -> None:
    if not isinstance(rows, np.ndarray) or not np.issubdtype(rows.dtype, np.integer):
        found = getattr(rows, "dtype", type(rows).__name__)
        raise TypeError(f"{name} must be an array of integer row numbers, found {found}")
    if rows.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, found shape {rows.shape}")
    if first_outside(rows, 0, table.n_rows) is not None:
        raise IndexError(
            f"{name} holds row numbers {rows.min()} … {rows.max()}, but the table has {table.n_rows} rows"
        )


def _dot(left: Parameter, right: Parameter, rows: Rows, partners: Rows) -> Any:
    a, b = left.table, right.table
    if a.dim != b.dim:
        raise ValueError(f"both tables must have the same width, found dim {a.dim} and {b.dim}")
    _check_rows("rows", rows, 1, a)
    _check_rows("partners", partners, 2, b)
    if len(rows) != len(partners):
        raise ValueError(
            "dot needs row numbers of shapes (batch,) and (batch, m), "
            f"found {rows.shape} and {partners.shape}"
        )
    layout, offsets, order = left.new_gradient_in_groups(rows)
    pair_starts = np.arange(len(rows) + 1) * partners.shape[1]
    pairing = Pairing.of(offsets, order, pair_starts, partners.reshape(-1), b, left.workers)
    out = np.empty(partners.shape, dtype=a.data.dtype)
    left.workers.run(
        dot_pairs, pairing.n_blocks, *pairing.arrays, (pairing.most_owners, a.dim),
        layout.rows, *a.arrays, unsigned(partners).reshape(-1), *b.arrays, out.reshape(-1), min_share=2,
    )  # fmt: skip
    return Kept(out, (layout, pairing))


def _dot_left_vjp(g: Any, answer: Kept, left: Parameter, right: Parameter, rows: Rows, partners: Rows) -> Any:
    layout, pairing = answer.extra
    gradient = replace(layout, values=np.empty_like(layout.values))
    left.workers.run(
        dot_owners_vjp, pairing.n_blocks, *pairing.arrays, (pairing.most_owners, left.table.dim),
        layout.rows, *left.table.arrays[:2], unsigned(partners).reshape(-1), *right.table.arrays,
        np.ascontiguousarray(g).reshape(-1), gradient.starts, gradient.values, left.slots, left.accumulators,
        min_share=2,
    )  # fmt: skip
    return gradient


def _dot_right_vjp(
    g: Any, answer: Kept, left: Parameter, right: Parameter, rows: Rows, partners: Rows
) -> Any:
    return partners_gradient(left, right, rows, partners, np.ascontiguousarray(g))


def partners_gradient(left: Parameter, right: Parameter, rows: Rows, partners: Rows, g: Any) -> TableGradient:
    """Gradient of ``right`` in ``dot``: ``Σ g[e, j] · left[rows[e]]`` over the pairs of each row."""
    gradient, places = right.new_gradient(partners.reshape(-1))
    offsets = ends_of(gradient.counts)
    pairs, owners = (np.empty(partners.size, dtype=np.uint32) for _ in range(2))
    group_partners(unsigned(rows), unsigned(partners), gradient.rows, offsets, places, pairs, owners)
    right.workers.run_cuts(
        add_partners, right.cuts(offsets), gradient.rows, offsets, pairs, owners,
        *left.table.arrays, *right.table.arrays[:2], g.reshape(-1),
        gradient.starts, gradient.values, right.slots, right.accumulators,
    )  # fmt: skip
    return gradient


dot = Primitive("dot", _dot, _dot_left_vjp, _dot_right_vjp, None, None)
dot.__doc__ = """Dot products of table rows, batched: ``out[e, j] = ⟨left[rows[e]], right[partners[e, j]]⟩``.

Parameters
----------
left, right : Var of Parameter, or Parameter
    Tables of the same width.
rows : int array (batch,)
    Rows of ``left``.
partners : int array (batch, m)
    Rows of ``right``.

Returns
-------
Var of float array (batch, m)
"""


def _lookup(parameter: Parameter, rows: Rows) -> Any:
    table = parameter.table
    _check_rows("rows", rows, 1, table)
    out = np.zeros((len(rows), table.dim), dtype=table.data.dtype)
    parameter.workers.run(gather_rows, len(rows), *table.arrays, unsigned(rows), out)
    return out


def _lookup_vjp(g: Any, ans: Any, parameter: Parameter, rows: Rows) -> TableGradient:
    # Looking up is propagating with one weight of 1 each.
    own = np.arange(len(rows) + 1)
    pairing = Pairing.of(own, own[:-1], own, rows, parameter.table, parameter.workers)
    return _partners_vjp(g, parameter, pairing, rows, np.ones(len(rows), g.dtype))


lookup = Primitive("lookup", _lookup, _lookup_vjp, None)
lookup.__doc__ = """Rows of a table, dense: ``out[e] = table[rows[e]]``.

Parameters
----------
parameter : Var of Parameter, or Parameter
    The table.
rows : int array (batch,)
    Row numbers, repeats allowed.

Returns
-------
Var of float array (batch, dim)
"""


def _square_lengths(parameter: Parameter, rows: Rows) -> Any:
    table = parameter.table
    _check_rows("rows", rows, 1, table)
    out = np.empty(len(rows), dtype=table.data.dtype)
    indptr, _, data = table.arrays
    parameter.workers.run(square_rows, len(rows), indptr, data, unsigned(rows), out)
    return out


def _square_lengths_vjp(g: Any, ans: Any, parameter: Parameter, rows: Rows) -> TableGradient:
    gradient, places = parameter.new_gradient(rows)
    square_rows_vjp(
        unsigned(rows), *parameter.table.arrays, np.ascontiguousarray(g), places, gradient.values,
        parameter.slots, parameter.accumulators,
    )  # fmt: skip
    return gradient


square_lengths = Primitive("square_lengths", _square_lengths, _square_lengths_vjp, None)
square_lengths.__doc__ = """Squared lengths of table rows: ``out[e] = ‖table[rows[e]]‖²``.

Parameters
----------
parameter : Var of Parameter, or Parameter
    The table.
rows : int array (batch,)
    Row numbers, repeats allowed.

Returns
-------
Var of float array (batch,)
"""


def _propagate(parameter: Parameter, weights: sparse.csr_array) -> Any:
    table = parameter.table
    if weights.shape[1] != table.n_rows:
        raise ValueError(
            f"weights must have a column for each of the {table.n_rows} rows of the table, "
            f"found shape {weights.shape}"
        )
    fault = pattern_fault(weights.indptr, weights.indices, table.n_rows, rising=False)
    if fault is not None or len(weights.indptr) != weights.shape[0] + 1:
        where = f": {fault.part} of row {fault.row} is {fault.found}" if fault is not None else ""
        raise IndexError(f"weights of shape {weights.shape} have entries outside of it{where}")
    if len(weights.data) != len(weights.indices):
        raise ValueError(f"weights have {len(weights.data)} values for {len(weights.indices)} column numbers")
    out = np.zeros((weights.shape[0], table.dim), dtype=table.data.dtype)
    parameter.workers.run(
        combine_rows, len(out), *table.arrays,
        unsigned(weights.indptr), unsigned(weights.indices), weights.data, out,
    )  # fmt: skip
    return out


def _propagate_vjp(g: Any, ans: Any, parameter: Parameter, weights: sparse.csr_array) -> TableGradient:
    own = np.arange(weights.shape[0] + 1)
    pairing = Pairing.of(own, own[:-1], weights.indptr, weights.indices, parameter.table, parameter.workers)
    return _partners_vjp(g, parameter, pairing, weights.indices, weights.data)


def _partners_vjp(
    dense: Any, parameter: Parameter, pairing: Pairing, rows: Rows, weights: Any
) -> TableGradient:
    """Gradient of a table of which each row gets ``Σ weights[p] · dense[owner of p]`` over its pairs."""
    table, workers = parameter.table, parameter.workers
    dense, weights, numbers = np.ascontiguousarray(dense), np.ascontiguousarray(weights), unsigned(rows)
    gradient, places = parameter.new_gradient(rows)
    workers.run_cuts(
        match_partners_vjp, parameter.row_cuts(gradient), *pairing.arrays, dense, numbers, weights,
        *table.arrays[:2], places, gradient.values,
    )  # fmt: skip
    if len(parameter.accumulators):
        slots = parameter.slots[gradient.rows]
        probed = slots >= 0
        counts = np.zeros(len(parameter.accumulators), dtype=np.int64)
        counts[slots[probed]] = gradient.counts[probed]
        offsets = ends_of(counts)
        probe_owners = np.empty(offsets[-1], dtype=np.uint32)
        probe_weights = np.empty(offsets[-1], dtype=table.data.dtype)
        workers.run_cuts(
            group_probe_pairs, parameter.cuts(offsets), pairing.pairs, pairing.owners, numbers, weights,
            parameter.slots, offsets[:-1].copy(), probe_owners, probe_weights,
        )  # fmt: skip
        workers.run_cuts(
            add_to_probes, parameter.cuts(offsets), offsets, probe_owners, probe_weights, dense,
            parameter.accumulators,
        )  # fmt: skip
    return gradient


propagate = Primitive("propagate", _propagate, _propagate_vjp, None)
propagate.__doc__ = """Weighted sums of table rows, dense: ``out = weights @ table``, one step over a graph.

Parameters
----------
parameter : Var of Parameter, or Parameter
    The table.
weights : csr_array (batch, n_rows)
    Who gets how much of which row.

Returns
-------
Var of float array (batch, dim)
"""


def _match(dense: Any, parameter: Parameter, owners: Rows, rows: Rows) -> Any:
    table = parameter.table
    _check_rows("rows", rows, 2, table)
    if dense.ndim != 2 or dense.shape[1] != table.dim:
        raise ValueError(f"match needs dense rows of width {table.dim}, found shape {dense.shape}")
    if owners.shape != rows.shape[:1] or first_outside(owners, 0, len(dense)) is not None:
        raise ValueError(
            f"match needs for each of the {len(rows)} examples one of the {len(dense)} dense rows"
        )
    n, m = rows.shape
    offsets = ends_of(np.bincount(owners, minlength=len(dense)))
    order = np.empty(n, dtype=np.int64)
    scratch = np.empty(len(dense), dtype=np.int64)
    order_by_row(unsigned(owners), np.arange(len(dense)), offsets, scratch, order)
    pairing = Pairing.of(offsets, order, np.arange(n + 1) * m, rows.reshape(-1), table, parameter.workers)
    out = np.empty(rows.shape, dtype=table.data.dtype)
    parameter.workers.run(
        match_pairs, pairing.n_blocks, *pairing.arrays, np.ascontiguousarray(dense),
        unsigned(rows).reshape(-1), *table.arrays, out.reshape(-1), min_share=2,
    )  # fmt: skip
    return Kept(out, pairing)


def _match_dense_vjp(g: Any, answer: Kept, dense: Any, parameter: Parameter, owners: Rows, rows: Rows) -> Any:
    pairing = answer.extra
    out = np.zeros_like(dense)
    parameter.workers.run(
        match_owners_vjp, pairing.n_blocks, *pairing.arrays, unsigned(rows).reshape(-1),
        *parameter.table.arrays, np.ascontiguousarray(g).reshape(-1), out, min_share=2,
    )  # fmt: skip
    return out


def _match_table_vjp(
    g: Any, answer: Kept, dense: Any, parameter: Parameter, owners: Rows, rows: Rows
) -> TableGradient:
    return _partners_vjp(dense, parameter, answer.extra, rows.reshape(-1), g.reshape(-1))


match = Primitive("match", _match, _match_dense_vjp, _match_table_vjp, None, None)
match.__doc__ = """Dot products of dense rows and table rows: ``⟨dense[owners[e]], table[rows[e, j]]⟩``.

Parameters
----------
dense : Var of float array, or float array (n, dim)
    For instance what `propagate` made of a table.
parameter : Var of Parameter, or Parameter
    The table.
owners : int array (batch,)
    Rows of ``dense``.
rows : int array (batch, m)
    Rows of the table.

Returns
-------
Var of float array (batch, m)
"""
