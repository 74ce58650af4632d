"""Picking an exact number of entries by magnitude, with a rule for ties, in linear time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.kernels.selecting import magnitude_of_rank, mark_beyond


def largest(values: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
    """Where the ``n`` values of largest magnitude stand, ascending; of equal ones those that stand first.

    Parameters
    ----------
    values : float array or array of non-negative int (m,)
        Of 4 or 8 bytes; no NaN.
    n : int
        How many, 0 … m.

    Returns
    -------
    int64 array (n,)
    """
    return np.flatnonzero(mark_largest(values, n))


def mark_largest(values: npt.NDArray[Any], n: int) -> npt.NDArray[np.bool_]:
    """Mark what `largest` finds: a bool array (m,), for memory beside which no number is held."""
    return _mark(values, n, larger=True)


def mark_smallest(values: npt.NDArray[Any], n: int) -> npt.NDArray[np.bool_]:
    """Mark the ``n`` values of smallest magnitude; of equal ones those that stand first."""
    return _mark(values, n, larger=False)


def _mark(values: npt.NDArray[Any], n: int, larger: bool) -> npt.NDArray[np.bool_]:
    if n <= 0 or n >= len(values):
        return np.full(len(values), n > 0)
    bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    limit, n_smaller, n_equal = magnitude_of_rank(bits, len(bits) - n if larger else n - 1)
    n_beyond = len(bits) - n_smaller - n_equal if larger else n_smaller
    marks = np.empty(len(bits), dtype=bool)
    mark_beyond(bits, limit, larger, n - n_beyond, marks)
    return marks
