"""What the defaults stand on: one setting varied at a time, on several data sets, by validation.

    python benchmarks/defaults.py [--model bpr graph mf] [--data movielens synthetic thin-10 thin-5 gowalla]
        [--only SETTING ...] [--peer] [--json FILE]

Every figure is NDCG@20 on the interactions that the fit itself holds out; no test part is looked at. With
``--peer`` implicit's ALS at d = 64 is tuned and measured on the same hold-out. A row marked * is the default.
"""

from __future__ import annotations

import argparse
import functools
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import gowalla, markdown, movielens, write_json
from scipy import sparse

from sparserec_np import Interactions, metrics
from sparserec_np.data import make_interactions, split_random
from sparserec_np.exploration import masks
from sparserec_np.models import ESTIMATORS

MODELS = {"bpr": "SparseBPR", "graph": "SparseGraph", "mf": "SparseMF"}

_COMMON: dict[str, list[Any]] = {
    "learning_rate": [0.02, 0.05, 0.1, 0.2],
    "regularization": [0.0, 0.01, 0.02, 0.05],
    "optimizer": [{"optimizer": "adam", "learning_rate": 0.005}, {"optimizer": "sgd", "learning_rate": 0.02}],
    "batch_size": [1024, 4096, 16384],
    "mask_init": ["nmf", "random"],
    "prune_fraction": [0.1, 0.3, 0.5],
    "update_every": [25, 100, 400],
    "probe_fraction": [0.1, 0.25, 1.0],
    "grow_by": ["accumulated", "last_batch", "none"],
    "popularity_power": [0.0, 0.5],
}
SWEEPS: dict[str, dict[str, list[Any]]] = {
    "bpr": {
        **_COMMON,
        "negatives": [4, 16, 32, 64],
        "init_scale": [0.5, 1.0, 2.0],
        "mask normalisation": [(0.0, 0.0), (0.5, 0.25), (0.5, 0.5), (1.0, 0.5)],
    },
    "graph": {
        **_COMMON,
        "mask_init": ["spectral", "nmf", "random"],
        "negatives": [16, 64, 128],
        "init_scale": [2.0, 5.0, 10.0],
        "item_power": [0.4, 0.6, 0.8, 1.0],
        "length_power": [0.0, 0.25, 0.5],
        "width": [64, 128, 256, 512],
    },
    "mf": {**_COMMON, "negatives": [1, 2, 4, 8], "init_scale": [0.5, 1.0, 2.0]},
}


def thinned(interactions: Interactions, n: int) -> Interactions:
    """Keep ``n`` random interactions of each user."""
    matrix = interactions.user_items
    lengths = np.diff(matrix.indptr)
    users = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((np.random.default_rng(0).random(matrix.nnz), users))
    kept = order[np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], lengths) < n]
    return Interactions.from_arrays(users[kept], matrix.indices[kept].astype(np.int64))


DATA = {
    "movielens": movielens,
    "synthetic": lambda: make_interactions(5000, 3000, 150_000, random_state=0),
    "thin-10": lambda: thinned(gowalla()[0], 10),
    "thin-5": lambda: thinned(gowalla()[0], 5),
    "gowalla": lambda: gowalla()[0],
}


def measure(model: str, data: Interactions, name: str, value: Any) -> dict[str, Any]:
    """Fit with one setting changed; ``name`` may stand for something that is no setting."""
    changed: dict[str, Any] = {} if name == "default" else {name: value}
    if isinstance(value, dict):
        changed = value
    plain = masks.normalised_interactions
    if name == "mask normalisation":
        changed = {}
        masks.normalised_interactions = functools.partial(plain, user_power=value[0], item_power=value[1])
    try:
        start = time.perf_counter()
        fitted = ESTIMATORS[MODELS[model]](random_state=0, refit=False, **changed).fit(data)
        seconds = time.perf_counter() - start
    finally:
        masks.normalised_interactions = plain
    return {**fitted.validation_, "epochs": fitted.n_epochs_, "seconds": seconds}


def tuned_peer(data: Interactions) -> dict[str, Any]:
    """Tune and measure implicit's ALS at d = 64 on the hold-out that the estimators use."""
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    seed = np.random.SeedSequence(0).spawn(3)[0]
    train, held_out = split_random(data, 0.2, np.random.default_rng(seed), n_users=10_000)
    best: dict[str, Any] = {"ndcg@20": -1.0}
    for alpha in (1, 5, 20, 40):
        for regularization in (0.1, 1, 10, 50):
            with threadpool_limits(1):
                peer = AlternatingLeastSquares(
                    64, regularization=regularization, alpha=alpha, random_state=0, dtype=np.float32
                )
                peer.fit(sparse.csr_matrix(train.user_items), show_progress=False)
            found = metrics.evaluate(
                sparse.csr_array(peer.user_factors),
                sparse.csr_array(peer.item_factors),
                train.user_items,
                held_out.user_items,
            )
            if found["ndcg@20"] > best["ndcg@20"]:
                best = {**found, "alpha": alpha, "regularization": regularization}
    return best


def main() -> None:
    """Run the sweeps and print a table for each model and data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", choices=MODELS, default=["graph", "bpr"])
    parser.add_argument("--data", nargs="+", choices=DATA, default=["movielens", "synthetic"])
    parser.add_argument("--only", nargs="+", help="names of settings")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    results: dict[str, Any] = {}
    for data_name in args.data:
        data = DATA[data_name]()
        print(f"\n## {data_name}: {data}\n", flush=True)
        if args.peer:
            results[f"{data_name} implicit ALS"] = found = tuned_peer(data)
            print(f"implicit ALS, d = 64, tuned: NDCG@20 {found['ndcg@20']:.4f}\n", flush=True)
        for model in args.model:
            defaults = ESTIMATORS[MODELS[model]]().get_params()
            tries: list[tuple[str, Any]] = [("default", "")]
            for name, values in SWEEPS[model].items():
                if args.only is None or name in args.only:
                    tries += [(name, value) for value in values]
            rows = []
            for name, value in tries:
                found = measure(model, data, name, value)
                results[f"{data_name} {model} {name} {value}"] = found
                star = " *" if defaults.get(name, object()) == value else ""
                rows.append((name, f"{value}{star}", f"{found['ndcg@20']:.4f}", found["epochs"],
                             f"{found['seconds']:.0f}"))  # fmt: skip
                print(f"{model} · {' · '.join(map(str, rows[-1]))}", flush=True)
            print("\n" + markdown((model, "value", "NDCG@20", "epochs", "seconds"), rows) + "\n", flush=True)
    write_json(args.json, results)


if __name__ == "__main__":
    main()
