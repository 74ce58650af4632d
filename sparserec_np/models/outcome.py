"""How far a training has come, and what it came to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from sparserec_np.tables import SparseTable

Record = dict[str, Any]


@dataclass
class Outcome:
    """What training came to.

    Parameters
    ----------
    users, items : SparseTable or None
        The tables of the best epoch; of the last one where nothing was validated. ``users`` is None where
        users have no rows, and both are where no tables were to be kept.
    epoch : int
        That epoch, counted from 1; 0 where none was run.
    validation : dict
        Its validation metrics; empty where nothing was validated.
    goodness : float
        The one of them to improve, larger is better; a mean over epochs where these are compared by means.
    """

    users: SparseTable | None
    items: SparseTable | None
    epoch: int
    validation: Record
    goodness: float

    def keep(self, users: SparseTable | None, items: SparseTable) -> None:
        """Copy the tables as they are: training goes on in place."""
        self.users, self.items = users.copy() if users is not None else None, items.copy()


@dataclass
class Standing:
    """How far the epochs of a training have come.

    Parameters
    ----------
    epoch : int
        The last one that was trained; 0 before the first.
    best : Outcome
        The best one so far.
    latest : deque of float
        What the last ones reached, as many as are averaged.
    trained : tuple of float and int
        What the best one but the start reached, averaged, and its number.
    """

    epoch: int
    best: Outcome
    latest: deque[float]
    trained: tuple[float, int]
