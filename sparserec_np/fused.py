"""A step of BPR over dot products, for what is trained most.

The tape computes the same from primitives, with a pass over the pairs of a batch for each, and an optimizer
passes over the gradients once more; where a score is a dot product and a loss is a sum over examples, one
pass has all that is needed of a row when it is there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd import Parameter
from sparserec_np.autograd.parameter import touched_rows
from sparserec_np.kernels.bpr import run_steps
from sparserec_np.kernels.grouping import lay_out_ascending, lay_out_pairs
from sparserec_np.kernels.lanes import LANES
from sparserec_np.kernels.sharing import new_counts
from sparserec_np.optim import Optimizer
from sparserec_np.tables import unsigned

Rows = npt.NDArray[Any]


# Examples of several batches that are worth another thread.
_SHARE = 256


class BprBatches:
    """Batches of examples, and what of them follows from the rows' numbers and from where these are stored.

    All arrays have a row for each batch, as long as the largest one may need.

    Parameters
    ----------
    n_batches, batch_size : int
        Room for so many batches, of not more examples each.
    left, right : Parameter
        Tables of the same width. What is laid out is good until the pattern of one changes, or its probes.

    Attributes
    ----------
    sizes : int64 array (n_batches, 3)
        Examples of each batch, and the rows of the left and of the right table that occur in it.
    left_rows : int32 array (n_batches, ≤ batch_size)
        The rows of the left table that occur, ascending.
    left_offsets : int32 array
        ``left_rows[b, t]`` has the examples ``left_offsets[b, t]`` to ``left_offsets[b, t + 1]``.
    left_starts : int32 array
        Where the stored entries of each begin when they lie one after the other.
    right_rows, right_offsets : int32 arrays
        The same for the right table and its pairs: example ``e`` has the pairs ``2 e`` and ``2 e + 1``.
    pairs, owners : uint32 arrays (n_batches, 2 batch_size)
        The pairs by their row of the right table, and for each of these ``t`` of its row of the left one.
    firsts : int array (n_batches, 2 batch_size)
        Where in the right table the stored entries of each pair's row begin.
    run_starts : int32 array (n_batches, 2 batch_size + 1)
        Where they begin when they lie one after the other.
    judged : int32 array (n_batches, n_probe_rows + 1)
        For each probe row of the right table ``t`` of that row, -1 where it does not occur; the last means
        nothing.
    """

    def __init__(self, n_batches: int, batch_size: int, left: Parameter, right: Parameter) -> None:
        self._left, self._right, self._slots = left.table, right.table, right.slots
        n_pairs = 2 * batch_size

        def room(*shape: int, dtype: Any = np.int32) -> npt.NDArray[Any]:
            return np.empty((n_batches, *shape), dtype=dtype)

        self.sizes = np.zeros((n_batches, 3), dtype=np.int64)
        self.left_rows, self.left_offsets, self.left_starts = (room(batch_size + 1) for _ in range(3))
        n_right = min(n_pairs, right.table.n_rows)
        self.right_rows, self.right_offsets = room(n_right), room(n_right + 1)
        self.pairs, self.owners = (room(n_pairs, dtype=np.uint32) for _ in range(2))
        self.firsts = room(n_pairs, dtype=unsigned(right.table.indptr).dtype)
        self.run_starts = room(n_pairs + 1)
        self.judged = room(len(right.accumulators) + 1)

    def lay_out(self, b: int, rows: Rows, partners: Rows) -> None:
        """Lay batch ``b`` out, in the calling thread alone.

        Parameters
        ----------
        b : int
        rows : int array (batch,)
            Rows of the left table, ascending.
        partners : int array (batch, 2)
            Rows of the right one: for each of ``rows`` the positive, then its negative.
        """
        owners_of = np.empty(len(rows), dtype=np.uint32)
        n_left = lay_out_ascending(
            unsigned(rows), unsigned(self._left.indptr), self.left_rows[b], self.left_offsets[b], owners_of,
            self.left_starts[b],
        )  # fmt: skip
        numbers, counts = unsigned(partners), np.zeros(self._right.n_rows, dtype=np.int32)
        touched = touched_rows(numbers.reshape(-1), counts)
        lay_out_pairs(
            numbers.reshape(-1), owners_of, touched, counts, self._slots, unsigned(self._right.indptr),
            self.right_offsets[b], self.pairs[b], self.owners[b], self.firsts[b], self.run_starts[b],
            self.judged[b],
        )  # fmt: skip
        self.right_rows[b, : len(touched)] = touched
        self.sizes[b] = len(rows), n_left, len(touched)


def bpr_steps(batches: BprBatches, left: Optimizer, right: Optimizer) -> list[float]:
    """Move two tables, float32, down the gradients of the loss ``bpr`` of the dot products of batches.

    One after the other; the tables are those that the batches were laid out for. As in the tape's backward
    pass, the gradients of probe rows are added to the accumulators.

    Returns
    -------
    list of float
        The loss of each batch before its step, summed over the examples.
    """
    users, items = left.parameter, right.parameter
    a, b = users.table, items.table
    sizes, (n_batches, n_pairs) = batches.sizes, batches.pairs.shape
    # What is needed of a row after it has moved is kept aside, of all batches, as probe rows are judged at
    # the end. And few rows have several pairs in a batch: it is cheaper to write down what each pair finds in
    # its row of the left table and to add that up than to look at these rows again.
    numbers = np.arange(n_batches)
    n_old = batches.left_starts[numbers, sizes[:, 1]].max()
    old = [np.empty((n_batches, n_old), dtype) for dtype in (a.arrays[1].dtype, a.data.dtype)]
    runs = np.empty(batches.run_starts[numbers, 2 * sizes[:, 0]].max() + LANES, dtype=b.data.dtype)
    losses, pushes = (np.empty((n_batches, n_pairs // 2), dtype=np.float32) for _ in range(2))
    weights = np.empty((n_batches, n_pairs), dtype=np.float32)
    n_threads = max(1, min(items.workers.n_jobs, int(sizes[:, 0].sum()) // _SHARE))
    items.workers.run_cuts(
        run_steps, range(n_threads + 1), new_counts(2 * n_batches + 1, n_threads), sizes, batches.left_rows,
        batches.left_offsets, batches.left_starts, batches.right_rows, batches.right_offsets, batches.pairs,
        batches.owners, batches.firsts, batches.run_starts, batches.judged, *a.arrays, *b.arrays, pushes,
        losses, weights, *old, runs, users.slots, users.accumulators, left.l2, left.rule, items.accumulators,
        right.l2, right.rule,
    )  # fmt: skip
    return [float(lost[:n].sum()) for lost, n in zip(losses, sizes[:, 0], strict=True)]
