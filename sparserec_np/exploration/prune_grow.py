"""One exploration step: prune the smallest stored entries, grow as many inactive ones.

The policy is two score functions, what to prune and what to grow; the mechanism below serves any pair and
keeps the number of stored entries exact. It works in place: beside the table there are two flags for each
entry and one for each judged one, and a column for each that is grown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd import Parameter
from sparserec_np.exploration.selection import mark_largest, mark_smallest
from sparserec_np.kernels.replacing import clear_stored, close_gaps, make_room, place_grown
from sparserec_np.kernels.selecting import count_positive


@dataclass(frozen=True, eq=False)
class Replacement:
    """What an exploration step did to a table.

    Parameters
    ----------
    kept : bool array (nnz,)
        For each entry that was stored before whether it still is.
    grown : bool array (nnz,)
        For each entry that is stored now whether it is new.
    n_replaced : int
        Entries pruned, which is also entries grown.
    """

    kept: npt.NDArray[np.bool_]
    grown: npt.NDArray[np.bool_]
    n_replaced: int

    def carry(self, array: npt.NDArray[Any], start: Any) -> None:
        """Let an array (nnz,) follow the entries, in place; ``start``, one or all, is for the new ones."""
        if self.n_replaced:
            close_gaps(self.kept, array)
            make_room(self.grown.view(np.uint8), np.atleast_1d(np.asarray(start, dtype=array.dtype)), array)


def judge_inactive(parameter: Parameter) -> npt.NDArray[Any]:
    """Leave in the accumulators what the loss asks for inactive entries alone.

    Returns
    -------
    float array (n_probe_rows, dim)
        The accumulators, whose magnitudes are the scores: now 0 where an entry is stored already.
    """
    indptr, columns, _ = parameter.table.arrays
    clear_stored(parameter.slots, indptr, columns, parameter.accumulators)
    return parameter.accumulators


def replace(parameter: Parameter, n: int) -> Replacement:
    """Prune the ``n`` entries of smallest magnitude and grow the ``n`` of largest accumulated gradient.

    Parameters
    ----------
    parameter : Parameter
        Its table is changed in place: kept entries keep their values, grown ones start at 0. It has no
        probe rows any more, their accumulators are used up.
    n : int
        How many entries to replace. Fewer are where fewer inactive entries have a gradient: an entry that
        no example asked for is no better than the one it would push out.

    Returns
    -------
    Replacement
    """
    table = parameter.table
    scores = judge_inactive(parameter).reshape(-1)
    n = min(n, table.nnz, int(count_positive(scores.view(f"u{scores.itemsize}"))))
    chosen = mark_largest(scores, n).reshape(-1, table.dim)
    slots = parameter.slots
    del scores
    parameter.clear_probes()
    kept = mark_smallest(table.data, n)
    np.logical_not(kept, out=kept)
    done = Replacement(kept, np.empty(table.nnz, dtype=bool), n)
    columns = np.empty(n, dtype=table.indices.dtype)
    place_grown(table.indptr, table.indices, kept, slots, chosen.view(np.uint8), done.grown, columns)
    done.carry(table.data, 0)
    done.carry(table.indices, columns)
    table.pattern_changed()
    return done
