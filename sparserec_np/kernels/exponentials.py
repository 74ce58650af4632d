"""Exponentials of whole batches in float32, written so that the compiler makes vector instructions of them.

numba calls the C library for ``exp``, an element at a time; a polynomial takes a tenth of that. Errors are
about one unit in the last place. NaN stays NaN, so that a training that diverges is noticed.

``"reassoc"`` lets a row's sum be taken by lanes, ``"nnan"`` its maximum (which decides nothing but where the
exponential is taken). Both leave the result a function of the row alone.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic

from sparserec_np.compilation import njit

_f = np.float32
_i = np.int32
_LOG2_E = _f(1.44269504)
_LN_2_HIGH, _LN_2_LOW = _f(0.693359375), _f(-2.12194440e-4)
# Adding it rounds to an integer, which stands in the low bits of the sum.
_ROUND = _f(12582912.0)
_ROUND_BITS = _i(0x4B400000)
_SMALLEST = _f(-87.0)


@intrinsic
def _bits(typingctx, x):
    """Return the bits of a float32 as int32."""
    return types.int32(types.float32), lambda context, builder, signature, args: builder.bitcast(
        args[0], context.get_value_type(types.int32)
    )


@intrinsic
def _float_of(typingctx, bits):
    """Return the float32 of which these are the bits."""
    return types.float32(types.int32), lambda context, builder, signature, args: builder.bitcast(
        args[0], context.get_value_type(types.float32)
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _exp(x):
    """``exp(x)`` for ``x`` up to 88 (Cephes' expf); what is below -87 counts as -87."""
    x = _SMALLEST if x < _SMALLEST else x
    shifted = x * _LOG2_E + _ROUND
    n = shifted - _ROUND
    r = x - n * _LN_2_HIGH - n * _LN_2_LOW
    p = _f(1.9875691500e-4)
    p = p * r + _f(1.3981999507e-3)
    p = p * r + _f(8.3334519073e-3)
    p = p * r + _f(4.1665795894e-2)
    p = p * r + _f(1.6666665459e-1)
    p = p * r + _f(5.0000001201e-1)
    p = p * r * r + r + _f(1.0)
    power = _i((_bits(shifted) - _ROUND_BITS + _i(127)) << _i(23))  # type: ignore[call-arg]
    return p * _float_of(power)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _log1p_of_share(t):
    """``log(1 + t)`` for ``t`` in [0, 1]: twice the area tangent of ``t / (2 + t)``, by its series."""
    s = t / (_f(2.0) + t)
    z = s * s
    p = _f(1 / 15)
    p = p * z + _f(1 / 13)
    p = p * z + _f(1 / 11)
    p = p * z + _f(1 / 9)
    p = p * z + _f(1 / 7)
    p = p * z + _f(1 / 5)
    p = p * z + _f(1 / 3)
    return _f(2.0) * s + _f(2.0) * s * z * p


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _largest(row):
    largest = row[0]
    for j in range(len(row)):
        largest = row[j] if row[j] > largest else largest
    return largest


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _sum_of_exp(row, shift):
    total = _f(0.0)
    for j in range(len(row)):
        total += _exp(row[j] - shift)
    return total


@njit(cache=True, nogil=True)
def logsumexp_rows(x, out):
    """``out[e] = log Σ_j exp(x[e, j])``; float32, at least one column."""
    for e in range(len(x)):
        shift = _largest(x[e])
        out[e] = shift + np.log(_sum_of_exp(x[e], shift)) if np.isfinite(shift) else shift


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def logsumexp_rows_vjp(x, logsum, g, out):
    """``out[e, j] = g[e] · exp(x[e, j] - logsum[e])``, the softmax times the gradient."""
    for e in range(len(x)):
        row, to, weight, shift = x[e], out[e], g[e], logsum[e]
        for j in range(len(row)):
            to[j] = weight * _exp(row[j] - shift)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def log_sigmoid_flat(x, out):
    """``out = log σ(x) = min(x, 0) - log(1 + exp(-|x|))``; it neither overflows nor loses small values."""
    for k in range(len(x)):
        below = x[k] if x[k] < _f(0.0) else _f(0.0)
        out[k] = below - _log1p_of_share(_exp(below + below - x[k]))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def log_sigmoid_flat_vjp(x, g, out):
    """``out = g · σ(-x)``."""
    for k in range(len(x)):
        below = x[k] if x[k] < _f(0.0) else _f(0.0)
        small = _exp(below + below - x[k])
        share = small if x[k] > _f(0.0) else _f(1.0)
        out[k] = g[k] * share / (_f(1.0) + small)
