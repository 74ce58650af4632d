"""What each part of the method is worth, on Gowalla's test part.

    python benchmarks/ablation.py [--density 0.1] [--dim 64] [--epochs 20] [--seeds 1] [--json FILE]

Every row differs from the first in one setting. Early stopping and the refit are off: each trains for the
same number of epochs on the whole train part, and is measured once.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import gowalla, in_fresh_process, markdown, write_json

VARIANTS: dict[str, dict[str, Any]] = {
    "NMF mask, accumulated growth": {},
    "random mask": {"mask_init": "random"},
    "growth by the last batch": {"grow_by": "last_batch"},
    "static mask": {"grow_by": "none"},
    "random mask, last batch": {"mask_init": "random", "grow_by": "last_batch"},
    "random static mask": {"mask_init": "random", "grow_by": "none"},
    "all rows probed": {"probe_fraction": 1.0},
    "10 % of rows probed": {"probe_fraction": 0.1},
    "one negative (BPR)": {"loss": "bpr", "negatives": 1},
    "dense control": {"density": 1.0, "grow_by": "none"},
}


def measure(settings: dict[str, Any]) -> dict[str, Any]:
    """Fit and measure one variant."""
    from sparserec_np import SparseBPR, metrics

    train, test = gowalla()
    start = time.perf_counter()
    model = SparseBPR(early_stopping=0, **settings).fit(train)
    seconds = time.perf_counter() - start
    assert model.users_ is not None
    found = metrics.evaluate(
        model.users_.to_scipy(), model.items_.to_scipy(), train.user_items, test.user_items, 20
    )
    return {**found, "nnz": model.nnz_, "seconds": seconds}


def main() -> None:
    """Run all variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    rows, results = [], {}
    for name, change in VARIANTS.items():
        runs = [
            in_fresh_process(
                measure,
                {
                    "density": args.density,
                    "dim": args.dim,
                    "epochs": args.epochs,
                    "random_state": s,
                    **change,
                },
            )
            for s in range(args.seeds)
        ]
        results[name] = runs
        mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        rows.append(
            (
                name,
                f"{mean['recall@20']:.4f}",
                f"{mean['ndcg@20']:.4f}",
                f"{mean['nnz']:,.0f}",
                f"{mean['seconds']:.0f}",
                f"{mean['peak_bytes'] / 1e6:.0f}",
            )
        )
        print(" · ".join(rows[-1]), flush=True)
    print()
    print(markdown(("variant", "Recall@20", "NDCG@20", "entries", "seconds", "peak MB"), rows))
    write_json(args.json, {"settings": vars(args) | {"json": None}, "runs": results})


if __name__ == "__main__":
    main()
