"""What each part of a score adds: `SparseBlend` with its defaults against each of its sums alone.

    python benchmarks/parts.py [DATA ...] [--sums SUM ...] [--seeds N]

Prints NDCG@20 and Recall@20 on the test part, the stored entries and the seconds of a fit, and keeps them in
results/parts.json. ``auto`` is what held-out interactions choose; the line says which sum that was. Each sum
chooses its own exponents, weights and penalty on the same hold-out. Run it on a machine that does nothing
else: the seconds count. Beside the sums stand RP3beta of a few settings, the best of which is chosen on the
hold-out, and the most popular items.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import in_fresh_process, markdown
from datasets import NAMES, SPLIT, train_and_test, validation_split
from results import Results

from sparserec_np import SparseBlend, metrics
from sparserec_np.batch import added_by
from sparserec_np.kernels.workers import Workers
from sparserec_np.models.selection import Comparison, empty_base, neighbour_scores
from sparserec_np.runtime.neighbours import NeighbourSettings

RESULTS = Path(__file__).parent / "results" / "parts.json"
SUMS = ("auto", "table", "linear", "ials", "neighbours", "table+neighbours", "table+linear+neighbours")
# Powers of the transition probabilities, and of the popularity.
RP3BETA = tuple(NeighbourSettings(a, a, b) for a in (0.4, 0.6, 0.8, 1.0, 1.2) for b in (0.1, 0.3, 0.4, 0.6))


def of_sum(data: str, parts: str, seed: int) -> dict[str, Any]:
    """Fit and measure one sum."""
    train, test = train_and_test(data, seed)
    start = time.perf_counter()
    model = SparseBlend(parts=parts, random_state=seed).fit(train)
    seconds = time.perf_counter() - start
    measured = metrics.evaluate(
        lambda rows: model_rows(model, rows),
        model.items_,
        train.user_items,
        test.user_items,
        added=added_by(model.recommender.data),
    )
    return {
        "chosen": model.chosen_,
        "ndcg": measured["ndcg@20"],
        "recall": measured["recall@20"],
        "entries": model.nnz_,
        "seconds": round(seconds, 1),
    }


def model_rows(model: SparseBlend, rows: Any) -> Any:
    """Return the users' rows as the recommender makes them, CSR."""
    from scipy import sparse

    return sparse.csr_array(model.recommender.user_vectors(rows))


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
    measured = metrics.evaluate(
        nothing.represent,
        nothing.items,
        train.user_items,
        test.user_items,
        added=neighbour_scores(train.user_items, best),
    )
    return {
        "chosen": f"power {best.item_power:g}, popularity {best.score_power:g}",
        "ndcg": measured["ndcg@20"],
        "recall": measured["recall@20"],
        "entries": 0,
        "seconds": round(time.perf_counter() - start, 1),
    }


def of_popularity(data: str, seed: int) -> dict[str, Any]:
    """Measure the most popular items."""
    train, test = train_and_test(data, seed)
    popularity = np.bincount(train.user_items.indices, minlength=train.n_items)
    measured = metrics.evaluate_popularity(popularity, train.user_items, test.user_items)
    return {
        "chosen": "",
        "ndcg": measured["ndcg@20"],
        "recall": measured["recall@20"],
        "entries": 0,
        "seconds": 0.0,
    }


def main() -> None:
    """Measure what is asked for and is not kept yet, and print all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("data", nargs="*", default=[*NAMES, *SPLIT])
    parser.add_argument("--sums", nargs="+", default=list(SUMS))
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    results = Results(RESULTS)
    rows = []
    for data in args.data:
        for seed in range(args.seeds):
            for method in (*args.sums, "rp3beta", "popularity"):
                found = results.find("runs", data, method, seed, {})
                if found is None:
                    measure, more = {"rp3beta": (of_rp3beta, ()), "popularity": (of_popularity, ())}.get(
                        method, (of_sum, (method,))
                    )
                    found = results.keep(
                        "runs", data, method, seed, {}, in_fresh_process(measure, data, *more, seed)
                    )
                rows.append(
                    (
                        data,
                        seed,
                        method,
                        found["chosen"],
                        f"{found['recall']:.4f}",
                        f"{found['ndcg']:.4f}",
                        f"{found['entries']:,}",
                        f"{found['seconds']:.1f}",
                        f"{found['peak_bytes'] / 1e6:.0f} MB",
                    )
                )
                print(*rows[-1], sep="  ", flush=True)
    headings = "data", "seed", "sum", "chosen", "Recall@20", "NDCG@20", "entries", "seconds", "memory"
    print("\n" + markdown(headings, rows))


if __name__ == "__main__":
    main()
