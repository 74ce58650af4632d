"""The robustness suite at any size, with a table of its figures at the end.

    python tests/robustness/run.py                          # a few minutes
    python tests/robustness/run.py --full --seed 1          # every kind at full size; an hour or two
    python tests/robustness/run.py --only csv models --share 0.1
    python tests/robustness/run.py --again models 1234 --seed 1    # one case, in this process

Each kind of case runs in processes of its own, so that one which crashes, hangs or takes too much memory is
counted, with the number and the seed by which it can be run again, and the rest goes on.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import defaultdict

import cases

#: Cases at full size. "stops" has as many as there are writers, file operations and signals.
FULL = {
    "models": 20_000,
    "states": 20_000,
    "folders": 20_000,
    "csv": 20_000,
    "csv-differential": 5_000,
    "stops": None,
    "kills": 200,  # of each writer, and a third more by other signals
    "checkpoints": 2_000,  # a fifth of them kills
    "interrupts": 334,  # a tenth of them by SIGTERM and SIGHUP
}
_SHARE = 0.02


def n_cases(kind: str, share: float) -> int:
    """Number of cases of a kind for a share of the full size."""
    number = FULL[kind]
    if number is None:
        total = cases.count_of(kind)
        return total if share >= 0.02 else max(1, int(total * share * 10))
    if kind == "kills":
        from writers import WRITERS

        number = number * 4 // 3 * len(WRITERS)
    return max(1, round(number * share))


def main() -> None:
    """Run what is asked for, and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="as many cases as the project promises")
    parser.add_argument("--share", type=float, default=_SHARE, help=f"of the full size [default: {_SHARE}]")
    parser.add_argument("--only", nargs="+", choices=cases.KINDS, metavar="KIND", default=cases.KINDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes [default: 2]")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="for each kind, at most")
    parser.add_argument(
        "--again", nargs=2, metavar=("KIND", "NUMBER"), help="run a single case, in this process"
    )
    args = parser.parse_args()
    if args.again:
        kind, number = args.again
        print(cases.run_one(kind, args.seed, int(number)))
        return
    # Whatever stops it, it tells what it has found.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows, n_faults = [], 0
    for kind in args.only:
        numbers = range(n_cases(kind, 1.0 if args.full else args.share))
        report = cases.run_cases(
            kind,
            numbers,
            args.seed,
            jobs=args.jobs,
            budget=args.budget,
            tell=lambda text: print(text, flush=True),
        )
        n_faults += len(report.faults)
        rows.append(_row(report))
        print("  ".join(map(str, rows[-1])), flush=True)
        if not report.is_whole:
            break
    print()
    for row in [("kind", "cases", "faults", "seconds", "what came of them"), *rows]:
        print("{:18} {:>7} {:>7} {:>8}  {}".format(*row))
    sys.exit(bool(n_faults))


def _row(report):
    outcomes = defaultdict(int, report.outcomes)
    came = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
    return report.kind, f"{report.n_cases:,}", len(report.faults), f"{report.seconds:.0f}", came


if __name__ == "__main__":
    main()
