"""What training costs as the data grows: seconds an epoch for each interaction, memory for each stored entry.

    python benchmarks/scaling.py [--millions 1 2 4 8] [--dim 64] [--density 0.1] [--threads 2]
        [--mask random] [--rounds 3] [--json FILE]

Generated interactions, 25 a user and 40 an item however many there are, so that the tables grow with them. A
fresh process for each size trains BPR with one negative, and all sizes take turns. Seconds are those that the
processor worked, all threads together: they tell of the work and less of what else the machine did. They are
of the fastest epoch of three in every round, exploration included, the kernels compiled before. Memory is the
most that the peak of a process grew by beyond the loaded interactions and the compiled kernels: mask, tables,
optimizer, probes, batches.
The mask is random unless asked for otherwise; the cost of the others is not that of training.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import in_fresh_process, markdown, peak_bytes, write_json
from scipy import sparse

from sparserec_np import SparseBPR
from sparserec_np.data import make_interactions
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import bpr
from sparserec_np.models.fitting import build_trainer
from sparserec_np.scorers import DotScorer
from sparserec_np.training import Trainer


def generated(n: int) -> sparse.csr_array:
    """About ``n`` interactions."""
    return make_interactions(n // 25, n // 40, n, random_state=0).user_items


def made(pairs: sparse.csr_array, settings: dict[str, Any], workers: Workers) -> Trainer:
    """Return a trainer that has not run yet."""
    targets = np.ones(pairs.nnz, dtype=np.float32)
    return build_trainer(settings, bpr, pairs, targets, np.random.SeedSequence(0), workers, DotScorer())


def measure(millions: float, dim: int, density: float, mask: str, threads: int) -> dict[str, Any]:
    """Train for three epochs."""
    model = SparseBPR(loss="bpr", negatives=1, dim=dim, density=density, mask_init=mask, epochs=4)
    settings = model.settings_for("many")
    pairs = generated(int(millions * 1e6))
    with Workers(threads) as workers:
        made(generated(20_000), settings, workers).run_epoch()  # compiles
        loaded = peak_bytes()
        trainer = made(pairs, settings, workers)
        seconds = []
        for _ in range(3):
            start = time.process_time()
            trainer.run_epoch()
            seconds.append(time.process_time() - start)
    return {
        "interactions": pairs.nnz,
        "stored": sum(side.parameter.table.nnz for side in trainer.sides),
        "seconds": min(seconds),
        "grown_bytes": peak_bytes() - loaded,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--mask", default="random", choices=["random", "nmf"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rounds = [
        [
            in_fresh_process(measure, millions, args.dim, args.density, args.mask, args.threads)
            for millions in args.millions
        ]
        for _ in range(args.rounds)
    ]
    rows = [
        turns[0]
        | {"seconds": min(turn["seconds"] for turn in turns)}
        | {"grown_bytes": max(turn["grown_bytes"] for turn in turns)}
        for turns in zip(*rounds, strict=True)
    ]
    each = [row["seconds"] / row["interactions"] for row in rows]
    mean = sum(each) / len(each)
    heads = ("interactions", "stored entries", "CPU s an epoch", "ns each", "to the first", "to the mean")
    print(
        markdown(
            (*heads, "bytes an entry"),
            [
                (
                    f"{row['interactions']:,}",
                    f"{row['stored']:,}",
                    f"{row['seconds']:.2f}",
                    f"{1e9 * cost:.0f}",
                    f"{cost / each[0]:.2f}",
                    f"{cost / mean:.2f}",
                    f"{row['grown_bytes'] / row['stored']:.0f}",
                )
                for row, cost in zip(rows, each, strict=True)
            ],
        )
    )
    write_json(args.json, {"settings": {**vars(args), "json": None}, "result": rows})


if __name__ == "__main__":
    main()
