"""Threads that share the work of several phases inside one kernel, without going back to Python in between.

To hand a part over to another thread and to hear back takes a fifth of a millisecond or more: it has to be
woken, and only one thread at a time may be in the interpreter. That is as long as a phase of a training step
takes. So each thread is sent into the kernel once, and there takes a portion of the phase's work after the
other until none is left, its own share first, then what others have not come to. A phase is over when all of
its portions are done, whoever did them: a thread that comes late, or is not given a processor for a while,
keeps nobody waiting unless it is at a portion.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparserec_np.compilation import njit

_u = np.uint64
_1 = np.uint64(1)
# Each count has a cache line to itself, or two: processors fetch them by pairs.
_LINE = 16
# Portions of the work of a phase: small enough that nobody waits long for the last one.
_PORTIONS = np.uint64(32)
# How often a thread looks before it lets another one have its processor: some microseconds.
_LOOKS = 1 << 12


def _address(context: Any, builder: Any, counts: Any, args: Any) -> Any:
    """Make the code for the address of ``args[0][args[1]]``."""
    data = context.make_array(counts)(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


@intrinsic
def _fetch_add(typingctx, counts, index, n):
    """Add ``n`` to ``counts[index]``, int64, and return what was there before, as one atomic step."""

    def generate(context, builder, signature, args):
        return builder.atomic_rmw("add", _address(context, builder, counts, args), args[2], "seq_cst")

    return types.int64(counts, types.uint64, types.int64), generate


@intrinsic
def _look(typingctx, counts, index):
    """Return ``counts[index]``, int64, and see all that was written before it was added to."""

    def generate(context, builder, signature, args):
        return builder.load_atomic(_address(context, builder, counts, args), "seq_cst", 8)

    return types.int64(counts, types.uint64), generate


@intrinsic
def _let_others(typingctx):
    """Let another thread have the processor, if one waits for it."""
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

    def generate(context, builder, signature, args):
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), name)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


# A call inside a kernel has no typing context, which a type checker would miss.
fetch_add: Any = _fetch_add
look: Any = _look
let_others: Any = _let_others


def new_counts(n_phases: int, n_threads: int) -> npt.NDArray[np.int64]:
    """Make what `next_portion` and `await_phase` count by, for so many phases and threads."""
    return np.zeros((n_phases, n_threads + 1, _LINE), dtype=np.int64)


@njit(cache=True, nogil=True)
def next_portion(counts, phase, thread, n):
    """Return where a portion of ``range(n)`` begins and ends that nobody else has; (n, n) if none is left."""
    n, n_threads = _u(n), _u(counts.shape[1]) - _1
    flat = counts.reshape(-1)
    size = (n + _PORTIONS - _1) // _PORTIONS
    for k in range(n_threads):
        part = (_u(thread) + k) % n_threads
        first, last = n * part // n_threads, n * (part + _1) // n_threads
        place = (_u(phase) * (n_threads + _1) + part) * _u(_LINE)
        if _u(look(flat, place)) < last - first:
            begin = first + _u(fetch_add(flat, place, np.int64(size)))
            if begin < last:
                return begin, min(begin + size, last)
    return n, n


@njit(cache=True, nogil=True)
def portion_done(counts, phase, n):
    """Tell that ``n`` of a phase have been done."""
    flat, n_threads = counts.reshape(-1), _u(counts.shape[1]) - _1
    fetch_add(flat, (_u(phase) * (n_threads + _1) + n_threads) * _u(_LINE), np.int64(n))


@njit(cache=True, nogil=True)
def await_phase(counts, phase, n):
    """Wait until all ``n`` of a phase have been done."""
    flat, n_threads = counts.reshape(-1), _u(counts.shape[1]) - _1
    place, looks = (_u(phase) * (n_threads + _1) + n_threads) * _u(_LINE), 0
    while look(flat, place) < np.int64(n):
        looks += 1
        if looks > _LOOKS:
            let_others()
