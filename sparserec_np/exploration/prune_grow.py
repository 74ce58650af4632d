"""One exploration step: prune the smallest stored entries, grow as many inactive ones.

The policy is two score functions, what to prune and what to grow; the mechanism below serves any pair and
keeps the number of stored entries exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd import Parameter
from sparserec_np.exploration.selection import largest, smallest
from sparserec_np.tables import SparseTable


@dataclass(frozen=True)
class Replacement:
    """What an exploration step did to a table.

    Parameters
    ----------
    table : SparseTable
        The new table: kept entries keep their values, grown ones start at 0.
    origin : int64 array (nnz,)
        For each entry of the new table its number in the old one, -1 for grown entries.
    n_replaced : int
        Entries pruned, which is also entries grown.
    """

    table: SparseTable
    origin: npt.NDArray[np.int64]
    n_replaced: int


def inactive_candidates(
    table: SparseTable, slots: npt.NDArray[np.int32], accumulators: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Inactive entries of the probe rows that have a gradient.

    Returns
    -------
    positions : int64 array
        ``row · dim + column``, ascending.
    scores : float array
        Absolute accumulated gradient, positive.
    """
    rows = np.flatnonzero(slots >= 0)
    scores = np.abs(accumulators[slots[rows]])
    # The stored entries of the probe rows are no candidates.
    lengths = table.indptr[rows + 1] - table.indptr[rows]
    owner = np.repeat(np.arange(len(rows)), lengths)
    ends = np.cumsum(lengths)
    entries = np.arange(len(owner)) + np.repeat(table.indptr[rows] - (ends - lengths), lengths)
    scores[owner, table.indices[entries]] = 0
    slot, column = np.nonzero(scores)
    return rows[slot].astype(np.int64) * table.dim + column, scores[slot, column]


def replace(parameter: Parameter, n: int) -> Replacement:
    """Prune the ``n`` entries of smallest magnitude and grow the ``n`` of largest accumulated gradient.

    Parameters
    ----------
    parameter : Parameter
        The table and the accumulators of its probe rows; not modified.
    n : int
        How many entries to replace. Fewer are where fewer inactive entries have a gradient: an entry that
        no example asked for is no better than the one it would push out.

    Returns
    -------
    Replacement
    """
    table = parameter.table
    positions, scores = inactive_candidates(table, parameter.slots, parameter.accumulators)
    n = min(n, len(positions), table.nnz)
    grown = positions[largest(scores, n)]
    keep = np.ones(table.nnz, dtype=bool)
    keep[smallest(np.abs(table.data), n)] = False
    kept = np.flatnonzero(keep)

    merged = np.concatenate([table.positions()[kept], grown])
    # Two ascending runs: a stable sort merges them in linear time.
    order = np.argsort(merged, kind="stable")
    origin = np.concatenate([kept, np.full(n, -1)])[order]
    new = SparseTable.from_positions(merged[order], table.shape, table.data.dtype)
    new.data[origin >= 0] = table.data[origin[origin >= 0]]
    return Replacement(new, origin, n)
