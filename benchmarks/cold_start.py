"""A fresh process that loads a model and recommends, beside one that only imports NumPy.

    python benchmarks/cold_start.py MODEL [--runs 20] [--json FILE]

Wall-clock time and peak memory of whole processes, one kind after the other, with compiled bytecode, as an
installed package has it. Linux only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import markdown, write_json

# Linux alone tells a process its own peak: that of getrusage starts from the parent's.
_PEAK = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
_RECOMMEND = """
import sys
from sparserec_np.runtime import Recommender
recommender = Recommender.load(sys.argv[1])
if len(recommender.user_ids):
    recommender.recommend(recommender.user_ids[0], k=20)
else:
    recommender.recommend(history=[recommender.item_ids[0]], k=20)
heavy = {"scipy", "numba", "sklearn", "click", "sparserec_np.models"} & set(sys.modules)
assert not heavy, heavy
"""
PROGRAMS = {"import numpy": "import numpy", "load and recommend": _RECOMMEND}


def run(program: str, model: Path, folder: str) -> tuple[float, int]:
    """Seconds and peak bytes of a process."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}\n{_PEAK}", str(model)],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).resolve().parents[1],
    )
    seconds = time.perf_counter() - start
    return seconds, 1024 * int(ended.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model = args.model.resolve()
    measured: dict[str, list[tuple[float, int]]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.runs + 1):
            for name, program in PROGRAMS.items():
                result = run(program, model, folder)
                if number:  # the first compiles
                    measured[name].append(result)
    rows = {
        name: {
            "p50_seconds": statistics.median(seconds for seconds, _ in results),
            "least_seconds": min(seconds for seconds, _ in results),
            "peak_bytes": int(statistics.median(peak for _, peak in results)),
        }
        for name, results in measured.items()
    }
    bare, ours = rows.values()
    print(
        markdown(
            ("process", "p50 s", "least s", "peak MB"),
            [
                (
                    name,
                    f"{row['p50_seconds']:.3f}",
                    f"{row['least_seconds']:.3f}",
                    f"{row['peak_bytes'] / 1e6:.1f}",
                )
                for name, row in rows.items()
            ],
        )
    )
    print(
        f"\n{ours['p50_seconds'] / bare['p50_seconds']:.2f} times the time, "
        f"{(ours['peak_bytes'] - bare['peak_bytes']) / 1e6:.1f} MB more"
    )
    write_json(args.json, rows)


if __name__ == "__main__":
    main()
