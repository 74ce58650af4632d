"""Top-20 for one person: milliseconds, one thread, against dense NumPy, implicit and scipy.

    python benchmarks/latency.py [--items 41000 1000000] [--dim 64] [--density 0.1] [--people 200]
        [--json FILE]

Random tables: time depends on the number of stored entries in a person's columns, not on what they say.
Everybody is ranked over all items in every way, one way after the other for the same person, so that a
disturbance of the machine meets them all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import markdown, write_json
from scipy import sparse
from threadpoolctl import threadpool_limits

from sparserec_np.runtime import IdMap, ModelData, Recommender, TableData

K = 20


def random_table(rng: np.random.Generator, n_rows: int, dim: int, density: float) -> TableData:
    """Every row has the same number of entries, up to rounding, in random columns."""
    entries = density * dim
    lengths = np.floor(entries + rng.random(n_rows)).astype(np.int64).clip(1, dim)
    columns = np.argsort(rng.random((n_rows, dim), np.float32), axis=1).astype(np.uint16)
    stored = np.arange(dim) < lengths[:, None]
    columns = np.sort(np.where(stored, columns, dim), axis=1)[stored]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return TableData(indptr, columns, rng.standard_normal(len(columns), np.float32), dim)


def make_model(n_items: int, n_users: int, dim: int, density: float) -> ModelData:
    rng = np.random.default_rng(0)
    return ModelData(
        items=random_table(rng, n_items, dim, density),
        users=random_table(rng, n_users, dim, density),
        item_ids=IdMap.range(n_items),
        user_ids=IdMap.range(n_users, entity="user"),
        popularity=np.ones(n_items, np.uint8),
    )


def ways(model: ModelData) -> dict[str, Callable[[int], Any]]:
    """Return the ways to rank, each a function of a user's row."""
    tables = {
        name: sparse.csr_array((t.values, t.indices.astype(np.int32), t.indptr), shape=(t.n_rows, t.dim))
        for name, t in (("users", model.users), ("items", model.items))
        if t is not None
    }
    users, items = tables["users"].toarray(), tables["items"].toarray()

    def best(scores: Any) -> Any:
        top = np.argpartition(scores, len(scores) - K)[len(scores) - K :]
        return top[np.argsort(-scores[top])]

    found: dict[str, Callable[[int], Any]] = {
        "dense NumPy": lambda row: best(items @ users[row]),
        "scipy CSR": lambda row: best(tables["items"] @ users[row]),
    }
    try:
        from implicit.cpu.topk import topk
    except ImportError:
        pass
    else:
        found["implicit"] = lambda row: topk(items, users[row : row + 1], K, num_threads=1)
    plain, fast = Recommender(model), Recommender(model, accelerate=True)
    found["sparserec_np"] = lambda row: plain.recommend(row, k=K)
    found["sparserec_np, numba"] = lambda row: fast.recommend(row, k=K)
    return found


def measure(n_items: int, n_people: int, dim: int, density: float) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of each way, in milliseconds."""
    model = make_model(n_items, n_people, dim, density)
    all_ways = ways(model)
    times: dict[str, list[float]] = {name: [] for name in all_ways}
    for rank in all_ways.values():
        for row in range(3):
            rank(row)  # what is derived or compiled once
    for row in range(n_people):
        for name, rank in all_ways.items():
            start = time.perf_counter()
            rank(row)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {
        name: {"p50": float(np.median(taken)), "p99": float(np.percentile(taken, 99))}
        for name, taken in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[41_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = {}
    with threadpool_limits(1):
        for n_items in args.items:
            result[n_items] = measured = measure(n_items, args.people, args.dim, args.density)
            dense = measured["dense NumPy"]["p50"]
            print(f"\n{n_items:,} items, dim {args.dim}, density {args.density:g}, top {K}, one thread\n")
            print(
                markdown(
                    ("", "p50 ms", "p99 ms", "times faster than dense"),
                    [
                        (name, f"{ms['p50']:.2f}", f"{ms['p99']:.2f}", f"{dense / ms['p50']:.1f}")
                        for name, ms in measured.items()
                    ],
                ),
                flush=True,
            )
    write_json(args.json, {"settings": {**vars(args), "json": None}, "result": result})


if __name__ == "__main__":
    main()
