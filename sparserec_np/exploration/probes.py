"""Probe rows: the sampled rows whose inactive entries are judged.

Only they hold full-width gradient accumulators, so the memory of growing is ``n_probe_rows · dim`` and the
backward pass computes the gradients of inactive entries nowhere else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd import Parameter
from sparserec_np.exploration.selection import mark_smallest
from sparserec_np.kernels.dense import zeros_in_lines


def sample_rows(
    importance: npt.NDArray[Any], n: int, draws: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.int64]:
    """Sample ``n`` distinct rows, more important ones more likely.

    Weighted sampling without replacement by exponential keys (Efraimidis & Spirakis 2006): the rows with
    the smallest ``Exp(1) / importance``.

    Parameters
    ----------
    importance : float array (n_rows,)
        Non-negative weights. Rows of weight 0 are never drawn.
    n : int
        How many; fewer come back where fewer have a positive weight.
    draws : float array (n_rows,)
        Such as ``rng.standard_exponential(n_rows)``.

    Returns
    -------
    int64 array
        Row numbers, ascending.
    """
    n = min(n, int(np.count_nonzero(importance)))
    with np.errstate(divide="ignore"):
        keys = draws / importance
    return np.flatnonzero(mark_smallest(keys, n))


def draw_probes(
    parameter: Parameter, importance: npt.NDArray[Any], n: int, draws: npt.NDArray[np.floating[Any]]
) -> None:
    """Give ``n`` newly sampled rows of a parameter accumulators that start at 0, and take all others'."""
    rows = sample_rows(importance, n, draws)
    parameter.clear_probes()
    parameter.slots[rows] = np.arange(len(rows), dtype=np.int32)
    parameter.accumulators = zeros_in_lines(len(rows), parameter.table.dim, parameter.table.data)
