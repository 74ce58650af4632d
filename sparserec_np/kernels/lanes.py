"""Several numbers at a time, to the end of a row and no further.

A table row has some dozen entries. A loop over them that the compiler makes vector instructions of goes
through the last of them, or all, one at a time, and the processor guesses the ends of several loops, mostly
wrong. Where it can read and write some of many numbers in one go, kernels do that: `take` gives ``LANES``
numbers, which are computed with like one, and `put` writes them. Each is the same as by itself. Elsewhere
``LANES`` is 1 and both are of a plain number, which the compiler makes of it what it can.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model


def _has_masks() -> bool:
    """Whether the processor that numba compiles for has AVX-512, whose instructions leave numbers out."""
    features = config.CPU_FEATURES  # type: ignore[attr-defined]
    return "+avx512f" in (binding.get_host_cpu_features().flatten() if features is None else features)


LANES = 16 if _has_masks() else 1  # a cache line of float32


class Lanes(types.Type):
    """``LANES`` numbers of a type, in kernels."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Lanes) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(dmm.lookup(fe_type.dtype).get_value_type(), LANES))


def _type_of(dtype: types.Type) -> types.Type:
    return dtype if LANES == 1 else Lanes(dtype)


def _address(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Return where ``args[1]`` is in the contiguous array ``args[0]``, as an address of what `take` gives."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    taken = context.get_value_type(_type_of(signature.args[0].dtype))
    return builder.bitcast(builder.gep(data, [args[1]]), taken.as_pointer())


def _spread(builder: Any, number: Any) -> Any:
    """Give every lane a number."""
    nothing = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = builder.insert_element(nothing, number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))


def _first(builder: Any, n: Any) -> Any:
    """Tell of every lane whether it is among the first ``n``."""
    short = ir.IntType(32)  # all lanes are compared in one instruction
    numbers = ir.Constant(ir.VectorType(short, LANES), list(range(LANES)))
    return builder.icmp_unsigned("<", numbers, _spread(builder, builder.trunc(n, short)))


def _call(builder: Any, name: str, result: Any, args: list[Any]) -> Any:
    function = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), args)


def _name(lanes: Any) -> str:
    """Return what names of LLVM's functions have for a type."""
    return f"v{LANES}{lanes.element.intrinsic_name}"


def _alignment(lanes: Any) -> Any:
    """Return what addresses in bytes are a multiple of: the size of a number."""
    return ir.IntType(32)(8 if isinstance(lanes.element, ir.DoubleType) else 4)


@intrinsic
def _take(typingctx, array, index, n):
    """Return ``array[index : index + n]``, ``n`` uint64 up to ``LANES``; the other lanes are 0."""

    def generate(context, builder, signature, args):
        address = _address(context, builder, signature, args)
        if LANES == 1:
            return builder.load(address)
        lanes = address.type.pointee
        masked = [address, _alignment(lanes), _first(builder, args[2]), ir.Constant(lanes, None)]
        return _call(builder, f"llvm.masked.load.{_name(lanes)}.p0{_name(lanes)}", lanes, masked)

    return _type_of(array.dtype)(array, index, n), generate


@intrinsic
def _put(typingctx, array, index, n, numbers):
    """Write the first ``n`` lanes to ``array[index : index + n]``."""

    def generate(context, builder, signature, args):
        address = _address(context, builder, signature, args)
        if LANES == 1:
            builder.store(args[3], address)
            return context.get_dummy_value()
        lanes = address.type.pointee
        masked = [args[3], address, _alignment(lanes), _first(builder, args[2])]
        _call(builder, f"llvm.masked.store.{_name(lanes)}.p0{_name(lanes)}", ir.VoidType(), masked)
        return context.get_dummy_value()

    return types.void(array, index, n, _type_of(array.dtype)), generate


@intrinsic
def _lane(typingctx, numbers, index):
    """Return the number of one lane."""

    def generate(context, builder, signature, args):
        return args[0] if LANES == 1 else builder.extract_element(*args)

    return (numbers if LANES == 1 else numbers.dtype)(numbers, index), generate


@intrinsic
def _root(typingctx, numbers):
    """Return the square root of every lane."""

    def generate(context, builder, signature, args):
        kind = args[0].type.intrinsic_name if LANES == 1 else _name(args[0].type)
        return _call(builder, f"llvm.sqrt.{kind}", args[0].type, list(args))

    return numbers(numbers), generate


def _define(operation: Callable[..., Any], instruction: str) -> None:
    """Define an operation of lanes with lanes, or with a number of their type."""

    @infer_global(operation)
    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            lanes = [arg for arg in args if isinstance(arg, Lanes)]
            if lanes and all(arg in (lanes[0], lanes[0].dtype) for arg in args):
                return signature(lanes[0], *args)
            return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = [
            value if isinstance(kind, Lanes) else _spread(builder, value)
            for value, kind in zip(args, signature.args, strict=True)
        ]
        return getattr(builder, instruction)(*lanes)

    for kinds in ((Lanes, Lanes), (Lanes, types.Float), (types.Float, Lanes)):
        lower_builtin(operation, *kinds)(generate)


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_operation, _instruction)

# A call inside a kernel has no typing context, which a type checker would miss.
take: Any = _take
put: Any = _put
lane: Any = _lane
root: Any = _root
