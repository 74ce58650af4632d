"""Sampled triples per second in training, against implicit's BPR and our own dense tables, on Gowalla.

    python benchmarks/throughput.py [--dims 64 256] [--density 0.1] [--epochs 5] [--threads 2]
        [--synthetic] [--json FILE]

A triple is a user, an item of theirs and a sampled one: an epoch has one for each interaction, on either
side. Only epochs are timed, the median of them. Not counted are, on our side, the compilation of the kernels
(the first epoch is run before) and the start of the tables by the mask, on implicit's its start, and
validation, which implicit's ``fit`` does not have. Exploration is counted: it is part of an epoch. Everybody
has the loss BPR with one negative. The dense control is the same code with density 1 and without probe rows
and exploration, which a table without inactive entries has no use for. With ``--synthetic``, or where the
data is not there, generated interactions of the same shape are used.

The last row is no comparison of like with like: it is what `SparseBPR` does by default, 32 negatives an
interaction and the sampled softmax. Each negative counts as a triple there, though it costs less than one by
itself: its user and its positive are shared by 32.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, gowalla, markdown, write_json
from scipy import sparse

from sparserec_np import SparseBPR
from sparserec_np.data import make_interactions
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import bpr, softmax
from sparserec_np.models.fitting import build_trainer
from sparserec_np.scorers import DotScorer

DEFAULT_NEGATIVES = SparseBPR().negatives


def user_items(synthetic: bool) -> sparse.csr_array:
    """Gowalla's train part, or something of its shape."""
    if synthetic or not (DATA / "gowalla" / "train.csv.gz").exists():
        return make_interactions(29_858, 40_981, 810_128, random_state=0).user_items
    return gowalla()[0].user_items


def ours(
    pairs: sparse.csr_array, dim: int, density: float, epochs: int, threads: int, negatives: int = 1
) -> list[float]:
    """Seconds of each epoch."""
    grow_by = "none" if density == 1 else "accumulated"
    model = SparseBPR(negatives=negatives, dim=dim, density=density, grow_by=grow_by)
    loss = bpr if negatives == 1 else softmax
    targets = np.ones(pairs.nnz, dtype=np.float32)
    with Workers(threads) as workers:
        trainer = build_trainer(
            model.settings_for("many"), loss, pairs, targets, np.random.SeedSequence(0), workers, DotScorer()
        )
        trainer.run_epoch()  # compiles
        seconds = []
        for _ in range(epochs):
            start = time.perf_counter()
            trainer.run_epoch()
            seconds.append(time.perf_counter() - start)
    return seconds


def implicits(pairs: sparse.csr_array, dim: int, epochs: int, threads: int) -> list[float]:
    """Seconds of each epoch of implicit's BPR; its rows have a bias beside ``dim - 1`` factors."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    seconds: list[float] = []
    model = BayesianPersonalizedRanking(
        factors=dim - 1, iterations=epochs + 1, num_threads=threads, random_state=0
    )
    model.fit(
        sparse.csr_matrix(pairs),
        show_progress=False,
        callback=lambda epoch, elapsed, *counts: seconds.append(elapsed),
    )
    return seconds[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    try:
        import implicit
    except ImportError:
        parser.error("this benchmark needs implicit; pip install 'sparserec-np[bench]'")
    pairs = user_items(args.synthetic)
    result: dict[int, dict[str, Any]] = {}
    peer = f"implicit {implicit.__version__} BPR"
    for dim in args.dims:
        taken = {
            peer: implicits(pairs, dim, args.epochs, args.threads),
            "sparserec_np": ours(pairs, dim, args.density, args.epochs, args.threads),
            "sparserec_np, dense": ours(pairs, dim, 1, max(1, args.epochs // 2), args.threads),
        }
        counted = dict.fromkeys(taken, pairs.nnz)
        many = f"sparserec_np, {DEFAULT_NEGATIVES} negatives (not the same work)"
        taken[many] = ours(
            pairs, dim, args.density, max(1, args.epochs // 2), args.threads, DEFAULT_NEGATIVES
        )
        counted[many] = DEFAULT_NEGATIVES * pairs.nnz
        rates = {name: counted[name] / statistics.median(seconds) for name, seconds in taken.items()}
        own = rates["sparserec_np"]
        result[dim] = {
            name: {"seconds": taken[name], "triples_per_second": rate}
            | ({} if name == many else {"ours_is_faster_by": own / rate})
            for name, rate in rates.items()
        }
        print(
            f"\ndim {dim}, density {args.density:g}, {args.threads} threads, {pairs.nnz:,} triples an epoch\n"
        )
        print(
            markdown(
                ("", "million triples/s", "sparserec_np is faster by"),
                [
                    (name, f"{rate / 1e6:.2f}", "" if name == many else f"{own / rate:.2f}")
                    for name, rate in rates.items()
                ],
            ),
            flush=True,
        )
    write_json(args.json, {"settings": {**vars(args), "json": None}, "peer": peer, "result": result})


if __name__ == "__main__":
    main()
