"""Optimizer steps on the stored entries of touched rows.

All kernels share the leading arguments: the part ``[start, stop)`` of ``rows`` (touched, ascending), the
occurrences of each in the batch (``counts``), the table's ``indptr`` and ``data``, and the gradient
``values``, of which row ``rows[t]`` owns ``values[value_starts[t]:value_starts[t + 1]]``. L2
regularisation is charged once for each occurrence of a row, as if each example carried its own penalty.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_u = np.uint64
_1 = np.uint64(1)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def sgd_step(start, stop, rows, counts, indptr, data, value_starts, values, learning_rate, l2):
    """``w ← w − η g``."""
    real = data.dtype.type
    for t in range(_u(start), _u(stop)):
        shrink = l2 * real(counts[t])
        q = _u(indptr[_u(rows[t])])
        for v in range(_u(value_starts[t]), _u(value_starts[t + _1])):
            data[q] -= learning_rate * (values[v] + shrink * data[q])
            q += _1


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def adagrad_step(
    start, stop, rows, counts, indptr, data, value_starts, values, learning_rate, l2, squares, epsilon
):
    """``s ← s + g²``, ``w ← w − η g / (√s + ε)`` (Duchi et al. 2011)."""
    real = data.dtype.type
    for t in range(_u(start), _u(stop)):
        shrink = l2 * real(counts[t])
        q = _u(indptr[_u(rows[t])])
        for v in range(_u(value_starts[t]), _u(value_starts[t + _1])):
            g = values[v] + shrink * data[q]
            squares[q] += g * g
            data[q] -= learning_rate * g / (np.sqrt(squares[q]) + epsilon)
            q += _1


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def adam_step(
    start, stop, rows, counts, indptr, data, value_starts, values, learning_rate, l2,
    first, second, steps, beta1, beta2, epsilon,
):  # fmt: skip
    """Adam (Kingma & Ba 2015), lazy: an entry's moments and its step count move only when it is touched."""
    one = data.dtype.type(1)
    real = data.dtype.type
    for t in range(_u(start), _u(stop)):
        shrink = l2 * real(counts[t])
        q = _u(indptr[_u(rows[t])])
        for v in range(_u(value_starts[t]), _u(value_starts[t + _1])):
            g = values[v] + shrink * data[q]
            steps[q] += 1
            first[q] = beta1 * first[q] + (one - beta1) * g
            second[q] = beta2 * second[q] + (one - beta2) * g * g
            mean = first[q] / (one - beta1 ** steps[q])
            spread = second[q] / (one - beta2 ** steps[q])
            data[q] -= learning_rate * mean / (np.sqrt(spread) + epsilon)
            q += _1
