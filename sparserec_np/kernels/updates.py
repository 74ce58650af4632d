"""Optimizer steps on the stored entries of touched rows.

A rule is a named tuple of an optimizer's constants and of its state, arrays with a number for each stored
entry; `move` is what it does to one entry, compiled into whatever kernel gets the rule. L2 regularisation is
charged once for each occurrence of a row, as if each example carried its own penalty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.extending import overload

from sparserec_np.compilation import njit
from sparserec_np.kernels.lanes import LANES, lane, put, root, take

_u = np.uint64
_1 = np.uint64(1)
_LANES = np.uint64(LANES)

Array = npt.NDArray[Any]


class SGDRule(NamedTuple):
    """``w ← w − η g``."""

    learning_rate: Any


class AdagradRule(NamedTuple):
    """``s ← s + g²``, ``w ← w − η g / (√s + ε)`` (Duchi et al. 2011)."""

    learning_rate: Any
    squares: Array
    epsilon: Any


class AdamRule(NamedTuple):
    """Adam (Kingma & Ba 2015), lazy: an entry's moments and its step count move only when it is touched."""

    learning_rate: Any
    first: Array
    second: Array
    steps: Array
    beta1: Any
    beta2: Any
    epsilon: Any


def _sgd(rule, data, q, n, gradient, shrink):
    weights = take(data, q, n)
    put(data, q, n, weights - rule.learning_rate * (gradient + shrink * weights))


def _adagrad(rule, data, q, n, gradient, shrink):
    weights = take(data, q, n)
    g = gradient + shrink * weights
    squares = take(rule.squares, q, n) + g * g
    put(rule.squares, q, n, squares)
    put(data, q, n, weights - rule.learning_rate * g / (root(squares) + rule.epsilon))


def _adam(rule, data, q, n, gradient, shrink):
    one = data.dtype.type(1)
    for i in range(n):
        g = lane(gradient, i) + shrink * data[q]
        rule.steps[q] += 1
        rule.first[q] = rule.beta1 * rule.first[q] + (one - rule.beta1) * g
        rule.second[q] = rule.beta2 * rule.second[q] + (one - rule.beta2) * g * g
        mean = rule.first[q] / (one - rule.beta1 ** rule.steps[q])
        spread = rule.second[q] / (one - rule.beta2 ** rule.steps[q])
        data[q] -= rule.learning_rate * mean / (np.sqrt(spread) + rule.epsilon)
        q += _1


_MOVES: dict[type, Callable[..., None]] = {SGDRule: _sgd, AdagradRule: _adagrad, AdamRule: _adam}


def move(rule: Any, data: Array, q: Any, n: Any, gradient: Any, shrink: Any) -> None:
    """Move ``n`` entries, up to ``LANES``, from ``q`` on; for kernels.

    Down ``gradient``, which has a lane for each, and ``shrink`` times the entries.
    """
    _MOVES[type(rule)](rule, data, q, n, gradient, shrink)


@overload(move, jit_options={"error_model": "numpy", "fastmath": {"contract"}})
def _move(rule, data, q, n, gradient, shrink):
    return _MOVES[rule.instance_class]


@njit(nogil=True, inline="always")
def move_row(rule, data, q, n, values, v, shrink):
    """Move the ``n`` entries of a row, from ``q`` on, down ``values[v : v + n]``, as `move` does."""
    i = _u(0)
    while i < n:
        some = min(n - i, _LANES)
        move(rule, data, q + i, some, take(values, v + i, some), shrink)
        i += _LANES


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def step(start, stop, rows, counts, indptr, data, value_starts, values, l2, rule):
    """Move the entries of the part ``[start, stop)`` of ``rows`` (touched, ascending).

    ``counts`` are the occurrences of each in the batch, and row ``rows[t]`` has the gradient
    ``values[value_starts[t]:value_starts[t + 1]]``.
    """
    real = data.dtype.type
    for t in range(_u(start), _u(stop)):
        first, n = _u(value_starts[t]), _u(value_starts[t + _1]) - _u(value_starts[t])
        move_row(rule, data, _u(indptr[_u(rows[t])]), n, values, first, l2 * real(counts[t]))
