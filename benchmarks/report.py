"""The README's section and plot of the quality benchmark, made of nothing but its records."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from methods import DENSITIES, METHODS, Method
from plot import Point, draw
from results import Record, mean_at, values_at

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- quality.py writes from here -->", "<!-- to here -->"

#: Dense models of 4,533,696 float32 numbers on the same split (BARS leaderboard): Recall@20, NDCG@20.
PUBLISHED = {
    "MF-BPR": (0.1627, 0.1378),
    "LightGCN": (0.1820, 0.1547),
    "MF-CCL": (0.1837, 0.1493),
    "UltraGCN": (0.1862, 0.1580),
    "SimpleX": (0.1872, 0.1557),
}
PUBLISHED_NUMBERS = 4_533_696

#: One method's NDCG@20 as a share of another's: what the README's claims come down to.
COMPARISONS = (
    ("graph-0.1", "als-64"),
    ("graph-0.1", "dense-64"),
    ("graph-0.05", "graph-0.1"),
    ("graph-0.2", "dense-64"),
    ("bpr-64-0.1", "dense-64"),
    *((f"bpr-64-{density:g}", f"random-last-{density:g}") for density in DENSITIES),
    ("bpr-64-0.1", "pruned"),
    ("bpr-64-0.1", "dense-8"),
)

_TITLES = {
    "gowalla": "Gowalla",
    "thin-10": "Gowalla, 10 a user",
    "thin-5": "Gowalla, 5 a user",
    "movielens": "MovieLens 100K",
    "synthetic": "synthetic",
}


def write(runs: Sequence[Record], root: Path = ROOT) -> None:
    """Write the README's section between its markers, and the plot."""
    readme = root / "README.md"
    # Both are made before either is written: a failure leaves things as they were.
    text = between_markers(readme.read_text(), section(runs))
    picture = draw(points(runs))
    (root / "docs" / "quality.svg").write_bytes(picture)
    readme.write_text(text)
    print("wrote README.md and docs/quality.svg", file=sys.stderr)


def between_markers(text: str, new: str, start: str = START, end: str = END) -> str:
    """Replace what stands between the markers."""
    if text.count(start) != 1 or text.count(end) != 1 or text.index(end) < text.index(start):
        raise SystemExit(f"README.md needs the line {start!r} and after it the line {end!r}, once each")
    before, rest = text.split(start)
    return f"{before}{start}\n\n{new}\n\n{end}{rest.split(end)[1]}"


def section(runs: Sequence[Record]) -> str:
    """Lay out both tables and the picture."""
    ours = _by_method(runs, "gowalla")
    parts = [
        "**Gowalla**, test part; mean ± standard deviation over three seeds, or as many as are named. Bytes\n"
        "are those of the tables as stored, for this library the patterns, values and scales in the `.srec`\n"
        "file; peak memory is that of the whole process, data and all.",
        "![NDCG@20 against bytes](docs/quality.svg)",
        gowalla_table(ours),
        "**Other data, NDCG@20 on the test part**",
        other_table(runs),
    ]
    if compared := comparison_table(runs):
        parts += ["**NDCG@20 as a share of another method's**", compared]
    if versions := sorted({run["version"] for run in runs if "version" in run}):
        parts.append(f"Peers: {', '.join(versions)}.")
    return "\n\n".join(parts)


def gowalla_table(runs: Mapping[str, Sequence[Record]]) -> str:
    """Lay out all methods, with their sizes."""
    headings = (
        "method", "numbers", "MB", "MB, int8", "Recall@20", "NDCG@20", "NDCG@20, int8", "fit", "peak MB",
    )  # fmt: skip
    rows = []
    for name, method in METHODS.items():
        if not (records := runs.get(name)):
            continue
        few = "" if len(records) == 3 else f" ({len(records)} seed{'s' * (len(records) > 1)})"
        rows.append(
            (
                method.label + few,
                f"{mean_at(records, 'nnz'):,.0f}",
                f"{mean_at(records, 'stored', 'float32', 'bytes') / 1e6:.2f}",
                _megabytes_of_int8(records),
                _spread(records, "recall@20"),
                _spread(records, "ndcg@20"),
                _spread(records, "ndcg@20", "int8") if "int8" in records[0]["stored"] else "",
                _duration(mean_at(records, "seconds")),
                f"{mean_at(records, 'peak_bytes') / 1e6:.0f}",
            )
        )
    for name, (recall, ndcg) in PUBLISHED.items():
        size = f"{4 * PUBLISHED_NUMBERS / 1e6:.2f}"
        rows.append((f"{name}, dense, as published", f"{PUBLISHED_NUMBERS:,}", size, "",
                     f"{recall:.4f}", f"{ndcg:.4f}", "", "", ""))  # fmt: skip
    return _table(headings, rows)


def other_table(runs: Sequence[Record]) -> str:
    """Lay out NDCG@20 of the methods that were measured on more than Gowalla."""
    found = {data: _by_method(runs, data) for data in _TITLES if data != "gowalla"}
    rows = []
    for name, method in METHODS.items():
        cells = [_spread(of[name], "ndcg@20") if name in of else "" for of in found.values()]
        if any(cells):
            rows.append((method.label, *cells))
    return _table(("method", *(_TITLES[data] for data in found)), rows)


def comparison_table(runs: Sequence[Record]) -> str:
    """Lay out `COMPARISONS`, with a column for each data set; empty where there is nothing to compare."""
    found = {data: _by_method(runs, data) for data in _TITLES}
    rows = []
    for one, other in COMPARISONS:
        cells = [
            f"{100 * _ndcg(of[one]) / _ndcg(of[other]):.0f} %" if one in of and other in of else ""
            for of in found.values()
        ]
        if any(cells):
            rows.append((METHODS[one].label, METHODS[other].label, *cells))
    return _table(("method", "compared with", *_TITLES.values()), rows) if rows else ""


def points(runs: Sequence[Record]) -> list[Point]:
    """Return what the plot shows: each method on Gowalla, as float32 and as int8."""
    found = []
    for name, records in _by_method(runs, "gowalla").items():
        method: Method = METHODS[name]
        places = [
            (mean_at(records, "stored", precision, "bytes"), mean_at(records, "stored", precision, "ndcg@20"))
            for precision in ("float32", "int8")
            if precision in records[0]["stored"]
        ]
        found.append(Point(method.short, method.group, places))
    size = 4.0 * PUBLISHED_NUMBERS
    found += [Point(name, "published", [(size, ndcg)]) for name, (_, ndcg) in PUBLISHED.items()]
    return found


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table without padding, so that a changed figure changes one line of the README."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows))


def _by_method(runs: Sequence[Record], data: str) -> dict[str, list[Record]]:
    """Group the runs on one data set, in the order of the methods; those of former methods are left out."""
    return {
        name: records
        for name in METHODS
        if (records := [run for run in runs if run["data"] == data and run["method"] == name])
    }


def _ndcg(records: Sequence[Record]) -> float:
    return mean_at(records, "stored", "float32", "ndcg@20")


def _spread(records: Sequence[Record], metric: str, precision: str = "float32") -> str:
    values = values_at(records, "stored", precision, metric)
    mean = f"{statistics.fmean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.4f}"


def _megabytes_of_int8(records: Sequence[Record]) -> str:
    if "int8" not in records[0]["stored"]:
        return ""
    return f"{mean_at(records, 'stored', 'int8', 'bytes') / 1e6:.2f}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
