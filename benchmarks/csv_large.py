"""A file larger than the memory that it is read in: `convert_csv` in 2 GB, seconds and peak.

    python benchmarks/csv_large.py [--rows 100000000] [--kind plain] [--json FILE]

The file is made among the temporary files (TMPDIR says where) and removed at the end.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import in_fresh_process, markdown, write_json
from csv_reading import write_csv

_LIMIT = 2_000_000_000
_ROOM = 80  # bytes a row: the text, what is spilled and the folder


def convert(path: str, folder: str, arrow: bool) -> dict[str, Any]:
    if not arrow:
        sys.modules["pyarrow"] = None  # type: ignore[assignment]
    from sparserec_np.data import convert_csv

    made = convert_csv(path, folder)
    return {"n_users": made.n_users, "n_items": made.n_items, "n_interactions": made.n_interactions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--kind", choices=("plain", "ratings", "strings"), default="plain")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < args.rows * _ROOM:
        parser.error(
            f"{tempfile.gettempdir()} has {free >> 20:,} MiB left; this takes {args.rows * _ROOM >> 20:,}"
        )
    result: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        write_csv(parent / "small.csv", 10_000, args.kind)
        write_csv(parent / "data.csv", args.rows, args.kind)
        for way, arrow in (("sparserec_np", False), ("sparserec_np[arrow]", True)):
            in_fresh_process(convert, str(parent / "small.csv"), str(parent / "small"), arrow)  # compiles
            result[way] = in_fresh_process(convert, str(parent / "data.csv"), str(parent / "made"), arrow)
            result[way]["file_bytes"] = (parent / "data.csv").stat().st_size
            for folder in ("small", "made"):
                shutil.rmtree(parent / folder)
    rows = [
        (
            way,
            f"{one['seconds']:.0f}",
            f"{one['peak_bytes'] / 1e6:.0f}",
            "yes" if one["peak_bytes"] <= _LIMIT else "no",
        )
        for way, one in result.items()
    ]
    print(f"\n{args.rows:,} rows, {args.kind}: {result['sparserec_np']['file_bytes'] / 1e6:,.0f} MB\n")
    print(markdown(("", "s", "peak MB", "within 2 GB"), rows), flush=True)
    write_json(args.json, {"settings": {**vars(args), "json": None}, "result": result})


if __name__ == "__main__":
    main()
