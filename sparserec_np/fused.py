"""A step of BPR over dot products, for what is trained most.

The tape computes the same from primitives, with a pass over the pairs of a batch for each, and an optimizer
passes over the gradients once more; where a score is a dot product and a loss is a sum over examples, one
pass has all that is needed of a row when it is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd.pairing import ends_of
from sparserec_np.autograd.sparse import touched_rows
from sparserec_np.kernels.bpr import move_owners, move_partners
from sparserec_np.kernels.grouping import group_partners, lay_out_ascending, lay_out_runs
from sparserec_np.optim import Optimizer
from sparserec_np.tables import SparseTable, unsigned

Rows = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class BprBatch:
    """Examples, and what of them follows from the rows' numbers and from where these are stored.

    Parameters
    ----------
    partners : uint32 array (batch, 2)
        For each example the positive, then its negative: rows of the right table.
    left_rows : int64 array (n_left,)
        The rows of the left table that occur, ascending.
    left_offsets : int64 array (n_left + 1,)
        ``left_rows[t]`` has the examples ``left_offsets[t]`` to ``left_offsets[t + 1]``.
    left_starts : int64 array (n_left + 1,)
        Where the stored entries of each begin when they lie one after the other.
    right_rows, right_offsets : int64 arrays
        The same for the right table and its pairs: example ``e`` has the pairs ``2 e`` and ``2 e + 1``.
    pairs, owners : uint32 arrays (2 batch,)
        The pairs by their row of the right table, and for each of these ``t`` of its row of the left one.
    run_starts : int64 array (2 batch + 1,)
        Where the stored entries of each pair's row begin when they lie one after the other.
    """

    partners: Rows
    left_rows: Rows
    left_offsets: Rows
    left_starts: Rows
    right_rows: Rows
    right_offsets: Rows
    pairs: Rows
    owners: Rows
    run_starts: Rows

    @classmethod
    def of(cls, left: SparseTable, right: SparseTable, rows: Rows, partners: Rows) -> BprBatch:
        """Lay a batch out, in the calling thread alone; good until a table's pattern changes.

        Parameters
        ----------
        left, right : SparseTable
            Tables of the same width.
        rows : int array (batch,)
            Rows of ``left``, ascending.
        partners : int array (batch, 2)
            Rows of ``right``: for each of ``rows`` the positive, then its negative.
        """
        touched, owners_of = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.uint32)
        offsets, starts = (np.empty(len(rows) + 1, dtype=np.int64) for _ in range(2))
        n = lay_out_ascending(unsigned(rows), unsigned(left.indptr), touched, offsets, owners_of, starts)

        numbers, places = unsigned(partners), np.zeros(right.n_rows, dtype=np.int32)
        right_rows = touched_rows(numbers.reshape(-1), places)
        right_offsets = ends_of(places[right_rows])
        pairs, owners = (np.empty(partners.size, dtype=np.uint32) for _ in range(2))
        group_partners(owners_of, numbers, right_rows, right_offsets, places, pairs, owners)
        run_starts = np.empty(partners.size + 1, dtype=np.int64)
        lay_out_runs(numbers.reshape(-1), unsigned(right.indptr), run_starts)
        left_of = touched[:n], offsets[: n + 1], starts[: n + 1]
        return cls(numbers, *left_of, right_rows, right_offsets, pairs, owners, run_starts)


def bpr_step(batch: BprBatch, left: Optimizer, right: Optimizer) -> float:
    """Move two tables, float32, down the gradients of the loss ``bpr`` of the dot products of a batch.

    As in the tape's backward pass, the gradients of probe rows are added to the accumulators.

    Returns
    -------
    float
        The loss before, summed over the examples.
    """
    users, items = left.parameter, right.parameter
    a, b = users.table, items.table
    # What is needed of a row after it has moved is kept aside. And few rows have several pairs in a batch: it
    # is cheaper to write down what each pair finds in its row of the left table and to add that up than to
    # look at these rows again.
    old = np.empty(batch.left_starts[-1], a.arrays[1].dtype), np.empty(batch.left_starts[-1], a.data.dtype)
    runs = np.empty(batch.run_starts[-1], dtype=b.data.dtype)
    pushes, losses = (np.empty(len(batch.partners), dtype=np.float32) for _ in range(2))
    users.workers.run_cuts(
        move_owners, users.cuts(batch.left_offsets), batch.left_rows, batch.left_offsets, batch.partners,
        batch.run_starts, *a.arrays, *b.arrays, pushes, losses, batch.left_starts, *old, runs,
        users.slots, users.accumulators, left.l2, left.rule,
    )  # fmt: skip
    items.workers.run_cuts(
        move_partners, items.cuts(batch.right_offsets), batch.right_rows, batch.right_offsets, batch.pairs,
        batch.owners, batch.run_starts, runs, batch.left_starts, *old, pushes, unsigned(b.indptr), b.data,
        items.slots, items.accumulators, right.l2, right.rule,
    )  # fmt: skip
    return float(losses.sum())
