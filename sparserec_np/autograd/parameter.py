"""A table on the tape, and the gradient that a batch makes room for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd.pairing import ends_of
from sparserec_np.kernels.grouping import count_rows, counted_rows, lay_out, order_by_row
from sparserec_np.kernels.workers import ONE_THREAD, Workers
from sparserec_np.runtime.bounds import first_outside
from sparserec_np.tables import SparseTable, TableGradient, unsigned

Rows = npt.NDArray[np.signedinteger[Any]]
# Of up to one row in so many it is cheaper to sort the row numbers than to look at the counts of all rows.
_FEW = 16


def touched_rows(rows: npt.NDArray[np.unsignedinteger[Any]], counts: Rows) -> npt.NDArray[np.int64]:
    """Count ``rows`` in ``counts`` (n_rows,), zeros before, and return those that occur, ascending."""
    touched = np.empty(min(len(rows), len(counts)) + 1, dtype=np.int64)
    n = count_rows(rows, counts, touched)
    if n < len(counts) // _FEW:
        touched = touched[:n]
        touched.sort()
        return touched
    touched = np.empty(len(counts) + 1, dtype=np.int64)
    counted_rows(counts, touched)
    return touched[:n]


@dataclass(eq=False)
class Parameter:
    """A table to differentiate by, and where the gradients of its probe rows are gathered.

    Parameters
    ----------
    table : SparseTable
        The embedding table.
    workers : Workers
        Threads for the kernels; one by default.
    slots : int32 array (n_rows,)
        Accumulator of each probe row, -1 for all other rows.
    accumulators : float array (n_probe_rows, dim)
        Sums of the full-width gradients of the probe rows; the backward pass adds to it.
    """

    table: SparseTable
    workers: Workers = ONE_THREAD
    slots: npt.NDArray[np.int32] = None  # type: ignore[assignment]
    accumulators: npt.NDArray[Any] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.table.check()
        if self.slots is None:
            self.clear_probes()
        elif (
            self.slots.shape != (self.table.n_rows,)
            or self.accumulators.shape[1:] != (self.table.dim,)
            or first_outside(self.slots, -1, len(self.accumulators)) is not None
        ):
            raise ValueError(
                f"slots must hold, for each of the {self.table.n_rows} rows, one of the "
                f"{len(self.accumulators)} accumulators of width {self.table.dim} or -1, found slots of "
                f"shape {self.slots.shape} and accumulators of shape {self.accumulators.shape}"
            )
        # Scratch with a number for each row. The counts are zero between calls.
        self._counts = np.zeros(self.table.n_rows, dtype=np.int32)
        self._places = np.empty(self.table.n_rows, dtype=self.table.indptr.dtype)

    def clear_probes(self) -> None:
        """Let no row be a probe row."""
        self.slots = np.full(self.table.n_rows, -1, dtype=np.int32)
        self.accumulators = np.zeros((0, self.table.dim), dtype=self.table.data.dtype)

    def new_gradient(self, rows: npt.NDArray[np.integer[Any]]) -> tuple[TableGradient, Rows]:
        """Make room for the gradient of the rows that occur among ``rows``.

        Returns
        -------
        gradient : TableGradient
            Values are 0.
        places : int array (n_rows,)
            Where each touched row's values begin; valid until the next call.
        """
        touched = touched_rows(unsigned(rows), self._counts)
        counts = np.empty(len(touched), dtype=np.int64)
        starts = np.empty(len(touched) + 1, dtype=np.int64)
        lay_out(touched, self._counts, unsigned(self.table.indptr), counts, starts, self._places)
        values = np.zeros(starts[-1], dtype=self.table.data.dtype)
        return TableGradient(touched, counts, starts, values), self._places

    def new_gradient_in_groups(self, rows: Rows) -> tuple[TableGradient, Rows, Rows]:
        """Do the same, and group the occurrences by row.

        Returns
        -------
        gradient : TableGradient
            Values are 0.
        offsets, order : int64 arrays
            ``order[offsets[t]:offsets[t + 1]]`` are the occurrences of touched row ``t``.
        """
        gradient, places = self.new_gradient(rows)
        offsets = ends_of(gradient.counts)
        order = np.empty(len(rows), dtype=np.int64)
        order_by_row(unsigned(rows), gradient.rows, offsets, places, order)
        return gradient, offsets, order

    def cuts(self, offsets: Rows) -> list[int]:
        """Where to cut the touched rows so that every thread gets about as many occurrences."""
        n, total = len(offsets) - 1, int(offsets[-1])
        parts = max(1, min(self.workers.n_jobs, total // 256))
        inner = np.searchsorted(offsets, [total * p // parts for p in range(1, parts)])
        return [0, *(int(c) for c in inner), n]

    def row_cuts(self, gradient: TableGradient) -> list[int]:
        """Where to cut the row numbers so that every thread gets about as many occurrences."""
        cuts = self.cuts(ends_of(gradient.counts))
        return [
            0,
            *(int(gradient.rows[c]) if c < len(gradient.rows) else self.table.n_rows for c in cuts[1:-1]),
            self.table.n_rows,
        ]
