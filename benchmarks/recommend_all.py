"""Top 20 for all users: seconds beside implicit's batch recommend, and memory as users grow.

    python benchmarks/recommend_all.py [--threads 2] [--users 250000 1000000] [--items 100000] [--json FILE]

The models are quickly trained ones of Gowalla, d = 64 and density 0.1: time does not depend on quality.
Memory is what a process that ranks random tables, and drops the lists, holds at most beyond what it held
before.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import gowalla, in_fresh_process, markdown, trained, write_json
from latency import make_model

K = 20


def ours(name: str, threads: int) -> dict[str, Any]:
    from sparserec_np import SparseBPR, SparseGraph
    from sparserec_np.batch import recommend_all

    quick = {"epochs": 1, "early_stopping": 0, "refit": False, "random_state": 0}
    makers: dict[str, Any] = {
        "SparseBPR": SparseBPR,
        "SparseGraph": lambda **more: SparseGraph(width=64, **more),
    }
    model = trained(f"recommend-all-{name}", lambda: makers[name](**quick).fit(gowalla()[0]))
    list(recommend_all(model, K, users=[model.user_ids[0]]))  # compiles
    start = time.perf_counter()
    n = sum(len(block.scores) for block in recommend_all(model, K, n_jobs=threads))
    return {"seconds": time.perf_counter() - start, "n": n}


def peer(threads: int) -> dict[str, Any]:
    import implicit
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy import sparse
    from threadpoolctl import threadpool_limits

    train = sparse.csr_matrix(gowalla()[0].user_items)
    with threadpool_limits(1, "blas"):  # as implicit asks for; its own threads are those counted
        model = AlternatingLeastSquares(factors=64, iterations=1, num_threads=threads, random_state=0)
        model.fit(train, show_progress=False)
        start = time.perf_counter()
        ids, _ = model.recommend(np.arange(train.shape[0]), train, N=K)
    return {"seconds": time.perf_counter() - start, "n": ids.size, "version": implicit.__version__}


def growth(n_users: int, n_items: int, threads: int) -> dict[str, Any]:
    from sparserec_np.batch import recommend_all

    model = make_model(n_items, n_users, 64, 0.1)
    list(recommend_all(model, K, users=[0]))
    before = most = resident_bytes()
    start = time.perf_counter()
    for _ in recommend_all(model, K, n_jobs=threads):
        most = max(most, resident_bytes())
    return {"seconds": time.perf_counter() - start, "growth": most - before}


def resident_bytes() -> int:
    """Memory that this process holds now; Linux alone tells."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--users", type=int, nargs="*", default=[250_000, 1_000_000])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    reference = in_fresh_process(peer, args.threads)
    result: dict[str, Any] = {f"implicit {reference['version']} ALS": reference}
    for name in ("SparseBPR", "SparseGraph"):
        in_fresh_process(ours, name, args.threads)
        result[name] = in_fresh_process(ours, name, args.threads)
    print(f"\nAll users of Gowalla, top {K}, {args.threads} threads\n")
    rows = [
        (name, f"{one['seconds']:.2f}", f"{reference['seconds'] / one['seconds']:.1f}")
        for name, one in result.items()
    ]
    print(markdown(("", "s", "times faster than implicit"), rows), flush=True)
    for n_users in args.users:
        grown = result[f"{n_users} users"] = in_fresh_process(growth, n_users, args.items, args.threads)
        print(
            f"\n{n_users:,} users of {args.items:,} items: {grown['seconds']:.0f} s, "
            f"{grown['growth'] / 1e6:.0f} MB beyond the model",
            flush=True,
        )
    write_json(args.json, {"settings": {**vars(args), "json": None}, "result": result})


if __name__ == "__main__":
    main()
