"""What each part of a score adds: `SparseBlend` with its defaults, and each of its sums, on the test parts.

    python benchmarks/parts.py [DATA ...] [--seeds N] [--only METHOD ...]
    python benchmarks/parts.py --table

``auto`` is a fit as `fit` does it, what held-out interactions choose; its line says which sum that was, and
its seconds and its memory count: run it on a machine that does nothing else. ``sums`` fits once more, and
makes and measures every sum of parts, each with the settings that did best on the hold-out. Beside them stand
RP3beta, its settings chosen on the hold-out, and the most popular items. All is kept in results/parts.json;
``--table`` prints what is there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from common import in_fresh_process, markdown
from datasets import NAMES, SPLIT, train_and_test, validation_split
from results import Results
from scipy import sparse

from sparserec_np import SparseBlend, metrics
from sparserec_np.batch import added_by
from sparserec_np.data import Interactions
from sparserec_np.kernels.workers import Workers
from sparserec_np.models.blend import SUMS, selected, weighted
from sparserec_np.models.outcome import Outcome
from sparserec_np.models.run import Run
from sparserec_np.models.selection import Candidate, Comparison, empty_base, neighbour_scores
from sparserec_np.runtime.neighbours import NeighbourSettings
from sparserec_np.tables import SparseTable

RESULTS = Path(__file__).parent / "results" / "parts.json"
METHODS = ("auto", "sums", "rp3beta", "popularity")
# Powers of the transition probabilities, and of the popularity.
RP3BETA = tuple(NeighbourSettings(a, a, b) for a in (0.4, 0.6, 0.8, 1.0, 1.2) for b in (0.1, 0.3, 0.4, 0.6))


Measured = dict[str, Any]


def of_auto(data: str, seed: int) -> Measured:
    """Fit with the defaults, and measure."""
    train, test = train_and_test(data, seed)
    start = time.perf_counter()
    model = SparseBlend(random_state=seed).fit(train)
    seconds = time.perf_counter() - start

    def represent(rows: Any) -> sparse.csr_array:
        return sparse.csr_array(model.recommender.user_vectors(rows))

    found = measured(represent, model.items_, added_by(model.recommender.data), train, test)
    return {"chosen": model.chosen_, **found, "entries": model.nnz_, "seconds": round(seconds, 1)}


def measured(
    represent: Any, items: SparseTable, added: Any, train: Interactions, test: Interactions
) -> dict[str, float]:
    """Return NDCG@20 and Recall@20 on the test part."""
    of_test = metrics.evaluate(represent, items, train.user_items, test.user_items, added=added)
    return {"ndcg": of_test["ndcg@20"], "recall": of_test["recall@20"]}


class EverySum(SparseBlend):
    """Measures each of its sums on a test part, when the final model is made."""

    test: Interactions
    measured_: dict[str, Any]

    def uses_table(self, selection: Mapping[str, Any]) -> bool:
        """Train the table in any case."""
        return True

    def _measured(self, *arguments: Any) -> list[Candidate]:
        self._every = super()._measured(*arguments)
        return self._every

    def _assemble(self, run: Run, outcome: Outcome, data: Interactions, workers: Workers) -> None:
        maker, bases = self._maker(data, workers), {}
        self.measured_ = {}
        for name in SUMS:
            best = max((one for one in self._every if one.name == name), key=lambda one: one.ndcg)
            selection = selected(best)
            rng = np.random.default_rng(run.entropy)
            key = selection["base"], str(selection["settings"])
            if key not in bases:
                bases[key] = self._base(selection, outcome, maker, rng)
            base = bases[key]
            neighbours = weighted(selection, base, data, rng, workers)
            added = neighbours and neighbour_scores(data.user_items, neighbours)
            found = measured(base.represent, base.items, added, data, self.test)
            self.measured_[name] = {**found, "held_out": best.ndcg, "entries": base.items.nnz}
        super()._assemble(run, outcome, data, workers)


def of_sums(data: str, seed: int) -> Measured:
    """Measure each sum."""
    train, test = train_and_test(data, seed)
    start = time.perf_counter()
    model = EverySum(random_state=seed)
    model.test = test
    model.fit(train)
    return {
        "chosen": model.chosen_,
        **{name: model.measured_[model.chosen_][name] for name in ("ndcg", "recall", "entries")},
        "seconds": round(time.perf_counter() - start, 1),
        "sums": model.measured_,
    }


def of_rp3beta(data: str, seed: int) -> dict[str, Any]:
    """Choose the powers of RP3beta on the hold-out, and measure them."""
    train, test = train_and_test(data, seed)
    start = time.perf_counter()
    few, held_out = validation_split(train, seed)
    nothing = empty_base(train.n_items)
    with Workers() as workers:
        comparison = Comparison(few, held_out, np.random.default_rng(seed), workers)
        best = max(comparison.measure([nothing], RP3BETA), key=lambda one: one.ndcg).neighbours
    assert best is not None
    added = neighbour_scores(train.user_items, best)
    return {
        "chosen": f"power {best.item_power:g}, popularity {best.score_power:g}",
        **measured(nothing.represent, nothing.items, added, train, test),
        "entries": 0,
        "seconds": round(time.perf_counter() - start, 1),
    }


def of_popularity(data: str, seed: int) -> dict[str, Any]:
    """Measure the most popular items."""
    train, test = train_and_test(data, seed)
    popularity = np.bincount(train.user_items.indices, minlength=train.n_items)
    of_test = metrics.evaluate_popularity(popularity, train.user_items, test.user_items)
    return {
        "chosen": "",
        "ndcg": of_test["ndcg@20"],
        "recall": of_test["recall@20"],
        "entries": 0,
        "seconds": 0.0,
    }


MEASURES: dict[str, Callable[[str, int], Measured]] = {
    "auto": of_auto,
    "sums": of_sums,
    "rp3beta": of_rp3beta,
    "popularity": of_popularity,
}


def table(results: Results) -> str:
    """Lay out NDCG@20 on the test parts, the mean over seeds, data sets in rows."""
    names = [*SUMS, "auto", "rp3beta", "popularity"]
    values: dict[tuple[str, str], list[float]] = {}
    chosen: dict[str, set[str]] = {}
    for record in results.read("runs"):
        data, method = record["data"], record["method"]
        if method == "sums":
            for name, found in record["sums"].items():
                values.setdefault((data, name), []).append(found["ndcg"])
        else:
            values.setdefault((data, method), []).append(record["ndcg"])
        if method == "auto":
            chosen.setdefault(data, set()).add(record["chosen"])
    there = [data for data in (*NAMES, *SPLIT) if (data, "auto") in values]
    rows = []
    for name in names:
        cells = [values.get((data, name)) for data in there]
        marks = ["**" if name in chosen[data] else "" for data in there]
        texts = (
            f"{mark}{np.mean(cell):.4f}{mark}" if cell else ""
            for cell, mark in zip(cells, marks, strict=True)
        )
        rows.append((name.replace("+", " + "), *texts))
    return markdown(("NDCG@20", *there), rows)


def main() -> None:
    """Measure what is asked for and is not kept yet, and print all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("data", nargs="*", default=[*NAMES, *SPLIT])
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print what has been measured")
    args = parser.parse_args()
    results = Results(RESULTS)
    for data in () if args.table else args.data:
        for seed in range(args.seeds):
            for method in args.only:
                found = results.find("runs", data, method, seed, {})
                if found is None:
                    fresh = in_fresh_process(MEASURES[method], data, seed)
                    found = results.keep("runs", data, method, seed, {}, fresh)
                quality = f"{found['recall']:.4f}  {found['ndcg']:.4f}"
                cost = f"{found['seconds']:.1f} s  {found['peak_bytes'] / 1e6:.0f} MB"
                print(
                    f"{data}  {seed}  {method}  {found['chosen']}  {quality}  {found['entries']:,}  {cost}",
                    flush=True,
                )
    print(table(results))


if __name__ == "__main__":
    main()
