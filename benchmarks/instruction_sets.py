"""How far apart the same fit ends on other instruction sets, against how far apart seeds are.

    python benchmarks/instruction_sets.py                       # a few minutes
    python benchmarks/instruction_sets.py --seeds 10 --json benchmarks/results/instruction_sets.json

A seed gives the same bits on one machine with one set of library versions. Another processor, or another
build of the linear algebra library, adds in another order, and rounds differently. Here the default fit on
MovieLens 100K runs as the processor would have it, with kernels compiled for the baseline of its kind
(``NUMBA_CPU_NAME=generic``), with OpenBLAS for an old core (``OPENBLAS_CORETYPE``), and with both. Each
kind of kernels has a cache of its own and each fit a process of its own. Train and test part are the same for
all fits; differences are between fits of the same seed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import markdown, write_json

METRICS = ("ndcg@20", "recall@20")

#: Environment variables of each setting.
SETTINGS: dict[str, dict[str, str]] = {
    "native": {},
    "native again": {},
    "generic kernels": {"NUMBA_CPU_NAME": "generic"},
    "old BLAS core": {"OPENBLAS_CORETYPE": "Prescott"},
    "both": {"NUMBA_CPU_NAME": "generic", "OPENBLAS_CORETYPE": "Prescott"},
}


def measure(seed: int) -> dict[str, Any]:
    """Fit in this process and rank the test part."""
    from datasets import train_and_test
    from scipy import sparse

    from sparserec_np import SparseGraph, metrics

    train, test = train_and_test("movielens", 0)
    model = SparseGraph(random_state=seed).fit(train)
    recommender, items = model.recommender, model.items_
    found = metrics.evaluate(
        lambda rows: sparse.csr_array(recommender.user_vectors(rows)),
        items,
        train.user_items,
        test.user_items,
        (20,),
    )
    bits = hashlib.sha256(items.data.tobytes() + items.indices.tobytes()).hexdigest()[:16]
    return {**{name: found[name] for name in METRICS}, "bits": bits, "instructions": _instructions()}


def _instructions() -> str:
    """Say what kernels and linear algebra were made for."""
    from numba.core import config
    from threadpoolctl import threadpool_info

    cores = sorted(
        {str(pool["architecture"]) for pool in threadpool_info() if pool.get("internal_api") == "openblas"}
    )
    made_for = getattr(config, "CPU_NAME", None) or "native"
    return f"kernels {made_for}, OpenBLAS {', '.join(cores) or 'none'}"


def in_setting(variables: Mapping[str, str], cache: Path, seed: int) -> dict[str, Any]:
    """Measure in a process that begins with other environment variables."""
    environment = {**os.environ, **variables, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, __file__, "--one", str(seed)], env=environment, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"the fit of seed {seed} with {dict(variables)} failed")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def summary(runs: Mapping[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Return a row for each setting: whether the bits agree, and how far the metrics are from native ones."""
    native = runs["native"]
    rows = []
    for name, found in runs.items():
        same = sum(one["bits"] == other["bits"] for one, other in zip(found, native, strict=True))
        row = [name, found[0]["instructions"], f"{same} of {len(found)}"]
        for metric in METRICS:
            apart = [one[metric] - other[metric] for one, other in zip(found, native, strict=True)]
            mean = statistics.fmean(one[metric] for one in found)
            largest = max(map(abs, apart))
            row += [f"{mean:.4f}", f"{statistics.fmean(apart):+.5f}", f"{largest:.5f}"]
        rows.append(row)
    # As for the settings: the largest difference from the mean, and not the standard deviation alone.
    spread = ["seed to seed", f"native; standard deviation {_stdev(native)}", "0"]
    for metric in METRICS:
        values = [one[metric] for one in native]
        mean = statistics.fmean(values)
        spread += [f"{mean:.4f}", "", f"{max(abs(value - mean) for value in values):.5f}"]
    rows.append(spread)
    return rows


def _stdev(runs: list[dict[str, Any]]) -> str:
    return " and ".join(f"{statistics.stdev(one[metric] for one in runs):.5f}" for metric in METRICS)


def main() -> None:
    """Measure all settings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many [default: 5]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the result as JSON as well")
    parser.add_argument("--one", type=int, metavar="SEED", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(measure(args.one)))
        return
    runs: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, variables in SETTINGS.items():
            cache = Path(folder, variables.get("NUMBA_CPU_NAME", "native"))
            runs[name] = []
            for seed in range(args.seeds):
                runs[name].append(in_setting(variables, cache, seed))
                print(name, seed, runs[name][-1], file=sys.stderr, flush=True)
    headings = ["setting", "made for", "same bits"]
    for metric in ("NDCG@20", "Recall@20"):
        headings += [metric, "mean difference", "largest"]
    print(markdown(headings, summary(runs)))
    write_json(args.json, {"processor": platform.processor() or platform.machine(), "runs": runs})


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped")
