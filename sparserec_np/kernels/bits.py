"""Many bytes compared at once, and the outcome as the bits of a number."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

AT_ONCE = 64
"""Bytes that are compared at once, so many are read from a place on."""


def _load(context: Any, builder: Any, buffer: Any, args: Any) -> Any:
    """Make the code that loads the bytes that are compared at once."""
    data = context.make_array(buffer)(context, builder, args[0]).data
    several = ir.VectorType(ir.IntType(8), AT_ONCE)
    here = builder.load(builder.bitcast(builder.gep(data, [args[1]]), several.as_pointer()))
    here.align = 1
    return here


@intrinsic
def _equal_bits(typingctx, buffer, at, byte):
    """Return for the 64 bytes from ``buffer[at]`` on which of them equal a byte: bit i for ``at + i``."""

    def generate(context, builder, signature, args):
        number, several = ir.IntType(32), ir.VectorType(ir.IntType(8), AT_ONCE)
        here = _load(context, builder, buffer, args)
        unset = ir.Constant(several, ir.Undefined)
        first = builder.insert_element(unset, args[2], number(0))
        wanted = builder.shuffle_vector(
            first, unset, ir.Constant(ir.VectorType(number, AT_ONCE), [0] * AT_ONCE)
        )
        return builder.bitcast(builder.icmp_unsigned("==", here, wanted), ir.IntType(64))

    return types.uint64(buffer, at, byte), generate


@intrinsic
def _high_bits(typingctx, buffer, at):
    """Return for the 64 bytes from ``buffer[at]`` on which of them are 128 or more."""

    def generate(context, builder, signature, args):
        several = ir.VectorType(ir.IntType(8), AT_ONCE)
        here = _load(context, builder, buffer, args)
        return builder.bitcast(builder.icmp_signed("<", here, ir.Constant(several, None)), ir.IntType(64))

    return types.uint64(buffer, at), generate


@intrinsic
def _lowest_bit(typingctx, bits):
    """Return the number of the lowest bit that is set; 64 where none is."""

    def generate(context, builder, signature, args):
        return builder.cttz(args[0], ir.IntType(1)(0))

    return types.uint64(bits), generate


@intrinsic
def _count_bits(typingctx, bits):
    """Return how many bits are set."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(bits), generate


# A call inside a kernel has no typing context, which a type checker would miss.
equal_bits: Any = _equal_bits
high_bits: Any = _high_bits
lowest_bit: Any = _lowest_bit
count_bits: Any = _count_bits
