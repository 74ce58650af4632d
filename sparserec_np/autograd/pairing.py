"""The order in which the kernels take the pairs of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.kernels.grouping import cut_blocks, order_pairs
from sparserec_np.kernels.workers import Workers
from sparserec_np.tables import SparseTable, unsigned

Rows = npt.NDArray[np.integer[Any]]

# A block's dense rows, and what is looked up for its pairs, are meant to stay in a core's nearest caches.
_BLOCK_NUMBERS = 8192
_BLOCK_PAIRS = 4096


@dataclass(frozen=True, eq=False)
class Pairing:
    """The pairs of a batch: each owner has some, and each is with a row of a table.

    Parameters
    ----------
    blocks : int64 array (n_blocks + 1,)
        Block ``b`` has the owners ``blocks[b]`` to ``blocks[b + 1]``: the share of work that is not divided.
        It does not depend on the number of threads.
    starts : int64 array (n_owners + 1,)
        Owner ``t`` has as many pairs as there are from ``starts[t]`` to ``starts[t + 1]``; those of a block
        stand there in ``pairs``, mixed.
    pairs : uint32 array (n_pairs,)
        Numbers of the pairs, within a block by the length of their rows.
    owners : uint32 array (n_pairs,)
        The owner of each of ``pairs``.
    """

    blocks: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.uint32]
    owners: npt.NDArray[np.uint32]

    @classmethod
    def of(
        cls, offsets: Rows, order: Rows, pair_starts: Rows, rows: Rows, table: SparseTable, workers: Workers
    ) -> Pairing:
        """Find the order for owners with the examples ``order[offsets[t]:offsets[t + 1]]``.

        Example ``e`` has the pairs ``pair_starts[e]`` to ``pair_starts[e + 1]``, which are with the table's
        ``rows``, one for each pair.
        """
        starts = ends_of(np.diff(pair_starts)[order])[offsets]
        blocks = np.empty(len(starts), dtype=np.int64)
        blocks = blocks[: cut_blocks(starts, max(1, _BLOCK_NUMBERS // table.dim), _BLOCK_PAIRS, blocks)]
        pairs = np.empty(len(rows), dtype=np.uint32)
        owners = np.empty(len(rows), dtype=np.uint32)
        pairing = cls(blocks, starts, pairs, owners)
        workers.run(
            order_pairs, pairing.n_blocks, blocks, starts, offsets, order, pair_starts, unsigned(rows),
            table.arrays[0], pairs, owners, min_share=2,
        )  # fmt: skip
        return pairing

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return len(self.blocks) - 1

    @property
    def most_owners(self) -> int:
        """Owners of the largest block."""
        return int(np.diff(self.blocks).max(initial=0))

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """``(blocks, starts, pairs, owners)``, as the kernels take them."""
        return self.blocks, self.starts, self.pairs, self.owners


def ends_of(counts: Rows) -> npt.NDArray[np.int64]:
    """Return where groups of these sizes begin, and where the last one ends."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
