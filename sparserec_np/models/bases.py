"""The tables that a sum of parts may have, made from interactions within one budget of entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.data import Interactions
from sparserec_np.kernels.workers import Workers
from sparserec_np.models.selection import Base, Represent
from sparserec_np.parts.beside import TableBeside
from sparserec_np.parts.histories import rank_histories
from sparserec_np.parts.ials import fit_ials, user_vectors
from sparserec_np.parts.linear import fit_item_weights, score_popular_lower
from sparserec_np.parts.tables import largest_entries, side_by_side
from sparserec_np.runtime.parts import ITEMS, Block
from sparserec_np.scorers import PropagationScorer
from sparserec_np.tables import SparseTable

TABLE, IALS, LINEAR = "table", "ials", "linear"
#: What a sum with a table and item-item weights has for its table.
BOTH = f"{TABLE}+{LINEAR}"

#: Share of the entries that the table gets beside item-item weights.
TABLE_SHARE = 0.75
#: How much more the table counts beside item-item weights than least squares say. The weights are fitted to
#: what the table leaves, and a random hold-out flatters them; see docs/parts.md.
TABLE_EXCESS = 2.0
#: Ridge penalties of item-item weights that are tried, and powers by which popular items are scored lower.
REGULARIZATIONS = (10.0, 30.0, 100.0)
TARGET_POWERS = (0.0, 0.15)
#: Settings of the factorization of all pairs that are tried. On validation splits the first was best on
#: Steam, video games, MovieLens and Yelp2018 cut to 10 interactions a user, the second on Gowalla cut to 5,
#: the third on Gowalla cut to 10; none was within 4 % of the best dense ALS on all of them.
FACTORIZATIONS: tuple[dict[str, float], ...] = (
    {"unobserved": 0.025, "regularization": 3.0, "epochs": 16, "prune_fraction": 0.5},
    {"unobserved": 0.01, "regularization": 1.5, "epochs": 16, "prune_fraction": 0.5},
    {"unobserved": 0.025, "regularization": 0.75, "epochs": 2, "prune_fraction": 0.0},
)

# How much users count in item-item weights: their length to the power of minus this.
_USER_POWER = 0.5


class BaseMaker:
    """Makes the tables of sums from the same interactions, each with the whole budget.

    Parameters
    ----------
    data : Interactions
    n_entries : int
        The budget.
    dim : int
        Width of a factorization.
    scorer : PropagationScorer
        What the trained table scores by.
    powers : mapping of str to float
        The exponents of that scorer, as a model file holds them.
    workers : Workers
    """

    def __init__(
        self,
        data: Interactions,
        n_entries: int,
        dim: int,
        scorer: PropagationScorer,
        powers: Mapping[str, float],
        workers: Workers,
    ) -> None:
        self._data, self._n_entries, self._dim, self._workers = data, n_entries, dim, workers
        self._scorer, self._powers = scorer, dict(powers)
        self._occurrences = _occurrences(data)

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return self._data.n_items

    def table(self, table: SparseTable) -> Base:
        """Take a trained table as it is."""
        represent = partial(self._scorer.represent, None, table)
        return Base(TABLE, table, represent, (Block("sum", table.dim, self._powers),))

    def ials(self, settings: Mapping[str, Any], seed: int) -> Base:
        """Factorize all pairs with the whole budget, as far as a table of width dim holds it."""
        data, workers = self._data, self._workers
        n_entries = min(self._n_entries, data.n_items * self._dim)
        rng = np.random.default_rng(seed)
        fit = fit_ials(data.user_items, n_entries, self._dim, **settings, rng=rng, workers=workers)
        block = Block("ridge", fit.items.dim, fit.encoder_settings)

        def represent(rows: npt.NDArray[np.int64]) -> sparse.csr_array:
            return sparse.csr_array(user_vectors(fit, self._occurrences(rows), workers))

        return Base(IALS, fit.items, represent, (block,), settings)

    def linears(self, settings: Sequence[Mapping[str, float]]) -> list[Base]:
        """Find item-item weights with each of some settings; those of a penalty are fitted once."""
        user_items, blocks = self._data.user_items, (Block(ITEMS, self._data.n_items),)
        fitted: dict[float, SparseTable] = {}
        bases = []
        for one in settings:
            penalty = one["regularization"]
            if penalty not in fitted:
                fitted[penalty] = self._weights(self._n_entries, penalty, None)
            lowered = score_popular_lower(fitted[penalty], user_items, one["target_power"])
            bases.append(Base(LINEAR, lowered, self._occurrences, blocks, one))
        return bases

    def _weights(self, n_entries: int, penalty: float, beside: TableBeside | None) -> SparseTable:
        return fit_item_weights(
            self._data.user_items,
            n_entries,
            regularization=penalty,
            user_power=_USER_POWER,
            beside=beside,
            workers=self._workers,
        )

    def both(self, table: SparseTable, regularization: float) -> Base:
        """Put the largest entries of a trained table beside item-item weights for what they leave."""
        kept = self.table(largest_entries(table, round(TABLE_SHARE * self._n_entries)))
        user_items, scorer = self._data.user_items, self._scorer
        histories, order = rank_histories(user_items, _USER_POWER)
        beside = TableBeside(kept.items, scorer.of_item, scorer.of_user)
        scale = beside.in_order(order).scale(histories)
        n_entries = self._n_entries - kept.items.nnz
        weights = self._weights(n_entries, regularization, beside.scaled(scale))
        # The sum is the table's scores, times that scale and the excess, and the weights. It is divided by
        # the former here, which leaves the table as it is.
        factor = np.float32(1 / (TABLE_EXCESS * scale)) if scale > 0 else np.float32(1)
        weights = SparseTable(weights.indptr, weights.indices, weights.data * factor, weights.dim)

        def represent(rows: npt.NDArray[np.int64]) -> sparse.csr_array:
            users = kept.represent(rows), self._occurrences(rows)
            return sparse.csr_array(sparse.hstack(users, format="csr"))

        blocks = (*kept.blocks, Block(ITEMS, self._data.n_items))
        joined = side_by_side([kept.items, weights])
        return Base(BOTH, joined, represent, blocks, {"regularization": regularization})


def _occurrences(data: Interactions) -> Represent:
    """Return what makes the rows of users in the columns of items: 1 for each item, whatever its weight."""
    user_items = data.user_items
    ones = np.ones(user_items.nnz, np.float32)
    pattern = sparse.csr_array((ones, user_items.indices, user_items.indptr), shape=user_items.shape)
    return lambda rows: pattern[rows]
