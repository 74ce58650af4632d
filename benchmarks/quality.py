"""How well every method ranks, and in how many bytes: the table and the plot of the README, from scratch.

    python benchmarks/quality.py                # measure what is missing, then write README and plot
    python benchmarks/quality.py --report       # only write them, from benchmarks/results/quality.json
    python benchmarks/quality.py --only 'als-*' knn --data thin-10 movielens --seeds 1 --rerun

What is measured already is not measured again unless its settings changed, or with ``--rerun``; an
interrupted run keeps what it has. Settings of peers are tuned on a validation split of the train part, and
nothing else is chosen by looking at results; a test part is ranked once for each row, seed and precision.
``--tune`` stops after the tuning. Every fit has a process to itself, which tells its seconds and its peak
memory, data and all.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from fnmatch import fnmatch
from importlib.metadata import version
from typing import Any

import report
from common import in_fresh_process, peak_bytes
from datasets import NAMES, SPLIT, train_and_test, validation_split
from methods import METHODS, Method, settings_on
from peers import DivergedError
from results import Record, Results
from tuning import climb

from sparserec_np.models.amounts import amount_of

KEPT_METRICS = ("recall@20", "ndcg@20", "coverage@20")


def measure(data: str, name: str, seed: int, settings: dict[str, Any]) -> Record:
    """Fit on the train part and rank the test part; runs in a process of its own."""
    train, test = train_and_test(data, seed)
    start = time.perf_counter()
    fitted = METHODS[name].fit(train, seed, **settings)
    seconds, peak = time.perf_counter() - start, peak_bytes()
    stored = {}
    for precision in fitted.precisions:
        found = fitted.evaluate(precision, train.user_items, test.user_items)
        kept = {metric: found[metric] for metric in KEPT_METRICS}
        stored[precision] = {"bytes": fitted.n_bytes(precision), **kept}
    return {"nnz": fitted.nnz, "seconds": seconds, "peak_bytes": peak, "stored": stored}


def tune(data: str, name: str, seed: int) -> Record:
    """Choose a method's settings on the validation split of the train part; runs in a process of its own."""
    train, held_out = validation_split(train_and_test(data, seed)[0], seed)
    method = METHODS[name]

    def goodness(tuned: dict[str, float]) -> float:
        try:
            fitted = method.fit(train, seed, **method.settings, **tuned)
        except DivergedError:
            found = 0.0  # no settings are worse
        else:
            found = fitted.evaluate("float32", train.user_items, held_out.user_items)["ndcg@20"]
        print("   ", *(f"{k} {v:g}," for k, v in tuned.items()), f"{found:.4f}", file=sys.stderr, flush=True)
        return found

    best, tried = climb(method.tune, goodness, method.factors, method.bounds)
    return {"best": best, "ndcg@20": max(value for _, value in tried), "tried": len(tried)}


@functools.cache
def amount(data: str) -> str:
    """Tell how much data a data set is to an estimator; the same for all seeds."""
    return amount_of(train_and_test(data)[0])


def tuned_settings(results: Results, data: str, name: str, seed: int, rerun: bool = False) -> dict[str, Any]:
    """Return the settings of a method, tuned now or before."""
    method = METHODS[name]
    if not method.tune:
        # An estimator leaves some of its settings to the amount of data.
        of_data = "estimator" in method.settings
        return settings_on(method, amount(data)) if of_data else dict(method.settings)
    # Where the seed draws the test part, a validation split of another seed has some of it. Else one choice
    # serves all seeds.
    tuning_seed = seed if data in ("movielens", "synthetic") else 0
    search = {**method.settings, "start": method.tune, "factors": method.factors, "bounds": method.bounds}
    found = results.find("tuned", data, name, tuning_seed, search)
    if found is None or (rerun and seed == tuning_seed):
        print(f"{data} · {name} · seed {tuning_seed} · tuning", file=sys.stderr, flush=True)
        found = in_fresh_process(tune, data, name, tuning_seed)
        found = results.keep("tuned", data, name, tuning_seed, search, found)
        print(
            f"    {found['best']}, NDCG@20 {found['ndcg@20']:.4f} on validation", file=sys.stderr, flush=True
        )
    return {**method.settings, **found["best"]}


def describe(record: Record) -> str:
    """Put a run into one line."""
    stored = record["stored"]["float32"]
    return (
        f"{record['data']} · {record['method']} · seed {record['seed']} · "
        f"Recall@20 {stored['recall@20']:.4f} · NDCG@20 {stored['ndcg@20']:.4f} · "
        f"{record['nnz']:,} numbers · {record['seconds']:.0f} s · {record['peak_bytes'] / 1e6:.0f} MB"
    )


def wanted(patterns: list[str] | None, data: list[str] | None) -> list[tuple[str, str]]:
    """Return the pairs of a data set and a method to measure."""
    for pattern in patterns or []:
        if not any(fnmatch(name, pattern) for name in METHODS):
            sys.exit(f"no method is called {pattern}; expected one of {', '.join(METHODS)}")

    def chosen(name: str, method: Method, where: str) -> bool:
        by_name = patterns is not None and any(fnmatch(name, pattern) for pattern in patterns)
        # Named methods are measured on named data sets, wherever they usually are.
        return (by_name and data is not None) or (where in method.data and (by_name or patterns is None))

    return [
        (w, name)
        for w in data or (*NAMES, *SPLIT)
        for name, method in METHODS.items()
        if chosen(name, method, w)
    ]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="METHOD", help="names, or patterns such as 'bpr-*'")
    parser.add_argument("--data", nargs="+", choices=(*NAMES, *SPLIT))
    parser.add_argument("--seeds", type=int, default=3, help="how many [default: 3]")
    parser.add_argument("--rerun", action="store_true", help="measure again what is measured")
    parser.add_argument("--tune", action="store_true", help="only tune what is to be measured")
    parser.add_argument("--report", action="store_true", help="only write the README's table and the plot")
    parser.add_argument("--list", action="store_true", help="print the names of the methods")
    args = parser.parse_args()
    if args.list:
        for name, method in METHODS.items():
            print(f"{name:20} {method.label}  ({', '.join(method.data)})")
        return

    results = Results()
    for data, name in [] if args.report else wanted(args.only, args.data):
        for seed in range(args.seeds):
            settings = tuned_settings(results, data, name, seed, args.rerun and args.tune)
            if args.tune or (not args.rerun and results.find("runs", data, name, seed, settings)):
                continue
            found = in_fresh_process(measure, data, name, seed, settings)
            if package := METHODS[name].package:
                found["version"] = f"{package} {version(package)}"
            print(describe(results.keep("runs", data, name, seed, settings, found)), flush=True)
    if not args.tune:
        report.write(results.read("runs"))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; what was measured is kept")
