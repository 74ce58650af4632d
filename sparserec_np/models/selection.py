"""Which parts a score is a sum of: candidates on held-out interactions, and the rule that chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np import metrics
from sparserec_np.data import Interactions
from sparserec_np.kernels.candidates import measure_sums, score_rows
from sparserec_np.kernels.workers import Workers
from sparserec_np.ranking import Added, spread
from sparserec_np.runtime import SeenItems
from sparserec_np.runtime.neighbour_kernel import score_histories
from sparserec_np.runtime.neighbours import NeighbourFilter, NeighbourSettings
from sparserec_np.runtime.parts import Block
from sparserec_np.tables import SparseTable

#: Length of the lists that candidates are compared by.
K = 20
#: Exponents of neighbours that are tried. The first ones are the plain ones of a random walk; the others
#: count popular items and long histories for more, which helps where histories are short.
EXPONENTS = (
    NeighbourSettings(1.0, 1.0, 0.25),
    NeighbourSettings(0.6, 0.6, 0.3),
    NeighbourSettings(0.4, 0.4, 0.0),
)
#: Weights of neighbours beside a table, in units of the standard deviation of its scores.
WEIGHTS = (0.3, 1.0, 3.0)

#: By how much a sum must be better than the best one of a trained table with plain neighbours or none.
MARGIN = 0.015
#: By how much other exponents of neighbours must be better than the plain ones in the same sum.
EXPONENT_MARGIN = 0.025
#: Parts that are trained by gradients or by a factorization of all data.
TRAINED = ("table", "ials")

# Users that candidates are measured on, at most.
_MOST_USERS = 3000
# Users that scores are standardised by.
_SPREAD_USERS = 256
# Scores that are held at once, of all candidates together.
_BLOCK_SCORES = 1 << 24

Represent = Callable[[npt.NDArray[np.int64]], sparse.csr_array]


@dataclass(frozen=True)
class Base:
    """A table, or several side by side, that may be part of a model.

    Attributes
    ----------
    name : str
        The parts that it is made of, joined by ``+``; empty for no table.
    items : SparseTable
        Item table.
    represent : callable
        ``represent(rows)`` makes the users' rows, CSR (n, dim).
    blocks : tuple of Block
        How the columns of the table are described in a model file.
    settings : mapping of str to float
        What tells it from others of its name.
    """

    name: str
    items: SparseTable
    represent: Represent
    blocks: tuple[Block, ...]
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """A sum of parts and how it did.

    Attributes
    ----------
    base : Base
    neighbours : NeighbourSettings or None
        The exponents; the weight is 1.
    relative_weight : float
        The weight in units of the standard deviation of the table's scores; 0 without neighbours.
    ndcg : float
        Mean NDCG@20 over the users measured.
    values : float64 array (n_users,)
        The NDCG@20 of each.
    """

    base: Base
    neighbours: NeighbourSettings | None
    relative_weight: float
    ndcg: float
    values: npt.NDArray[np.float64]

    @property
    def name(self) -> str:
        """The parts joined by ``+``."""
        return "+".join(filter(None, [self.base.name, "neighbours" if self.neighbours is not None else ""]))

    def as_record(self) -> dict[str, Any]:
        """Return what `fit` reports."""
        record: dict[str, Any] = {"parts": self.name, **self.base.settings}
        if self.neighbours is not None:
            exponents = self.neighbours.as_dict()
            del exponents["weight"]
            record |= exponents | {"relative_weight": self.relative_weight}
        return record | {f"ndcg@{K}": self.ndcg}


def empty_base(n_items: int) -> Base:
    """Return the table of a model that is neighbours alone: one column without entries."""
    items = SparseTable.from_positions(np.empty(0, np.int64), (n_items, 1))
    return Base(
        "", items, lambda rows: sparse.csr_array((len(rows), 1), dtype=np.float32), (Block("sum", 1),)
    )


def neighbour_scores(user_items: sparse.csr_array, settings: NeighbourSettings) -> Added:
    """Return what scores users by the neighbours of their interactions, as a ranking adds it."""
    seen = SeenItems(user_items.indptr, user_items.indices)
    neighbours = NeighbourFilter(seen, user_items.shape[1], settings)

    def added(rows: npt.NDArray[np.int64], workers: Workers) -> npt.NDArray[np.float32]:
        histories = user_items[rows]
        arrays = histories.indptr.astype(np.int64), histories.indices.astype(np.int32)
        return score_histories(neighbours, *arrays, workers)

    return added


class Scores:
    """Scores of users by their interactions.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        The interactions.
    users : int64 array
        Users whose scores standardise a part, if there are more than enough a sample of them.
    rng : numpy.random.Generator
        Draws the sample.
    workers : Workers
    """

    def __init__(
        self,
        user_items: sparse.csr_array,
        users: npt.NDArray[np.int64],
        rng: np.random.Generator,
        workers: Workers,
    ) -> None:
        self.user_items, self.workers = user_items, workers
        self._sample = np.sort(rng.permutation(users)[:_SPREAD_USERS])
        self._seen = SeenItems(user_items.indptr, user_items.indices)

    def filter(self, settings: NeighbourSettings) -> NeighbourFilter:
        """Return the neighbours by these interactions."""
        return NeighbourFilter(self._seen, self.user_items.shape[1], settings)

    def spread_of(self, source: Base | NeighbourFilter) -> float:
        """Mean over the sample of the standard deviation of a user's scores; 1 where all are equal."""
        step = self.step(1)
        total = 0.0
        for start in range(0, len(self._sample), step):
            scores = self.of(source, self._sample[start : start + step])
            total += float(scores.std(axis=1, dtype=np.float64).sum())
        return total / max(len(self._sample), 1) or 1.0

    def weight_of(self, base: Base, neighbours: NeighbourSettings, relative_weight: float) -> float:
        """Return the weight that neighbours have in a sum with a table; 1 without a table."""
        if not base.name:
            return 1.0
        return relative_weight * self.spread_of(base) / self.spread_of(self.filter(neighbours))

    def step(self, n_sources: int) -> int:
        """Users to score at a time by so many sources."""
        return max(16, min(256, _BLOCK_SCORES // max(self.user_items.shape[1] * n_sources, 1)))

    def of(self, source: Base | NeighbourFilter, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Score all items for some users, (len(rows), n_items)."""
        if isinstance(source, NeighbourFilter):
            histories = self.user_items[rows]
            arrays = histories.indptr.astype(np.int64), histories.indices.astype(np.int32)
            return score_histories(source, *arrays, self.workers)
        people = spread(source.represent(rows), np.arange(len(rows)), self.workers)
        out = np.empty((len(rows), source.items.n_rows), np.float32)
        self.workers.run(score_rows, len(rows), people, *source.items.arrays, out, min_share=4)
        return out


class Comparison(Scores):
    """Candidates measured on the same held-out interactions.

    Parameters
    ----------
    train, held_out : Interactions
        What the tables were made from, and what they are measured by.
    rng : numpy.random.Generator
        Draws the users where there are more than are measured.
    workers : Workers
    """

    def __init__(
        self, train: Interactions, held_out: Interactions, rng: np.random.Generator, workers: Workers
    ) -> None:
        users = np.flatnonzero(np.diff(held_out.user_items.indptr))
        if len(users) > _MOST_USERS:
            users = rng.choice(users, _MOST_USERS, replace=False)
            users.sort()
        super().__init__(train.user_items, users, rng, workers)
        self.users = users
        self._held_out = held_out.user_items

    def measure(
        self,
        bases: Sequence[Base],
        exponents: Sequence[NeighbourSettings] = EXPONENTS,
        weights: Sequence[float] = WEIGHTS,
    ) -> list[Candidate]:
        """Measure each table alone and with neighbours, and the neighbours alone if a base is empty."""
        filters = [self.filter(settings) for settings in exponents]
        filter_spreads = [self.spread_of(one) for one in filters]
        plans: list[tuple[int, int, float, float]] = []
        for number, base in enumerate(bases):
            base_spread = self.spread_of(base) if base.name else 1.0
            if base.name:
                plans.append((number, -1, 0.0, 0.0))
            for place, own in enumerate(filter_spreads):
                for weight in weights if base.name else (1.0,):
                    factor = weight * base_spread / own if base.name else 1.0
                    plans.append((number, place, weight, factor))
        values = np.empty((len(plans), len(self.users)), np.float64)
        step = self.step(len(bases) + len(filters))
        for start in range(0, len(self.users), step):
            rows = self.users[start : start + step]
            tables = [self.of(base, rows) for base in bases]
            added = [self.of(one, rows) for one in filters]
            for number, (base_at, filter_at, _, factor) in enumerate(plans):
                extra = added[filter_at] if filter_at >= 0 else tables[base_at]
                self._measure(tables[base_at], extra, factor, rows, values[number, start : start + step])
        return [
            Candidate(
                bases[base_at],
                None if filter_at < 0 else exponents[filter_at],
                weight,
                float(values[number].mean()),
                values[number],
            )
            for number, (base_at, filter_at, weight, _) in enumerate(plans)
        ]

    def best(self, bases: Sequence[Base]) -> tuple[Base, list[Candidate]]:
        """Return the best of some tables by themselves, and how the others did, the best of them last."""
        measured = sorted(self.measure(bases, ()), key=_by_ndcg)
        return measured.pop().base, measured

    def validation(self, candidate: Candidate) -> dict[str, float]:
        """Measure a candidate on all held-out interactions, by all metrics."""
        added = None
        if candidate.neighbours is not None:
            neighbours = candidate.neighbours
            weight = self.weight_of(candidate.base, neighbours, candidate.relative_weight)
            added = neighbour_scores(self.user_items, replace(neighbours, weight=weight))
        return metrics.evaluate(
            candidate.base.represent,
            candidate.base.items,
            self.user_items,
            self._held_out,
            K,
            added=added,
            n_jobs=self.workers.n_jobs,
        )

    def _measure(
        self,
        table: npt.NDArray[np.float32],
        added: npt.NDArray[np.float32],
        factor: float,
        rows: npt.NDArray[np.int64],
        out: npt.NDArray[np.float64],
    ) -> None:
        seen, held = self.user_items[rows], self._held_out[rows]
        arrays = [
            array
            for matrix in (seen, held)
            for array in (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32))
        ]
        discounts = 1 / np.log2(np.arange(2, K + 2))
        self.workers.run(
            measure_sums, len(rows), table, added, np.float32(factor), *arrays, discounts, out, min_share=4
        )


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """Choose among candidates.

    A random hold-out flatters methods that go by co-occurrence alone. The test parts of Gowalla and Yelp2018
    are no random samples, and what such methods gained on a hold-out over a sum with a trained table was lost
    there (see docs/parts.md). So the best of the sums of a trained table, and neighbours by plain exponents
    if any, is taken, unless another one is better by more than `MARGIN`, and by more than the standard error
    of the difference between the two. Of that one's parts those by plain exponents are taken, unless they
    are worse by more than `EXPONENT_MARGIN`.

    Parameters
    ----------
    candidates : sequence of Candidate
        At least one.
    """
    best = max(candidates, key=_by_ndcg)
    trusted = [one for one in candidates if one.base.name in TRAINED and _is_plain(one)]
    if trusted:
        most_trusted = max(trusted, key=_by_ndcg)
        if not _is_clearly_better(best, most_trusted, MARGIN):
            return most_trusted
    alike = [one for one in candidates if one.name == best.name and _is_plain(one)]
    if alike:
        plain = max(alike, key=_by_ndcg)
        if not _is_clearly_better(best, plain, EXPONENT_MARGIN):
            return plain
    return best


def _is_plain(candidate: Candidate) -> bool:
    return candidate.neighbours in (None, EXPONENTS[0])


def _is_clearly_better(one: Candidate, other: Candidate, margin: float) -> bool:
    differences = one.values - other.values
    error = differences.std() / np.sqrt(len(differences))
    return bool(one.ndcg - other.ndcg > max(margin * other.ndcg, error))


def _by_ndcg(candidate: Candidate) -> float:
    return candidate.ndcg
