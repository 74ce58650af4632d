"""Table values in fewer bits: float16, or int8 with a scale per row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import SettingError
from sparserec_np.runtime.table_data import MAX_MAGNITUDE

#: How a file may store the values of its tables, longest first.
PRECISIONS = ("float32", "float16", "int8")

# A scale is a byte: eighths of powers of two below the table's largest. Two bytes of float16 per row
# gained nothing in recall (benchmarks/size.py), and below 2⁻¹⁴ they would lose what they are for.
_SCALES = (2.0 ** (-np.arange(256) / 8)).astype(np.float32)
#: Steps of int8 are at most 2 to this power, and the table's largest at least 2 to minus this power.
MAX_EXPONENT = 60

# Values reach this at most. The half makes a table that was rounded once round to itself again.
_LARGEST = 127.49


def check_precision(precision: object) -> None:
    """Check that a precision is known.

    Raises
    ------
    SettingError
    """
    if precision not in PRECISIONS:
        raise SettingError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")


def to_float16(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round values to float16.

    Raises
    ------
    SettingError
        If one is too large for it.
    """
    limit = float(np.finfo(np.float16).max)
    if (largest := float(np.abs(values).max(initial=0.0))) > limit:
        raise SettingError(
            f"a table holds {largest:g} and float16 {limit:g} at most; use the precision int8 or float32"
        )
    return values.astype(np.float16)


def to_int8(
    values: NDArray[np.float32], rows: NDArray[np.integer], n_rows: int
) -> tuple[NDArray[np.int8], NDArray[np.uint8], int]:
    """Round values to int8, each row to a step of its own.

    Parameters
    ----------
    values : ndarray of float32, shape (nnz,)
    rows : ndarray of int, shape (nnz,)
        Row of each value.
    n_rows : int

    Returns
    -------
    rounded : ndarray of int8, shape (nnz,)
    scales : ndarray of uint8, shape (n_rows,)
    exponent : int
        Row ``r`` has the step ``2**(exponent - scales[r] / 8)``.
    """
    largest = np.zeros(n_rows, np.float64)
    np.maximum.at(largest, rows, np.abs(values))
    steps = largest / _LARGEST
    top = float(steps.max(initial=0.0))
    # Values so small that no step of a file is smaller become 0.
    exponent = max(math.ceil(math.log2(top)), -MAX_EXPONENT) if top else 0
    with np.errstate(divide="ignore"):
        scales = np.clip(np.floor(8 * (exponent - np.log2(steps))), 0, 255).astype(np.uint8)
    row_steps = _steps(scales, exponent)[rows]
    rounded = np.rint(values / row_steps)
    # Not beyond what a table may hold, and so a reader takes.
    rounded -= np.sign(rounded) * (np.abs(rounded * row_steps) > MAX_MAGNITUDE)
    return rounded.astype(np.int8), scales, exponent


def from_int8(
    rounded: NDArray[np.int8], rows: NDArray[np.integer] | int, scales: NDArray[np.uint8], exponent: int
) -> NDArray[np.float32]:
    """Return the values that int8 and scales stand for; the inverse of `to_int8`, up to its rounding."""
    return rounded * _steps(scales[rows], exponent)


def _steps(scales: Any, exponent: int) -> NDArray[np.float32]:
    # A power of two changes no digit, so that every machine gets the same values.
    return _SCALES[scales] * np.float32(2.0**exponent)
