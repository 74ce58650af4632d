"""Telling the compiler what it cannot know about a loop."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def _short_loop(typingctx):
    """Keep the loop around this from being unrolled; nothing is executed.

    A table row has a handful of entries. A loop unrolled eight times goes through most of them one at a time
    before or after, so the processor has to guess two ends of a loop instead of one, and a wrong guess costs
    as much as the arithmetic of the row.
    """

    def generate(context, builder, signature, args):
        # Assembly of no instructions, which must not be executed under other conditions than it stands under.
        call = builder.asm(ir.FunctionType(ir.VoidType(), []), "", "", [], True)
        # LLVM knows the attribute for long, llvmlite's list of those that a call may have only since 0.42.
        set.add(call.attributes, "convergent")
        return context.get_dummy_value()

    return types.void(), generate


# A call inside a kernel has no typing context, which a type checker would miss.
short_loop: Any = _short_loop
