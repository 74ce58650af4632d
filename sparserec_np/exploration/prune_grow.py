"""One exploration step: prune the smallest stored entries, grow as many inactive ones.

The policy is two score functions, what to prune and what to grow; the mechanism below serves any pair and
keeps the number of stored entries exact. It works in place: beside the table there is a flag for each entry
and each judged one, and a place for each that is grown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd import Parameter
from sparserec_np.exploration.selection import mark_largest, mark_smallest
from sparserec_np.kernels.replacing import clear_stored, place_grown, replace_entries


@dataclass(frozen=True, eq=False)
class Replacement:
    """What an exploration step did to a table.

    Parameters
    ----------
    kept : bool array (nnz,)
        For each entry that was stored before whether it still is.
    grown : int array (n_replaced,)
        Numbers of the new entries, ascending, among those that are stored now.
    """

    kept: npt.NDArray[np.bool_]
    grown: npt.NDArray[np.signedinteger[Any]]

    @property
    def n_replaced(self) -> int:
        """Entries pruned, which is also entries grown."""
        return len(self.grown)

    def carry(self, array: npt.NDArray[Any], start: float) -> None:
        """Let an array (nnz,) follow the entries, in place; those of new ones become ``start``."""
        if self.n_replaced:
            replace_entries(self.kept, self.grown, array.dtype.type(start), array)


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
    scores = judge_inactive(parameter)
    n = min(n, table.nnz, int(np.count_nonzero(scores)))
    chosen = mark_largest(scores.reshape(-1), n).reshape(scores.shape)
    slots = parameter.slots
    del scores
    parameter.clear_probes()
    kept = mark_smallest(table.data, n)
    np.logical_not(kept, out=kept)
    done = Replacement(kept, np.empty(n, dtype=table.indptr.dtype))
    columns = np.empty(n, dtype=table.indices.dtype)
    place_grown(table.indptr, table.indices, kept, slots, chosen, done.grown, columns)
    done.carry(table.data, 0)
    done.carry(table.indices, 0)
    table.indices[done.grown] = columns
    table.pattern_changed()
    return done
