"""Sampled triples per second in training, against implicit's BPR and our own dense tables, on Gowalla.

    python benchmarks/throughput.py [--dims 64 256] [--density 0.1] [--rounds 9] [--threads 2]
        [--synthetic] [--json FILE]

A triple is a user, an item of theirs and a sampled one: an epoch has one for each interaction, on either
side. Only epochs are timed. All take turns, three epochs each in every round: a machine that others use, too,
is slow for a while, and then for all; and an epoch follows on one of the same fit, as it does in a fit. What
is printed is the median of all. Not counted are, on our side, the compilation of the kernels (an epoch is run
before) and the start of the tables by the mask, on implicit's its start, and validation, which implicit's
``fit`` does not have. Exploration is counted, and there is one in every epoch. Everybody has the loss BPR
with one negative. The dense control is the same code with density 1 and without probe rows and exploration,
which a table without inactive entries has no use for. With ``--synthetic``, or where the data is not there,
generated interactions of the same shape are used.

The last row is no comparison of like with like: it is what `SparseBPR` does by default, many negatives an
interaction and the sampled softmax. Each negative counts as a triple there, though it costs less than one by
itself: its user and its positive are shared by all of them.
"""

from __future__ import annotations

import argparse
import itertools
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

EPOCHS_A_TURN = 3
DEFAULT_NEGATIVES = SparseBPR().negatives


def user_items(synthetic: bool) -> sparse.csr_array:
    """Gowalla's train part, or something of its shape."""
    if synthetic or not (DATA / "gowalla" / "train.csv.gz").exists():
        return make_interactions(29_858, 40_981, 810_128, random_state=0).user_items
    return gowalla()[0].user_items


class Ours:
    """Epochs of `SparseBPR`."""

    def __init__(
        self,
        pairs: sparse.csr_array,
        dim: int,
        density: float,
        epochs: int,
        workers: Workers,
        negatives: int = 1,
    ) -> None:
        grow_by = "none" if density == 1 else "accumulated"
        # Of twice as many epochs the last quarter, which explores no more, is not come to.
        model = SparseBPR(negatives=negatives, dim=dim, density=density, grow_by=grow_by, epochs=2 * epochs)
        self._trainer = build_trainer(
            model.settings_for("many"),
            bpr if negatives == 1 else softmax,
            pairs,
            np.ones(pairs.nnz, dtype=np.float32),
            np.random.SeedSequence(0),
            workers,
            DotScorer(),
        )
        self.n_triples = negatives * pairs.nnz

    def seconds(self, epochs: int) -> list[float]:
        """Run some epochs; returns how long each takes."""
        times = [time.perf_counter()]
        for _ in range(epochs):
            self._trainer.run_epoch()
            times.append(time.perf_counter())
        return [after - before for before, after in itertools.pairwise(times)]


class Implicits:
    """Epochs of implicit's BPR; its rows have a bias beside ``dim - 1`` factors."""

    def __init__(self, pairs: sparse.csr_array, dim: int, threads: int) -> None:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        self._pairs = sparse.csr_matrix(pairs)
        # A fit after the first goes on from the factors that there are.
        self._model = BayesianPersonalizedRanking(factors=dim - 1, num_threads=threads, random_state=0)
        self.n_triples = pairs.nnz

    def seconds(self, epochs: int) -> list[float]:
        """Run some epochs; returns how long each takes by its own clock, which leaves its start out."""
        self._model.iterations = epochs
        taken: list[float] = []
        self._model.fit(
            self._pairs, show_progress=False, callback=lambda epoch, elapsed, *counts: taken.append(elapsed)
        )
        return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=9)
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
        many = f"sparserec_np, {DEFAULT_NEGATIVES} negatives (not the same work)"
        epochs = 1 + args.rounds * EPOCHS_A_TURN
        with Workers(args.threads) as workers:
            runs: dict[str, Ours | Implicits] = {
                peer: Implicits(pairs, dim, args.threads),
                "sparserec_np": Ours(pairs, dim, args.density, epochs, workers),
                "sparserec_np, dense": Ours(pairs, dim, 1, epochs, workers),
                many: Ours(pairs, dim, args.density, epochs, workers, DEFAULT_NEGATIVES),
            }
            for run in runs.values():
                run.seconds(1)  # compiles
            taken: dict[str, list[float]] = {name: [] for name in runs}
            for _, (name, run) in itertools.product(range(args.rounds), runs.items()):
                taken[name] += run.seconds(EPOCHS_A_TURN)
        rates = {name: run.n_triples / statistics.median(taken[name]) for name, run in runs.items()}
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
