"""Picking an exact number of entries, with a rule for ties, in linear time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def largest(scores: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
    """Where the ``n`` largest scores stand, ascending; of equal scores those that stand first.

    Parameters
    ----------
    scores : float array (m,)
        No NaN.
    n : int
        How many, 0 … m.

    Returns
    -------
    int64 array (n,)
    """
    if n <= 0:
        return np.empty(0, dtype=np.int64)
    if n >= len(scores):
        return np.arange(len(scores))
    threshold = np.partition(scores, len(scores) - n)[len(scores) - n]
    return _with_ties(scores, scores > threshold, threshold, n)


def smallest(scores: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
    """Where the ``n`` smallest scores stand, ascending; of equal scores those that stand first."""
    if n <= 0:
        return np.empty(0, dtype=np.int64)
    if n >= len(scores):
        return np.arange(len(scores))
    threshold = np.partition(scores, n - 1)[n - 1]
    return _with_ties(scores, scores < threshold, threshold, n)


def _with_ties(
    scores: npt.NDArray[Any], chosen: npt.NDArray[np.bool_], threshold: Any, n: int
) -> npt.NDArray[np.int64]:
    """Add the first of those that equal the threshold to the chosen ones, until there are ``n``."""
    ties = np.flatnonzero(scores == threshold)
    chosen[ties[: n - np.count_nonzero(chosen)]] = True
    return np.flatnonzero(chosen)
