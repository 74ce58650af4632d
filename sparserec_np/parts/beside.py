"""What a table already scores, for weights that are fitted to what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.kernels.cooccurrence import add_products, subtract_shared
from sparserec_np.kernels.workers import Workers
from sparserec_np.parts.histories import RankedHistories
from sparserec_np.tables import SparseTable

# Columns of the table that are summed up over users at a time.
_BLOCK_COLUMNS = 64
# Users whose scores say how large a table's scores are, and how many are scored at a time.
_SAMPLE, _BLOCK_USERS = 1024, 128


@dataclass(frozen=True)
class TableBeside:
    r"""A table whose users are sums of their items: user u scores item j by :math:`p_u \cdot v_j`.

    :math:`p_u = b_u \sum_{i \in H_u} a_i v_i`. A positive is scored without its own share, as in training.

    Attributes
    ----------
    table : SparseTable
        The rows :math:`v`.
    of_item, of_user : float array (n_items,), (n_users,)
        The weights :math:`a` and :math:`b`.
    """

    table: SparseTable
    of_item: npt.NDArray[np.floating]
    of_user: npt.NDArray[np.floating]

    def in_order(self, order: npt.NDArray[np.int64]) -> TableBeside:
        """Return the table with its items numbered anew: item ``order[k]`` becomes item ``k``."""
        rows = self.table.take(order)
        return TableBeside(rows, self.of_item[order], self.of_user)

    def scaled(self, factor: float) -> TableBeside:
        """Return the table with all scores multiplied by a factor."""
        return TableBeside(self.table, self.of_item, self.of_user * self.of_user.dtype.type(factor))

    def scale(self, histories: RankedHistories) -> float:
        """Return the factor by which the scores come nearest to 1 for positives and to 0 for the rest.

        By the squares over all items of a sample of the users, weighted as in the histories; 0 for a table
        that scores positives no higher than 0.
        """
        n_users, n_items = len(self.of_user), self.table.n_rows
        sample = np.arange(0, n_users, max(1, n_users // _SAMPLE))
        rows = self.table.to_scipy()
        squares, shares = _square_lengths(rows), _scaled(rows, self.of_item)
        histories_of = _pattern(histories, n_items)
        hits = total = 0.0
        for start in range(0, len(sample), _BLOCK_USERS):
            users = sample[start : start + _BLOCK_USERS]
            pattern = histories_of[users]
            people = pattern.multiply(self.of_user[users][:, None]).tocsr() @ shares
            scores = (people @ rows.T).toarray().astype(np.float64)
            at = pattern.tocoo()
            scores[at.row, at.col] -= self.of_user[users][at.row] * self.of_item[at.col] * squares[at.col]
            weights = histories.user_weights[users]
            hits += float(np.sum(scores[at.row, at.col] * weights[at.row]))
            total += float(np.sum(weights * np.square(scores).sum(axis=1)))
        return max(hits, 0.0) / total if total else 0.0

    def scores_of(
        self,
        histories: RankedHistories,
        first: int,
        indptr: npt.NDArray[np.int64],
        items: npt.NDArray[np.int32],
        workers: Workers,
    ) -> npt.NDArray[np.float64]:
        """Sum the scores of an item over the users who have another.

        Parameters
        ----------
        histories : RankedHistories
            By which users are weighted, and in whose order the items of this table are.
        first : int
            The item that column 0 is about.
        indptr, items : (n_columns + 1,) int64, (nnz,) int32
            The other items of each column.
        workers : Workers

        Returns
        -------
        float64 array (nnz,)
            For the item ``i`` of the column about ``j``, the sum of the weight of ``u`` times the score of
            ``j`` for ``u`` over the users ``u`` who have ``i``.
        """
        n_items = self.table.n_rows
        out = np.zeros(len(items))
        work = np.diff(indptr)
        rows = self.table.to_scipy().tocsc()
        by_user = _pattern(histories, n_items)
        by_item = by_user.T.tocsr()
        by_user = by_user.multiply((self.of_user * histories.user_weights)[:, None]).tocsr()
        for start in range(0, self.table.dim, _BLOCK_COLUMNS):
            block = sparse.csr_array(rows[:, start : start + _BLOCK_COLUMNS])
            people = by_user @ _scaled(block, self.of_item).toarray()
            sums = np.ascontiguousarray(by_item @ people, np.float32)
            workers.run_by_work(
                add_products, work, indptr, items, first, sums, block.indptr, block.indices, block.data, out
            )
        squares = _square_lengths(self.table.to_scipy())
        weights = histories.user_weights * self.of_user
        workers.run_by_work(
            subtract_shared, work, indptr, items, first, *histories[:4], weights,
            (squares * self.of_item).astype(np.float64), out,
        )  # fmt: skip
        return out


def _square_lengths(rows: sparse.csr_array) -> npt.NDArray[np.float32]:
    return np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1)


def _pattern(histories: RankedHistories, n_items: int) -> sparse.csr_array:
    ones = np.ones(len(histories.user_items), np.float32)
    shape = len(histories.user_weights), n_items
    return sparse.csr_array((ones, histories.user_items, histories.user_indptr), shape=shape)


def _scaled(rows: sparse.csr_array, factors: npt.NDArray[Any]) -> sparse.csr_array:
    """Multiply each row by a factor."""
    repeated = np.repeat(factors.astype(np.float32), np.diff(rows.indptr))
    return sparse.csr_array((rows.data * repeated, rows.indices, rows.indptr), shape=rows.shape)
