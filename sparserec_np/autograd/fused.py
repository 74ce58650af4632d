"""Losses of dot products and their gradients in one go, for what is trained most.

The tape computes the same from primitives, with a pass over the pairs of a batch for each; where a score is
a dot product and a loss is a sum over examples, one pass has all that is needed of a pair when it is there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd.pairing import ends_of
from sparserec_np.autograd.sparse import Parameter
from sparserec_np.kernels.grouping import group_partners, lay_out_runs
from sparserec_np.kernels.ranked import bpr_owners, sum_runs
from sparserec_np.tables import TableGradient, unsigned


def bpr_of_dots(
    left: Parameter, right: Parameter, rows: npt.NDArray[Any], partners: npt.NDArray[Any]
) -> tuple[float, list[TableGradient]]:
    """Loss ``bpr`` of ``dot(left, right, rows, partners)``, and its gradients by both tables.

    As in the tape's backward pass, the gradients of probe rows are added to the accumulators.

    Parameters
    ----------
    left, right : Parameter
        Tables of the same width, float32.
    rows : int array (batch,)
        Rows of ``left``, ascending.
    partners : int array (batch, 2)
        Rows of ``right``: for each of ``rows`` the positive, then its negative.

    Returns
    -------
    loss : float
        Summed over the examples.
    gradients : list of TableGradient
        By ``left`` and by ``right``.
    """
    by_left, left_offsets = left.new_gradient_of_ascending(rows)
    by_right, places = right.new_gradient(partners.reshape(-1))
    offsets = ends_of(by_right.counts)
    pairs, owners = (np.empty(partners.size, dtype=np.uint32) for _ in range(2))
    group_partners(unsigned(rows), unsigned(partners), by_right.rows, offsets, places, pairs, owners)
    # Few rows have several pairs in a batch: it is cheaper to write down what each pair contributes and to
    # add that up than to look at the rows of all pairs again.
    run_starts = np.empty(partners.size + 1, dtype=np.int64)
    lay_out_runs(unsigned(partners).reshape(-1), unsigned(right.table.indptr), run_starts)
    runs = np.empty(run_starts[-1], dtype=np.float32)
    pushes, losses = (np.empty(len(rows), dtype=np.float32) for _ in range(2))
    left.workers.run_cuts(
        bpr_owners, left.cuts(left_offsets), by_left.rows, left_offsets, unsigned(partners), run_starts,
        *left.table.arrays, *right.table.arrays, pushes, losses,
        by_left.starts, by_left.values, runs, left.slots, left.accumulators,
    )  # fmt: skip
    right.workers.run_cuts(
        sum_runs, right.cuts(offsets), by_right.rows, offsets, pairs, owners, run_starts, runs,
        *left.table.arrays, pushes, by_right.starts, by_right.values, right.slots, right.accumulators,
    )  # fmt: skip
    return float(losses.sum()), [by_left, by_right]
