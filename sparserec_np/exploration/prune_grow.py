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
from sparserec_np.kernels.replacing import mark_stored, merge_entries
from sparserec_np.tables import SparseTable


@dataclass(frozen=True)
class Replacement:
    """What an exploration step did to a table.

    Parameters
    ----------
    table : SparseTable
        The new table: kept entries keep their values, grown ones start at 0.
    origin : int array (nnz,)
        For each entry of the new table its number in the old one, -1 for grown entries.
    n_replaced : int
        Entries pruned, which is also entries grown.
    """

    table: SparseTable
    origin: npt.NDArray[np.signedinteger[Any]]
    n_replaced: int


def inactive_scores(parameter: Parameter) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """How much the loss asks for each inactive entry of the probe rows.

    Returns
    -------
    rows : int64 array (n_probe_rows,)
        The probe rows, ascending.
    scores : float array (n_probe_rows, dim)
        Absolute accumulated gradients, 0 where an entry is stored already.
    """
    table = parameter.table
    rows = np.flatnonzero(parameter.slots >= 0)
    scores = parameter.accumulators[parameter.slots[rows]]
    np.abs(scores, out=scores)
    # The stored entries of the probe rows are no candidates.
    indptr, columns, _ = table.arrays
    mark_stored(rows, indptr, columns, scores)
    return rows, scores


def _most_wanted(parameter: Parameter, n: int) -> npt.NDArray[np.int64]:
    """Positions of the ``n`` inactive entries with the largest scores, ascending; none that scores 0."""
    rows, scores = inactive_scores(parameter)
    dim = parameter.table.dim
    chosen = largest(scores.reshape(-1), min(n, int(np.count_nonzero(scores))))
    return rows[chosen // dim] * dim + chosen % dim


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
    grown = _most_wanted(parameter, min(n, table.nnz))
    n = len(grown)
    keep = np.ones(table.nnz, dtype=bool)
    keep[smallest(np.abs(table.data), n)] = False
    new = SparseTable(
        np.empty_like(table.indptr), np.empty_like(table.indices), np.empty_like(table.data), table.dim
    )
    origin = np.empty(table.nnz, dtype=table.indptr.dtype)
    merge_entries(
        table.indptr, table.indices, table.data, keep, grown // table.dim, grown % table.dim,
        new.indptr, new.indices, new.data, origin,
    )  # fmt: skip
    return Replacement(new, origin, n)
