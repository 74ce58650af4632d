"""Quality against bytes, as an SVG: all methods in one picture, each with its name beside it."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Colour, marker and name of each group, in the order of the legend.
GROUPS = {
    "library": ("#c2255c", "o", "this library, defaults"),
    "paper": ("#1864ab", "o", "this library, stored rows (the paper's setting)"),
    "control": ("#4c8fc7", "s", "controls of its parts"),
    "dense": ("#2b8a3e", "D", "dense tables, same loss"),
    "peer": ("#5c5f66", "^", "peers"),
    "published": ("#868e96", "X", "dense, as published"),
}


@dataclass(frozen=True)
class Point:
    """A method in the plot.

    Parameters
    ----------
    label : str
        Short name.
    group : str
        One of `GROUPS`.
    places : list of (float, float)
        Bytes and NDCG@20; as float32, then, if there is one, as int8.
    """

    label: str
    group: str
    places: Sequence[tuple[float, float]]


def draw(points: Sequence[Point], kind: str = "svg") -> bytes:
    """Draw them; the same points give the same bytes, with the same version of matplotlib."""
    try:
        import matplotlib
    except ImportError:
        raise SystemExit(
            "the plot needs matplotlib, which is not installed; pip install 'sparserec-np[plot]'"
        ) from None
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    style: Any = {
        "svg.hashsalt": "quality",
        "svg.fonttype": "none",
        "font.size": 8.5,
        "font.family": "sans-serif",
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(9, 6.2), layout="constrained")
        axes = figure.add_subplot()
        for point in points:
            colour, marker, _ = GROUPS[point.group]
            axes.plot(*zip(*point.places, strict=True), color=colour, linewidth=0.8, zorder=1)
            for place, face in zip(point.places, (colour, "white"), strict=False):
                axes.scatter(
                    *place, s=26, color=face, edgecolors=colour, marker=marker, linewidths=1, zorder=2
                )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _size(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("bytes of what is stored; filled: float32, hollow: int8")
        axes.set_ylabel("NDCG@20, Gowalla")
        axes.margins(x=0.15, y=0.06)
        axes.grid(color="#e9ecef", linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        shown = {point.group for point in points}
        for group, (colour, marker, name) in GROUPS.items():
            if group in shown:
                axes.scatter([], [], s=26, color=colour, marker=marker, label=name)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        figure.draw_without_rendering()
        _write_labels(axes, points)
        picture = io.BytesIO()
        figure.savefig(
            picture, format=kind, metadata={"Date": None, "Creator": None} if kind == "svg" else {}
        )
    # matplotlib leaves spaces at the ends of lines, which a repository does not want.
    return re.sub(rb" +\n", b"\n", picture.getvalue()) if kind == "svg" else picture.getvalue()


def _write_labels(axes: Any, points: Sequence[Point]) -> None:
    """Write each name where it covers no mark, line or other name: beside its point, or further off."""
    import numpy as np

    scale = axes.figure.dpi / 72  # pixels of a typographic point
    pixels = [axes.transData.transform(np.asarray(point.places)) for point in points]
    taken: list[tuple[float, ...]] = []
    for ends in pixels:
        taken += [(x - 4, y - 4, x + 4, y + 4) for x, y in ends]
        taken.append((*(ends.min(axis=0) - 1), *(ends.max(axis=0) + 1)))
    for place in sorted(range(len(points)), key=lambda i: -points[i].places[0][1]):
        point, ends = points[place], pixels[place]
        colour = GROUPS[point.group][0]
        width, height = 4.5 * scale * len(point.label), 9 * scale
        # To the right of the one end or to the left of the other, level with it or ever further from it.
        for offset, side in itertools.product((0, 9, -9, 16, -16, 25, -25, 36, -36, 50, -50), (1, -1)):
            x, y = ends[0] if side > 0 else ends[-1]
            left = x + (6 * scale if side > 0 else -6 * scale - width)
            bottom = y + offset * scale - height / 2
            box = (left, bottom, left + width, bottom + height)
            if not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            point.label,
            xy=point.places[0 if side > 0 else -1],
            xytext=(6 * side, offset),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            color=colour,
            arrowprops=line if offset else None,
        )


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _size(n_bytes: float) -> str:
    """Name a number of bytes, as in 300 kB."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:g} {name}"
    return f"{n_bytes:g} B"
