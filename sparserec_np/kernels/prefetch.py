"""Asking for memory before it is needed.

A batch's rows lie all over a table, and a processor that is told of a row only when it is to be read waits
for it longer than the arithmetic takes. What is asked for early is there in time; nothing else changes, and
an address behind the end of an array does no harm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparserec_np.compilation import njit

_LINE = 64  # bytes that come at once


@intrinsic
def _prefetch(typingctx, array, index):
    """Ask for the cache line of ``array[index]`` of a contiguous array; ``index`` may be behind its end."""

    def generate(context, builder, signature, args):
        data = context.make_array(array)(context, builder, args[0]).data
        byte_pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte_pointer, number, number, number]),
            "llvm.prefetch.p0i8",
        )
        address = builder.bitcast(builder.gep(data, [args[1]]), byte_pointer)
        # To be read, to be kept near, and data rather than instructions.
        builder.call(function, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


# A call inside a kernel has no typing context, which a type checker would miss.
prefetch: Any = _prefetch


@njit(nogil=True, inline="always")
def prefetch_ends(array, first, n):
    """Ask for ``n`` numbers of a row: where they begin and end, between which few rows have much."""
    prefetch(array, first)
    prefetch(array, first + n - np.uint64(1))


@njit(nogil=True, inline="always")
def prefetch_entries(columns, data, first, n):
    """Ask for ``n`` entries of a row."""
    prefetch_ends(columns, first, n)
    prefetch_ends(data, first, n)


@njit(nogil=True, inline="always")
def prefetch_row(indptr, columns, data, row):
    """Ask for the entries of a table row."""
    first = np.uint64(indptr[row])
    prefetch_entries(columns, data, first, np.uint64(indptr[row + np.uint64(1)]) - first)


@njit(nogil=True, inline="always")
def prefetch_short_row(indptr, columns, data, row):
    """Ask for where the entries of a table row begin: few of the rows go on behind the first lines."""
    first = np.uint64(indptr[row])
    prefetch(columns, first)
    prefetch(data, first)


@njit(nogil=True, inline="always")
def prefetch_probe(slots, probes, dim, row):
    """Ask for a row's numbers among the flat ``probes``, if it is a probe row.

    Flat, because the holders of a view would be counted, which takes longer.
    """
    if slots[row] >= 0:
        first = np.uint64(slots[row]) * dim
        for c in range(np.uint64(0), dim, np.uint64(_LINE // probes.itemsize)):
            prefetch(probes, first + c)
