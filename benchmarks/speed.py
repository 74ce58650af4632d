"""Time and memory of everything, beside peers in the same run: one command writes the README's section.

    python benchmarks/speed.py                         # run all, one after the other, then write README
    python benchmarks/speed.py --only throughput memory
    python benchmarks/speed.py --report                # only write README, from benchmarks/results/speed.json

Each benchmark is a script of its own with options of its own; here they run with their defaults. What they
print and their JSON are kept as soon as they end, so that an interrupted run loses only what was under way.
Nothing else should run meanwhile: the seconds are the machine's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import write_json
from report import ROOT, between_markers

RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
START, END = "<!-- speed.py writes from here -->", "<!-- to there -->"

#: The scripts in the order in which they are run and shown, and what each of them tells.
SUITE = {
    "throughput": "Training, sampled triples per second, Gowalla",
    "time_to_quality": "Seconds until a fit ranks as well as tuned ALS, Gowalla",
    "memory": "Memory that a fit takes beyond its loaded interactions",
    "scaling": "Cost as the data grows, one negative, d = 64, density 0.1",
    "recommend_all": "Top 20 for everybody",
    "csv_reading": "Reading CSV, with the five run-time packages alone; pandas only parses",
    "startup": "Start-up of the command line, the kernels compiled before",
}


def run(name: str) -> dict[str, Any]:
    """Run one benchmark; return what it printed and its JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        script = Path(__file__).with_name(f"{name}.py")
        done = subprocess.run(
            [sys.executable, str(script), "--json", str(path)], stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise SystemExit(f"{script.name} failed; what the others measured is kept")
        return {"text": done.stdout.strip(), "json": json.loads(path.read_text())}


def kept() -> dict[str, Any]:
    """Return what has been measured so far."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def keep(results: Mapping[str, Any]) -> None:
    """Write all results."""
    write_json(RESULTS, results)


def section(results: Mapping[str, Any]) -> str:
    """Lay out what has been measured, in the order of the suite."""
    parts = [
        f"**{title}** (`python benchmarks/{name}.py`)\n\n{results[name]['text']}"
        for name, title in SUITE.items()
        if name in results
    ]
    return "\n\n".join(parts)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(SUITE), default=list(SUITE), metavar="NAME")
    parser.add_argument("--report", action="store_true", help="only write the README's section")
    args = parser.parse_args()
    results = kept()
    for name in [] if args.report else args.only:
        print(f"{name} · {SUITE[name]}", file=sys.stderr, flush=True)
        results[name] = run(name)
        keep(results)
        print(results[name]["text"], flush=True)
    readme = ROOT / "README.md"
    readme.write_text(between_markers(readme.read_text(), section(results), START, END))
    print("wrote README.md", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; what was measured is kept")
