"""Primitives over sparse embedding tables, forward and backward in the kernels.

A table stands on the tape as a `Parameter`. Its gradient is a `TableGradient` on the rows that the batch
touched; beside it, the full-width gradients of probe rows are added to the parameter's accumulators, so
that inactive entries can be judged without a dense gradient ever existing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.autograd.tape import Primitive
from sparserec_np.kernels.embedding import (
    combine_rows,
    dense_partners_vjp,
    dot_rows,
    dot_rows_vjp,
    gather_rows,
    group_rows,
    match_rows,
    match_rows_dense_vjp,
)
from sparserec_np.kernels.workers import Workers
from sparserec_np.tables import SparseTable, TableGradient

Rows = npt.NDArray[np.signedinteger[Any]]
_ONE_THREAD = Workers(1)


@dataclass(eq=False)
class Parameter:
    """A table to differentiate by, and where the gradients of its probe rows are gathered.

    Parameters
    ----------
    table : SparseTable
        The embedding table.
    workers : Workers
        Threads for the kernels; one by default.
    slots : int32 array (n_rows,)
        Accumulator of each probe row, -1 for all other rows.
    accumulators : float array (n_probe_rows, dim)
        Sums of the full-width gradients of the probe rows; the backward pass adds to it.
    """

    table: SparseTable
    workers: Workers = _ONE_THREAD
    slots: npt.NDArray[np.int32] = None  # type: ignore[assignment]
    accumulators: npt.NDArray[Any] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.slots is None:
            self.clear_probes()
        # Scratch of group_rows, zero between calls.
        self._counts = np.zeros(self.table.n_rows, dtype=np.int64)

    def clear_probes(self) -> None:
        """Let no row be a probe row."""
        self.slots = np.full(self.table.n_rows, -1, dtype=np.int32)
        self.accumulators = np.zeros((0, self.table.dim), dtype=self.table.data.dtype)

    def new_gradient(self, rows: Rows) -> tuple[TableGradient, Rows, Rows]:
        """Group a batch's occurrences ``rows`` and make room for the gradient of those that occur.

        Returns
        -------
        gradient : TableGradient
            Values not yet written.
        offsets, order : int64 arrays
            Group ``t`` of the occurrences is ``order[offsets[t]:offsets[t + 1]]``.
        """
        order = np.empty(len(rows), dtype=np.int64)
        touched, offsets = group_rows(rows, self._counts, order)
        return TableGradient.empty_like(self.table, touched, np.diff(offsets)), offsets, order

    def cuts(self, offsets: Rows) -> list[int]:
        """Where to cut the touched rows so that every thread gets about as many occurrences."""
        n, total = len(offsets) - 1, int(offsets[-1])
        parts = max(1, min(self.workers.n_jobs, total // 256))
        inner = np.searchsorted(offsets, [total * p // parts for p in range(1, parts)])
        return [0, *(int(c) for c in inner), n]


def _check_rows(name: str, rows: Rows, ndim: int, table: SparseTable) -> None:
    if not isinstance(rows, np.ndarray) or not np.issubdtype(rows.dtype, np.integer):
        found = getattr(rows, "dtype", type(rows).__name__)
        raise TypeError(f"{name} must be an array of integer row numbers, found {found}")
    if rows.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, found shape {rows.shape}")
    if rows.size and (rows.min() < 0 or rows.max() >= table.n_rows):
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
    out = np.empty(partners.shape, dtype=a.data.dtype)
    left.workers.run(
        dot_rows, len(rows), a.dim, a.indptr, a.indices, a.data, rows,
        b.indptr, b.indices, b.data, partners, out,
    )  # fmt: skip
    return out


def _dot_vjp(own: Parameter, other: Parameter, g: Any, rows: Rows, partners: Rows) -> TableGradient:
    """Apply the rule for either side; ``rows`` and ``partners`` are flat, and one of them is shorter."""
    pairs = g.size
    gradient, offsets, order = own.new_gradient(rows)
    own.workers.run_cuts(
        dot_rows_vjp, own.cuts(offsets), own.table.dim, gradient.rows, offsets, order,
        pairs // max(1, len(rows)), np.ascontiguousarray(g).reshape(-1),
        partners, pairs // max(1, len(partners)),
        own.table.indptr, own.table.indices,
        other.table.indptr, other.table.indices, other.table.data,
        gradient.starts, gradient.values, own.slots, own.accumulators,
    )  # fmt: skip
    return gradient


dot = Primitive(
    "dot",
    _dot,
    lambda g, ans, left, right, rows, partners: _dot_vjp(left, right, g, rows, partners.reshape(-1)),
    lambda g, ans, left, right, rows, partners: _dot_vjp(right, left, g, partners.reshape(-1), rows),
)
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
    parameter.workers.run(gather_rows, len(rows), table.indptr, table.indices, table.data, rows, out)
    return out


def _lookup_vjp(g: Any, ans: Any, parameter: Parameter, rows: Rows) -> TableGradient:
    # Looking up is propagating with one weight of 1 each.
    return _dense_partners_vjp(parameter, rows, np.ones(len(rows), g.dtype), np.arange(len(rows)), g)


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


def _propagate(parameter: Parameter, weights: sparse.csr_array) -> Any:
    table = parameter.table
    if weights.shape[1] != table.n_rows:
        raise ValueError(
            f"weights must have a column for each of the {table.n_rows} rows of the table, "
            f"found shape {weights.shape}"
        )
    out = np.zeros((weights.shape[0], table.dim), dtype=table.data.dtype)
    parameter.workers.run(
        combine_rows, len(out), table.indptr, table.indices, table.data,
        weights.indptr, weights.indices, weights.data, out,
    )  # fmt: skip
    return out


def _propagate_vjp(g: Any, ans: Any, parameter: Parameter, weights: sparse.csr_array) -> TableGradient:
    owners = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    return _dense_partners_vjp(parameter, weights.indices, weights.data, owners, g)


def _dense_partners_vjp(
    parameter: Parameter, rows: Rows, weights: Any, partners: Rows, dense: Any
) -> TableGradient:
    gradient, offsets, order = parameter.new_gradient(rows)
    table = parameter.table
    parameter.workers.run_cuts(
        dense_partners_vjp, parameter.cuts(offsets), gradient.rows, offsets, order,
        np.ascontiguousarray(weights).reshape(-1), partners, max(1, len(rows) // max(1, len(partners))),
        np.ascontiguousarray(dense), table.indptr, table.indices, gradient.starts, gradient.values,
        parameter.slots, parameter.accumulators,
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
    if len(owners) != len(rows) or (len(owners) and not 0 <= owners.min() <= owners.max() < len(dense)):
        raise ValueError(
            f"match needs for each of the {len(rows)} examples one of the {len(dense)} dense rows"
        )
    out = np.empty(rows.shape, dtype=table.data.dtype)
    parameter.workers.run(
        match_rows, len(rows), dense, owners, table.indptr, table.indices, table.data, rows, out
    )
    return out


def _match_dense_vjp(g: Any, ans: Any, dense: Any, parameter: Parameter, owners: Rows, rows: Rows) -> Any:
    table = parameter.table
    counts = np.bincount(owners, minlength=len(dense))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    order = np.argsort(owners, kind="stable")
    out = np.zeros_like(dense)
    parameter.workers.run(
        match_rows_dense_vjp, len(dense), offsets, order, np.ascontiguousarray(g),
        table.indptr, table.indices, table.data, rows, out, min_share=16,
    )  # fmt: skip
    return out


def _match_table_vjp(
    g: Any, ans: Any, dense: Any, parameter: Parameter, owners: Rows, rows: Rows
) -> TableGradient:
    return _dense_partners_vjp(parameter, rows.reshape(-1), g, owners, dense)


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
