"""Derivative rules of the elementwise functions and reductions, a line of maths each.

Every rule reads ``vjp(g, ans, *args)``: the gradient ``g`` by the answer ``ans`` in, the gradient by one
argument out. Broadcast arguments get their gradient summed back to their own shape.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.special import logsumexp as _logsumexp

from sparserec_np.autograd.tape import Primitive, Var, Vjp
from sparserec_np.kernels.exponentials import (
    log_sigmoid_flat,
    log_sigmoid_flat_vjp,
    logsumexp_rows,
    logsumexp_rows_vjp,
)

Axis = int | tuple[int, ...] | None


def _to_shape_of(x: Any, g: Any) -> Any:
    """Sum ``g`` over the axes along which ``x`` was broadcast."""
    shape = np.shape(x)
    if np.shape(g) == shape:
        return g
    g = g.sum(axis=tuple(range(np.ndim(g) - len(shape))))
    stretched = tuple(a for a, n in enumerate(shape) if n == 1 and np.shape(g)[a] != 1)
    return g.sum(axis=stretched, keepdims=True) if stretched else g


def _elementwise(name: str, forward: Callable[..., Any], *vjps: Vjp) -> Primitive:
    """Make a primitive whose rules may ignore broadcasting."""

    def fitted(rule: Vjp, i: int) -> Vjp:
        return lambda g, ans, *args: _to_shape_of(args[i], rule(g, ans, *args))

    return Primitive(name, forward, *(fitted(rule, i) for i, rule in enumerate(vjps)))


def _stretch(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """Give a reduction's gradient the shape of the reduced array ``x`` (a view)."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, np.shape(x))


def _is_batch(x: Any) -> bool:
    """Whether a value is what the training has, and has kernels for."""
    return isinstance(x, np.ndarray) and x.dtype == np.float32 and x.flags.c_contiguous and x.size > 0


def _log_sigmoid(x: Any) -> Any:
    if _is_batch(x):
        out = np.empty_like(x)
        log_sigmoid_flat(x.reshape(-1), out.reshape(-1))
        return out
    # log σ(x) = min(x, 0) - log(1 + exp(-|x|)) neither overflows nor loses small values.
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def _log_sigmoid_vjp(g: Any, ans: Any, x: Any) -> Any:
    if _is_batch(x):
        out = np.empty_like(x)
        log_sigmoid_flat_vjp(
            x.reshape(-1), np.ascontiguousarray(g, dtype=x.dtype).reshape(-1), out.reshape(-1)
        )
        return out
    return g * expit(-x)


add = _elementwise("add", np.add, lambda g, ans, x, y: g, lambda g, ans, x, y: g)
subtract = _elementwise("subtract", np.subtract, lambda g, ans, x, y: g, lambda g, ans, x, y: -g)
multiply = _elementwise("multiply", np.multiply, lambda g, ans, x, y: g * y, lambda g, ans, x, y: g * x)
divide = _elementwise("divide", np.divide, lambda g, ans, x, y: g / y, lambda g, ans, x, y: -g * ans / y)
negative = _elementwise("negative", np.negative, lambda g, ans, x: -g)
square = _elementwise("square", np.square, lambda g, ans, x: 2 * g * x)
sqrt = _elementwise("sqrt", np.sqrt, lambda g, ans, x: g / (2 * ans))
exp = _elementwise("exp", np.exp, lambda g, ans, x: g * ans)
log = _elementwise("log", np.log, lambda g, ans, x: g / x)
tanh = _elementwise("tanh", np.tanh, lambda g, ans, x: g * (1 - ans * ans))
absolute = _elementwise("absolute", np.abs, lambda g, ans, x: g * np.sign(x))
sigmoid = _elementwise("sigmoid", expit, lambda g, ans, x: g * ans * (1 - ans))
log_sigmoid = _elementwise("log_sigmoid", _log_sigmoid, _log_sigmoid_vjp)
# Where both are equal the first argument gets the gradient: a subgradient, and the two always sum to g.
maximum = _elementwise(
    "maximum", np.maximum, lambda g, ans, x, y: g * (x >= y), lambda g, ans, x, y: g * (x < y)
)


def _total(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims)


def _mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.mean(x, axis=axis, keepdims=keepdims)


def _is_by_rows(x: Any, axis: Axis) -> bool:
    return _is_batch(x) and x.ndim == 2 and axis in (1, -1)


def _logsumexp_forward(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    if _is_by_rows(x, axis):
        out = np.empty(len(x), dtype=x.dtype)
        logsumexp_rows(x, out)
        return out[:, None] if keepdims else out
    return _logsumexp(x, axis=axis, keepdims=keepdims)


def _total_vjp(g: Any, ans: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return _stretch(g, x, axis, keepdims)


def _mean_vjp(g: Any, ans: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    share = np.asarray(np.size(ans) / np.size(x), dtype=x.dtype)
    return _stretch(g * share, x, axis, keepdims)


def _logsumexp_vjp(g: Any, ans: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    # The gradient of logsumexp is the softmax.
    if _is_by_rows(x, axis):
        out = np.empty_like(x)
        logsum, by_row = (np.ascontiguousarray(array, dtype=x.dtype).reshape(-1) for array in (ans, g))
        logsumexp_rows_vjp(x, logsum, by_row, out)
        return out
    return _stretch(g, x, axis, keepdims) * np.exp(x - _stretch(ans, x, axis, keepdims))


total = Primitive("total", _total, _total_vjp)
mean = Primitive("mean", _mean, _mean_vjp)
logsumexp = Primitive("logsumexp", _logsumexp_forward, _logsumexp_vjp)


def _take(x: Any, index: Any) -> Any:
    return x[index]


def _take_vjp(g: Any, ans: Any, x: Any, index: Any) -> Any:
    out = np.zeros_like(x)
    if _may_repeat(index):
        np.add.at(out, index, g)
    else:
        out[index] = g
    return out


def _may_repeat(index: Any) -> bool:
    """Whether an index may name an element twice: only arrays of positions can."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(not (part is None or part is ... or isinstance(part, slice | Integral)) for part in parts)


take = Primitive("take", _take, _take_vjp, None)


def _add_at(x: Any, index: Any, y: Any) -> Any:
    out = x.copy()
    out[index] += y
    return out


add_at = Primitive(
    "add_at",
    _add_at,
    lambda g, ans, x, index, y: g,
    None,
    lambda g, ans, x, index, y: _to_shape_of(y, g[index]),
)
add_at.__doc__ = """An array with something added to a part of it, ``x[index] + y``, and all else as it is.

Parameters
----------
x : Var of array, or array
index : int, slice, or tuple of them
    What ``x[index]`` takes, no element of it twice.
y : Var of array, array or number
    Of the shape of ``x[index]``, or broadcast to it.

Returns
-------
Var of array like ``x``
"""


def _power(x: Any, exponent: float) -> Any:
    return x**exponent


def _power_vjp(g: Any, ans: Any, x: Any, exponent: float) -> Any:
    # x⁰ is 1 everywhere, also at 0, where x⁻¹ is not defined.
    return g * exponent * x ** (exponent - 1) if exponent else np.zeros_like(x)


power = Primitive("power", _power, _power_vjp, None)

Operand = Var | npt.NDArray[Any] | float


def _install_operators() -> None:
    """Let ``Var`` be written like an array: ``-x``, ``x + 1``, ``x[:, 0]``."""
    operators: dict[str, Callable[..., Any]] = {
        "__add__": add,
        "__radd__": lambda x, y: add(y, x),
        "__sub__": subtract,
        "__rsub__": lambda x, y: subtract(y, x),
        "__mul__": multiply,
        "__rmul__": lambda x, y: multiply(y, x),
        "__truediv__": divide,
        "__rtruediv__": lambda x, y: divide(y, x),
        "__neg__": negative,
        "__pow__": power,
        "__getitem__": take,
    }
    for name, operator in operators.items():
        # A plain function binds as a method; a Primitive instance would not.
        setattr(Var, name, (lambda call: lambda *args: call(*args))(operator))


_install_operators()
