"""The teacher `TableTeacher`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd import Parameter
from sparserec_np.kernels.workers import Workers
from sparserec_np.scorers import Scorer
from sparserec_np.tables import SparseTable
from sparserec_np.teachers.teacher import Rows


class TableTeacher:
    """A pair of trained tables, dense ones among them, under the scorer that they were trained with.

    Parameters
    ----------
    scorer : Scorer
    users, items : SparseTable
        ``users`` is None where the scorer makes users of items alone.
    workers : Workers
    """

    def __init__(
        self, scorer: Scorer, users: SparseTable | None, items: SparseTable, workers: Workers
    ) -> None:
        self._scorer = scorer
        self._users = Parameter(users, workers) if users is not None else None
        self._items = Parameter(items, workers)
        #: A stored row has learnt from the positive, which cannot be taken out of it again.
        self.leaves_out = users is None

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score as in training."""
        scores: Any = self._scorer
        found: npt.NDArray[np.float32] = scores(self._users, self._items, user_rows, item_rows)
        return found
