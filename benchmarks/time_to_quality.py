"""Seconds until a fit ranks as well as tuned implicit ALS does in the end, on Gowalla.

    python benchmarks/time_to_quality.py [--target 0.107] [--threads 2] [--rerun] [--json FILE]

Everybody is fitted to the train part of the validation split, which the estimators make for themselves, and
NDCG@20 on the held-out part is what is to be reached: at least what implicit's ALS with d = 64 and the
settings of ``benchmarks/results/quality.json`` reaches with the whole of its fit, whose seconds are the unit.
Ours are the seconds of ``fit`` with its default settings, mask, choice of a width and validation included,
until the end of the first epoch that is as good; then the fit is stopped. implicit's BPR, of which a fit has
no validation, is fitted anew with twice the epochs until it is as good or an epoch limit is reached, and
only the last of these fits counts. Each method has a process to itself, its kernels compiled before.
With ``--json`` a method is written there as soon as it is measured and is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import in_fresh_process, markdown, write_json
from datasets import train_and_test, validation_split
from peers import implicit_als, implicit_bpr
from results import Results

from sparserec_np import SparseBPR, SparseGraph
from sparserec_np.data import make_interactions

ALS, BPR = "implicit ALS d = 64", "implicit BPR d = 64"
MODELS = {"SparseGraph": SparseGraph, "SparseBPR": SparseBPR}
_MOST_EPOCHS = 400


class _ReachedError(Exception):
    """The quality is there; nothing more is to be measured."""


def tuned_als() -> dict[str, Any]:
    """Return the settings of ALS that the quality benchmark has tuned."""
    for record in Results().read("tuned"):
        if (record["data"], record["method"]) == ("gowalla", "als-64"):
            settings: dict[str, Any] = record["best"]
            return settings
    raise SystemExit("als-64 is not tuned on gowalla; python benchmarks/quality.py --tune --only als-64")


def peer(name: str, target: float | None, threads: int) -> dict[str, Any]:
    """Fit one of implicit's models; ALS once, BPR until it reaches the target."""
    import implicit.als
    import implicit.bpr  # noqa: F401  (both are loaded before the clock starts)

    train, held_out = validation_split(train_and_test("gowalla")[0])
    epochs = 25
    while True:
        start = time.perf_counter()
        if name == ALS:
            fitted = implicit_als(train.user_items, 0, **tuned_als(), n_jobs=threads)
        else:
            fitted = implicit_bpr(
                train.user_items,
                0,
                learning_rate=0.05,
                regularization=0.01,
                iterations=epochs,
                n_jobs=threads,
            )
        seconds = time.perf_counter() - start
        quality = fitted.evaluate("float32", train.user_items, held_out.user_items)["ndcg@20"]
        if target is None or quality >= target or epochs >= _MOST_EPOCHS:
            reached = target is None or quality >= target
            return {"reached": reached, "seconds": seconds, "ndcg@20": quality, "epochs": epochs}
        epochs *= 2


def ours(name: str, target: float, threads: int) -> dict[str, Any]:
    """Fit an estimator with its default settings until it reaches the target."""
    model = MODELS[name](random_state=0, n_jobs=threads)
    small = make_interactions(200, 150, 4000, random_state=0)
    MODELS[name](random_state=0, n_jobs=threads, epochs=1).fit(small)  # compiles
    train, _ = train_and_test("gowalla")
    curve: list[dict[str, float]] = []
    start = time.perf_counter()

    def watch(record: dict[str, Any]) -> None:
        if "ndcg@20" not in record:
            raise _ReachedError  # the validated training is over, the one on all interactions has begun
        passed = time.perf_counter() - start
        curve.append({"epoch": record["epoch"], "seconds": passed, "ndcg@20": record["ndcg@20"]})
        if record["ndcg@20"] >= target:
            raise _ReachedError

    with suppress(_ReachedError):
        model.fit(train, callback=watch)
    best = max(curve, key=lambda point: point["ndcg@20"])
    return {
        "reached": best["ndcg@20"] >= target,
        "seconds": best["seconds"],
        "ndcg@20": best["ndcg@20"],
        "epochs": best["epoch"],
        "curve": curve,
    }


def read(path: Path | None, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what an interrupted run with the same settings has measured."""
    if path is None or not path.exists():
        return {}
    kept = json.loads(path.read_text())
    return kept["result"] if kept["settings"] == settings else {}


def write(path: Path | None, settings: dict[str, Any], result: dict[str, Any]) -> None:
    """Write what is measured so far."""
    write_json(path, {"settings": settings, "peer": f"implicit {version('implicit')}", "result": result})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=float, help="NDCG@20 [default: what ALS reaches in this run]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rerun", action="store_true", help="measure again what the file has")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = {"target": args.target, "threads": args.threads, "als": tuned_als()}
    result = {} if args.rerun else read(args.json, settings)
    if ALS not in result:
        result[ALS] = in_fresh_process(peer, ALS, None, args.threads)
        write(args.json, settings, result)
    target = args.target or result[ALS]["ndcg@20"]
    for name in (*MODELS, BPR):
        if name not in result:
            measure = ours if name in MODELS else peer
            result[name] = in_fresh_process(measure, name, target, args.threads)
            write(args.json, settings, result)
    print(f"\nNDCG@20 of {target:.4f} on the validation split, {args.threads} threads\n")
    rows = []
    for name, found in result.items():
        ratio = found["seconds"] / result[ALS]["seconds"]
        label = f"{name} ({version('implicit')})" if name in (ALS, BPR) else name
        reached = "yes" if found["reached"] else "no"
        numbers = f"{found['ndcg@20']:.4f}", f"{found['seconds']:.1f}", f"{ratio:.1f}"
        rows.append((label, reached, str(found["epochs"]) if name != ALS else "", *numbers))
    headings = ("", "reached", "epochs", "NDCG@20", "seconds", "to ALS's fit")
    print(markdown(headings, rows))


if __name__ == "__main__":
    main()
