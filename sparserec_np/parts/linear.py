"""Item–item weights: each item regressed on the items that occur together with it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.exploration.selection import largest
from sparserec_np.kernels.cooccurrence import count_pairs, fill_pairs, find_supports, regress_on_supports
from sparserec_np.kernels.workers import Workers
from sparserec_np.parts.beside import TableBeside
from sparserec_np.parts.histories import rank_histories
from sparserec_np.tables import SparseTable, column_dtype, index_dtype

#: Pairs of items whose co-occurrence is kept, at 8 bytes each. Those of less popular items are counted anew
#: wherever they are needed, which takes longer and gives the same bits.
PAIR_LIMIT = 1 << 25
#: Candidate weights that are held at a time, at 16 bytes each.
BLOCK_SIZE = 1 << 23


class _Weights(NamedTuple):
    """Some weights in the order of their columns: item ``columns[e]`` is scored by item ``items[e]``.

    The targets are the right side of the regressions: co-occurrences, or what a table leaves of them.
    """

    columns: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    targets: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]

    def take(self, entries: npt.NDArray[Any]) -> _Weights:
        """Return some of them, in the order given."""
        return _Weights(*(array[entries] for array in self))

    def __add__(self, other: Any) -> _Weights:
        """Append others."""
        return _Weights(*(np.concatenate(both) for both in zip(self, other, strict=True)))


def fit_item_weights(
    user_items: sparse.csr_array,
    n_entries: int | None,
    *,
    regularization: float = 30.0,
    support: int = 100,
    user_power: float = 0.5,
    support_power: float = 0.35,
    keep_power: float = 0.3,
    target_power: float = 0.0,
    beside: TableBeside | None = None,
    workers: Workers,
) -> SparseTable:
    r"""Fit a sparse linear model of items by items: the score of item j is the sum of its history's weights.

    It is a sparse relative of EASE [1]_ and of SLIM [2]_, of the latter without its non-negativity. With the
    co-occurrences :math:`G = R^T D_u^{-p} R`, users weighted by their length, item j is regressed on the
    ``support`` items of largest :math:`G_{ij} d_i^{-q}`:

    .. math:: (G_{SS} + \lambda' \operatorname{diag}(G_{SS})^{1/2}) \, w_j = G_{Sj}, \quad
       \lambda' = \lambda \sqrt{\operatorname{mean}(\operatorname{diag} G) / \operatorname{mean}(d)}

    Of all weights those of largest :math:`|w_{ij}| d_i^k` are kept, and the regressions are solved once more
    on what is left of their supports. Memory is in proportion to the interactions and the result, beside
    `PAIR_LIMIT` and `BLOCK_SIZE`; nothing of the size items × items is held.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions, without duplicates; only the pattern is looked at.
    n_entries : int or None
        Weights to keep; None for those of the whole supports.
    regularization : float
        The penalty λ, positive.
    support : int
        Most items that an item is regressed on.
    user_power : float
        The power `p`: how much less a user counts who has many items.
    support_power : float
        The power `q`: how much less likely a popular item gets into a support.
    keep_power : float
        The power `k`: how much more likely the weight of a popular item is kept.
    target_power : float
        How much lower popular items are scored; see `score_popular_lower`.
    beside : TableBeside, optional
        A table whose scores are added to those of the weights. These are then fitted to what it leaves: the
        sums of its scores are taken from the right side :math:`G_{Sj}`.
    workers : Workers
        The bits do not depend on their number.

    Returns
    -------
    SparseTable
        Float32, ``n_items`` rows and as many columns: entry ``(j, i)`` is what item ``i`` of a history adds
        to the score of item ``j``. It stores exactly ``n_entries`` weights, fewer only where the supports
        have fewer. Of equal ones those of the more popular items are kept.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    .. [2] X. Ning, G. Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011.
    """
    regressions = _Regressions(user_items, regularization, user_power, beside, workers)
    degrees = np.maximum(np.diff(regressions.histories.item_indptr), 1).astype(np.float64)
    keep_factor = (degrees**keep_power).astype(np.float32)
    n_items = len(degrees)
    kept, n_found = _no_weights(), 0
    step = max(1, BLOCK_SIZE // max(support, 1))
    for start in range(0, n_items, step):
        found = regressions.on_supports(start, min(start + step, n_items), support, degrees**-support_power)
        n_found += len(found.items)
        kept = kept + found if len(kept.items) else found
        del found
        if n_entries is not None and len(kept.items) > n_entries:
            kept = kept.take(largest(np.abs(kept.values) * keep_factor[kept.items], n_entries))
    if len(kept.items) < n_found:
        kept = kept._replace(values=regressions.solve(kept))
    return score_popular_lower(_table(kept, regressions.order), user_items, target_power)


def score_popular_lower(weights: SparseTable, user_items: sparse.csr_array, power: float) -> SparseTable:
    """Divide the weights that score an item by a power of its number of interactions.

    Parameters
    ----------
    weights : SparseTable
        As `fit_item_weights` returns it; not modified.
    user_items : csr_array (n_users, n_items)
        The interactions.
    power : float
        0 gives the same table.

    Returns
    -------
    SparseTable
        With the same entries.
    """
    if power == 0:
        return weights
    degrees = np.maximum(np.bincount(user_items.indices, minlength=weights.n_rows), 1.0)
    factors = np.repeat((degrees**-power).astype(np.float32), np.diff(weights.indptr))
    return SparseTable(weights.indptr, weights.indices, weights.data * factors, weights.dim)


class _Regressions:
    """What the regressions of all items share: co-occurrences and penalties.

    Parameters
    ----------
    user_items, regularization, user_power, workers
        As for `fit_item_weights`.
    """

    def __init__(
        self,
        user_items: sparse.csr_array,
        regularization: float,
        user_power: float,
        beside: TableBeside | None,
        workers: Workers,
    ) -> None:
        self.histories, self.order = rank_histories(user_items, user_power)
        self._workers = workers
        self._beside = beside.in_order(self.order) if beside is not None else None
        indptr, users = self.histories.item_indptr, self.histories.item_users
        by_user = np.repeat(self.histories.user_weights, np.diff(self.histories.user_indptr))
        self._diagonal = np.bincount(self.histories.user_items, by_user, minlength=len(self.order))
        scale = np.sqrt(self._diagonal.sum() / max(len(users), 1))
        self._penalty = regularization * float(scale)
        # Time to sum the row of an item up: the histories of its users.
        lengths = np.diff(self.histories.user_indptr)[users]
        self._work = np.diff(np.concatenate([[0], np.cumsum(lengths)])[indptr])
        self._pairs = self._count_pairs()

    def _count_pairs(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """Count the co-occurrences of as many pairs of the most popular items as may be kept."""
        counts = np.empty(len(self.order), dtype=np.int64)
        self._workers.run_by_work(count_pairs, self._work, *self.histories[:4], counts)
        ends = np.cumsum(counts)
        n_rows = int(np.searchsorted(ends, PAIR_LIMIT, side="right"))
        indptr = np.concatenate([[0], ends[:n_rows]])
        pairs = indptr, np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1], dtype=np.float32)
        self._workers.run_by_work(fill_pairs, self._work[:n_rows], *self.histories, *pairs)
        return pairs

    def on_supports(
        self, start: int, stop: int, support: int, item_weights: npt.NDArray[np.float64]
    ) -> _Weights:
        """Find the supports of the items ``start`` to ``stop`` and regress them on these."""
        shape = stop - start, support
        items, cooccurrences = np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.float32)
        lengths = np.empty(shape[0], dtype=np.int64)
        self._workers.run_by_work(
            find_supports, self._work[start:stop], start, *self.histories, item_weights,
            items, cooccurrences, lengths,
        )  # fmt: skip
        used = np.arange(support) < lengths[:, None]
        columns = np.repeat(np.arange(start, stop, dtype=np.int32), lengths)
        found = _Weights(columns, items[used], cooccurrences[used], np.empty(0, dtype=np.float32))
        if self._beside is not None:
            indptr = np.concatenate([[0], np.cumsum(lengths)])
            scores = self._beside.scores_of(self.histories, start, indptr, found.items, self._workers)
            found = found._replace(targets=(found.targets - scores).astype(np.float32))
        del items, cooccurrences
        return found._replace(values=self.solve(found))

    def solve(self, weights: _Weights) -> npt.NDArray[np.float32]:
        """Regress each column on the items that it has weights of; float32, one for each."""
        out = np.empty(len(weights.items), dtype=np.float32)
        if not len(out):
            return out
        columns = np.arange(weights.columns[0], weights.columns[-1] + 2)
        indptr = np.searchsorted(weights.columns, columns)
        lengths = np.diff(indptr)
        # A system costs its square to make and its cube to solve; about as much where it is 100 wide.
        self._workers.run_by_work(
            regress_on_supports, lengths**2 * (lengths + 100), indptr, weights.items, weights.targets,
            *self.histories, *self._pairs, self._diagonal, self._penalty, out,
        )  # fmt: skip
        return out


def _no_weights() -> _Weights:
    integers, floats = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
    return _Weights(integers, integers, floats, floats)


def _table(weights: _Weights, order: npt.NDArray[np.int64]) -> SparseTable:
    """Make a table of weights of items that are numbered by popularity."""
    n_items = len(order)
    rows, columns = order[weights.columns], order[weights.items]
    places = np.lexsort((columns, rows))
    index: Any = index_dtype(n_items, n_items, len(rows))
    indptr = np.zeros(n_items + 1, dtype=index)
    np.cumsum(np.bincount(rows, minlength=n_items), out=indptr[1:])
    return SparseTable(indptr, columns[places].astype(column_dtype(n_items)), weights.values[places], n_items)
