"""A file larger than the memory that it is read in: `convert_csv` in 2 GB, seconds and peak.

    python benchmarks/csv_large.py [--rows 100000000] [--kind plain] [--limit BYTES] [--json FILE]

On Linux the conversion cannot hold more: it fails where what it may write to and shares with nobody, touched
or not, would exceed the limit (RLIMIT_DATA). RLIMIT_AS would say nothing, as it counts what threads and
libraries reserve and never use. The peak is what was resident, code included.
The file is made among the temporary files (TMPDIR says where) and removed at the end.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import in_fresh_process, markdown, write_json
from csv_reading import write_csv

_ROOM = 80  # bytes a row: the text, what is spilled and the folder


def convert(path: str, folder: str, limit: int) -> dict[str, Any]:
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    from sparserec_np.data import convert_csv

    made = convert_csv(path, folder)
    return {"n_users": made.n_users, "n_items": made.n_items, "n_interactions": made.n_interactions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--kind", choices=("plain", "ratings", "strings"), default="plain")
    parser.add_argument("--limit", type=int, default=2_000_000_000, help="bytes")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < args.rows * _ROOM:
        parser.error(
            f"{tempfile.gettempdir()} has {free >> 20:,} MiB left; this takes {args.rows * _ROOM >> 20:,}"
        )
    with tempfile.TemporaryDirectory() as name:
        small, data, made = (Path(name) / file for file in ("small.csv", "data.csv", "made"))
        write_csv(small, 10_000, args.kind)
        in_fresh_process(convert, str(small), str(made), args.limit)  # compiles
        shutil.rmtree(made)
        write_csv(data, args.rows, args.kind)
        result = in_fresh_process(convert, str(data), str(made), args.limit)
        n_bytes = data.stat().st_size
    print(
        f"\n{args.rows:,} rows, {args.kind}: {n_bytes / 1e6:,.0f} MB, limited to {args.limit / 1e6:,.0f} MB\n"
    )
    seconds, peak = f"{result['seconds']:.0f}", f"{result['peak_bytes'] / 1e6:.0f}"
    print(markdown(("s", "peak MB"), [(seconds, peak)]), flush=True)
    settings = {**vars(args), "json": None}
    write_json(args.json, {"settings": settings, "result": {**result, "file_bytes": n_bytes}})


if __name__ == "__main__":
    main()
