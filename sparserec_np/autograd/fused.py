"""Losses of dot products and their gradients in one go, for what is trained most.

The tape computes the same from primitives, with a pass over the pairs of a batch for each; where a score is
a dot product and a loss is a sum over examples, one pass has all that is needed of a pair when it is there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd.sparse import Parameter, partners_gradient
from sparserec_np.kernels.ranked import bpr_owners
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
    partners : int array (batch, 1 + m)
        Rows of ``right``: for each of ``rows`` the positive, then its negatives.

    Returns
    -------
    loss : float
        Summed over the examples, the mean over the negatives of each.
    gradients : list of TableGradient
        By ``left`` and by ``right``.
    """
    gradient, offsets = left.new_gradient_of_ascending(rows)
    g = np.empty(partners.shape, dtype=np.float32)
    losses = np.empty(len(rows), dtype=np.float32)
    left.workers.run_cuts(
        bpr_owners, left.cuts(offsets), gradient.rows, offsets, unsigned(partners),
        *left.table.arrays, *right.table.arrays, g, losses,
        gradient.starts, gradient.values, left.slots, left.accumulators,
    )  # fmt: skip
    return float(losses.sum()), [gradient, partners_gradient(left, right, rows, partners, g)]
