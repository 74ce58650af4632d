"""The constants of the parts of a score, on validation splits: NDCG@20 of grids around them.

    python benchmarks/part_settings.py linear [DATA ...]
    python benchmarks/part_settings.py neighbours [DATA ...]
    python benchmarks/part_settings.py both [DATA ...]

``linear`` varies the penalty, the power by which weights of popular items are kept and that by which popular
items are scored lower; ``neighbours`` the three exponents; ``both`` what a table and item-item weights share:
the entries, how much the table counts, and whether the weights are fitted to what it leaves. No test part is
looked at.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from common import markdown
from datasets import NAMES, SPLIT, train_and_test, validation_split
from scipy import sparse

from sparserec_np import SparseBlend
from sparserec_np.data import Interactions
from sparserec_np.exploration import n_stored
from sparserec_np.kernels.workers import Workers
from sparserec_np.models.selection import Base, Comparison, empty_base
from sparserec_np.parts.beside import TableBeside
from sparserec_np.parts.histories import rank_histories
from sparserec_np.parts.linear import fit_item_weights, score_popular_lower
from sparserec_np.parts.tables import largest_entries, side_by_side
from sparserec_np.runtime.neighbours import NeighbourSettings
from sparserec_np.runtime.parts import Block
from sparserec_np.scorers import PropagationScorer
from sparserec_np.tables import SparseTable

PENALTIES = (3.0, 10.0, 30.0, 100.0)
KEEP_POWERS = (0.0, 0.15, 0.3, 0.45)
TARGET_POWERS = (0.0, 0.1, 0.15, 0.2, 0.3)
EXPONENTS = [
    NeighbourSettings(a, c, b)
    for a, c in ((1.0, 1.0), (0.8, 0.8), (0.6, 0.6), (0.4, 0.4), (0.25, 0.5), (0.5, 0.25))
    for b in (0.0, 0.1, 0.25, 0.3, 0.4)
]
SHARES = (0.5, 0.75, 0.9)
EXCESSES = (1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Place:
    """A data set's validation split, and what candidates are measured by on it."""

    name: str
    whole: Interactions
    train: Interactions
    comparison: Comparison
    workers: Workers

    @property
    def n_entries(self) -> int:
        """The budget of a default fit."""
        return n_stored(0.1, self.train.n_users, self.train.n_items, 64)

    def occurrences(self) -> sparse.csr_array:
        """Return the interactions as ones."""
        found = self.train.user_items
        ones = np.ones(found.nnz, np.float32)
        return sparse.csr_array((ones, found.indices, found.indptr), shape=found.shape)


def of_linear(place: Place) -> dict[str, float]:
    """Vary what item-item weights are fitted, kept and scored by."""
    ones = place.occurrences()
    labels, bases = [], []
    for penalty, keep in itertools.product(PENALTIES, KEEP_POWERS):
        weights = fit_item_weights(
            place.train.user_items,
            place.n_entries,
            regularization=penalty,
            keep_power=keep,
            workers=place.workers,
        )
        for power in TARGET_POWERS:
            lowered = score_popular_lower(weights, place.train.user_items, power)
            bases.append(Base("linear", lowered, ones.__getitem__, (Block("items", ones.shape[1]),)))
            labels.append(f"penalty {penalty:g}, kept by {keep:g}, scored by {power:g}")
    return dict(zip(labels, (one.ndcg for one in place.comparison.measure(bases, ())), strict=True))


def of_neighbours(place: Place) -> dict[str, float]:
    """Vary the exponents."""
    found = place.comparison.measure([empty_base(place.train.n_items)], EXPONENTS)
    labels = [f"{one.item_power:g}, {one.user_power:g}, {one.score_power:g}" for one in EXPONENTS]
    return dict(zip(labels, (one.ndcg for one in found), strict=True))


def of_both(place: Place) -> dict[str, float]:
    """Vary what a trained table and item-item weights share."""
    model = SparseBlend(parts="table", refit=False, random_state=0).fit(place.whole)
    powers = {name: float(model.settings_[name]) for name in ("item_power", "length_power")}
    scorer = PropagationScorer(place.train.user_items, *powers.values())
    ones = place.occurrences()
    blocks = (Block("sum", model.items_.dim, powers), Block("items", ones.shape[1]))
    histories, order = rank_histories(place.train.user_items, 0.5)

    def joined(table: SparseTable, weights: SparseTable, factor: float) -> Base:
        scaled = SparseTable(weights.indptr, weights.indices, weights.data * np.float32(factor), weights.dim)

        def represent(rows: np.ndarray) -> sparse.csr_array:
            users = scorer.represent(None, table, rows), ones[rows]
            return sparse.csr_array(sparse.hstack(users, format="csr"))

        return Base("table+linear", side_by_side([table, scaled]), represent, blocks)

    def alone(rows: np.ndarray) -> sparse.csr_array:
        return scorer.represent(None, model.items_, rows)

    labels, bases = ["table alone"], [Base("table", model.items_, alone, blocks[:1])]
    for share, penalty in itertools.product(SHARES, (10.0, 30.0, 100.0)):
        table = largest_entries(model.items_, round(share * place.n_entries))
        beside = TableBeside(table, scorer.of_item, scorer.of_user)
        scale = beside.in_order(order).scale(histories)
        for fitted_to_rest in (False, True):
            weights = fit_item_weights(
                place.train.user_items,
                place.n_entries - table.nnz,
                regularization=penalty,
                beside=beside.scaled(scale) if fitted_to_rest else None,
                workers=place.workers,
            )
            for excess in EXCESSES:
                bases.append(joined(table, weights, 1 / (excess * scale)))
                to_what = "to the rest" if fitted_to_rest else "apart"
                labels.append(f"share {share:g}, penalty {penalty:g}, {to_what}, table times {excess:g}")
    return dict(zip(labels, (one.ndcg for one in place.comparison.measure(bases, ())), strict=True))


GRIDS: dict[str, Callable[[Place], dict[str, float]]] = {
    "linear": of_linear,
    "neighbours": of_neighbours,
    "both": of_both,
}


def main() -> None:
    """Measure a grid on each data set, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("grid", choices=tuple(GRIDS))
    parser.add_argument("data", nargs="*", default=[*NAMES, *SPLIT])
    args = parser.parse_args()
    columns = []
    for data in args.data:
        whole, _ = train_and_test(data)
        train, held_out = validation_split(whole)
        with Workers() as workers:
            comparison = Comparison(train, held_out, np.random.default_rng(0), workers)
            columns.append(GRIDS[args.grid](Place(data, whole, train, comparison, workers)))
        best = max(columns[-1], key=lambda label: columns[-1][label])
        print(f"{data}: best {columns[-1][best]:.4f} with {best}", flush=True)
    rows = [(label, *(f"{column[label]:.4f}" for column in columns)) for label in columns[0]]
    print(markdown((args.grid, *args.data), rows))


if __name__ == "__main__":
    main()
