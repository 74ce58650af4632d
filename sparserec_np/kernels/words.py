"""Eight bytes of a buffer read as one number, wherever they begin."""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def _word_at(typingctx, buffer, at):
    """Return the eight bytes from ``buffer[at]`` on, of which the first are the lowest digits."""

    def generate(context, builder, signature, args):
        data = context.make_array(buffer)(context, builder, args[0]).data
        word = builder.load(builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(64).as_pointer()))
        word.align = 1
        return word if sys.byteorder == "little" else builder.bswap(word)

    return types.uint64(buffer, at), generate


# A call inside a kernel has no typing context, which a type checker would miss.
word_at: Any = _word_at
