"""Reading CSV: seconds and memory beside pandas, with the five run-time packages alone.

    python benchmarks/csv_reading.py [--rows 10000000] [--kinds plain ratings strings] [--repeats 3]
        [--json FILE]

Every reading is a process of its own, by turns, and the quickest of each counts. pandas only parses; from_csv
numbers the ids, sorts and merges as well. Each process reads a small file before the clock starts: importing
pandas and loading compiled code, once in a process, are not counted. ``startup.py`` tells what they take.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from common import in_fresh_process, markdown, write_json

_PIECE = 1_000_000
_FORMATS = {
    "plain": ("user,item\n", "%d,%d\n"),
    "ratings": ("user,item,rating,timestamp\n", "%d,%d,%.1f,%d\n"),
    "strings": ("user,item,rating,timestamp\n", "u%07d,item-%d,%.1f,%d\n"),
}


def write_csv(path: Path, n_rows: int, kind: str) -> None:
    """Write rows of 200,000 users and 60,000 items, popular ones more often, in random order."""
    rng = np.random.default_rng(0)
    header, row = _FORMATS[kind]
    with path.open("w") as file:
        file.write(header)
        for start in range(0, n_rows, _PIECE):
            n = min(_PIECE, n_rows - start)
            columns = [
                (rng.random(n) ** 2 * 200_000).astype(int) + 1,
                (rng.random(n) ** 3 * 60_000).astype(int) + 1,
                rng.integers(1, 11, n) / 2,
                rng.integers(1_000_000_000, 1_600_000_000, n),
            ][: row.count("%")]
            rows = zip(*(column.tolist() for column in columns), strict=True)
            file.write("".join(map(row.__mod__, rows)))


def read_with_pandas(path: str, small: str) -> dict[str, Any]:
    import pandas as pd

    pd.read_csv(small)
    start = time.perf_counter()
    pd.read_csv(path)
    return {"seconds": time.perf_counter() - start, "version": pd.__version__}


def read_with_ours(path: str, small: str) -> dict[str, Any]:
    for package in ("pandas", "pyarrow"):
        sys.modules[package] = None  # type: ignore[assignment]
    from sparserec_np import Interactions

    Interactions.from_csv(small)
    start = time.perf_counter()
    Interactions.from_csv(path)
    return {"seconds": time.perf_counter() - start}


def measure(n_rows: int, kind: str, repeats: int) -> dict[str, dict[str, Any]]:
    ways = {"pandas": read_with_pandas, "sparserec_np": read_with_ours}
    with tempfile.TemporaryDirectory() as folder:
        small, path = Path(folder) / "small.csv", Path(folder) / "data.csv"
        write_csv(small, 10_000, kind)
        in_fresh_process(read_with_ours, str(small), str(small))  # compiles
        write_csv(path, n_rows, kind)
        measured: dict[str, dict[str, Any]] = {}
        for _ in range(repeats):
            for name, way in ways.items():
                one = in_fresh_process(way, str(path), str(small))
                if name not in measured or one["seconds"] < measured[name]["seconds"]:
                    measured[name] = one
        return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--kinds", nargs="+", choices=list(_FORMATS), default=list(_FORMATS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if find_spec("pandas") is None:
        parser.error("this benchmark needs pandas; pip install 'sparserec-np[bench]'")
    result = {}
    for kind in args.kinds:
        result[kind] = measured = measure(args.rows, kind, args.repeats)
        peer = measured["pandas"]
        print(f"\n{args.rows:,} rows, {kind}; pandas {peer['version']}\n")
        rows = [
            (
                name,
                f"{one['seconds']:.1f}",
                f"{one['seconds'] / peer['seconds']:.2f}",
                f"{one['peak_bytes'] / 1e6:.0f}",
                f"{one['peak_bytes'] / peer['peak_bytes']:.2f}",
            )
            for name, one in measured.items()
        ]
        print(markdown(("", "s", "times pandas", "peak MB", "times pandas"), rows), flush=True)
    write_json(args.json, {"settings": {**vars(args), "json": None}, "result": result})


if __name__ == "__main__":
    main()
