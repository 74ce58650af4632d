"""Tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from sparserec_np.errors import SettingError


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` and ``--csv``; the command gets ``output_format``: "table", "json" or "csv"."""
    for name, text in (("csv", "Print CSV with a header."), ("json", "Print JSON.")):
        function = click.option(f"--{name}", "output_format", flag_value=name, help=text)(function)
    return function


def examples(*commands: str) -> str:
    """Text that ends a command's ``--help``."""
    return "\n".join(["\b", "Example:", *(f"  {command}" for command in commands)])


def show(columns: Sequence[str], rows: Iterable[Sequence[Any]], output_format: str | None) -> None:
    """Print rows as a table, or as what a program reads.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns.
    rows : iterable of sequences
        Values, one per column.
    output_format : {"json", "csv"} or None
        JSON is a list of objects; None is a table for people.
    """
    if output_format == "json":
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif output_format == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        if (lost := _not_printable(text.getvalue())) is not None:
            raise SettingError(
                f"standard output is in {sys.stdout.encoding}, which has no {lost!r}; set "
                "PYTHONIOENCODING=utf-8, or give --json, which escapes it"
            )
        click.echo(text.getvalue(), nl=False)
    else:
        click.echo(table(rows, columns))


def show_json(value: Any) -> None:
    """Print JSON as every program reads it: a number that is infinite or undefined is null."""
    finite = _finite(value)
    text = json.dumps(finite, ensure_ascii=False, allow_nan=False)
    # Such as half of a surrogate pair, which the name of a file may hold.
    whole = _not_printable(text) is None
    click.echo(text if whole else json.dumps(finite, allow_nan=False))


def _not_printable(text: str) -> str | None:
    """Return the first character that standard output's encoding does not have, if there is one."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError as error:
        return text[error.start]
    return None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(rows: Iterable[Sequence[Any]], header: Sequence[str] | None = None) -> str:
    """Lay out rows in columns: numbers to the right, all else to the left.

    Parameters
    ----------
    rows : iterable of sequences
        Cells; a float is shown with four decimals, an int with separators, None as an empty cell. Give an
        id as a str to have it left as it is.
    header : sequence of str, optional
        Names of the columns.

    Returns
    -------
    str
        Lines without a newline at the end.
    """
    body = [list(row) for row in rows]
    lines = [[cell(value) for value in row] for row in body]
    numeric = [
        all(isinstance(value, int | float | None) for value in column) for column in zip(*body, strict=True)
    ]
    if header is not None:
        lines.insert(0, list(header))
        numeric = numeric or [False] * len(header)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def cell(value: Any) -> str:
    """Text of one value in a table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    # An id may hold anything, and a terminal obeys control characters.
    return text if text.isprintable() else repr(text)


def size(n_bytes: float) -> str:
    """Bytes in the unit that people read: ``"1.8 MB"``, in powers of 1,000."""
    if n_bytes < 1000:
        return f"{n_bytes:.0f} bytes"
    power = min(4, int(math.log10(n_bytes)) // 3)
    return f"{n_bytes / 1000**power:.1f} {('', 'kB', 'MB', 'GB', 'TB')[power]}"


def duration(seconds: float) -> str:
    """Seconds as ``"4.2 s"``, ``"3:07"`` or ``"1:03:07"``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_ranking(what: str, ids: Iterable[Any], scores: Iterable[Any], output_format: str | None) -> None:
    """Print ids and scores, best first; ``what`` names the column of the ids."""
    # Plain Python numbers, as JSON needs them; by way of its text, a float32 keeps the digits it has.
    plain = [id if isinstance(id, str) else int(id) for id in ids]
    ranked = list(zip(plain, (float(str(score)) for score in scores), strict=True))
    if output_format is None:
        rows = [(n, str(id), score) for n, (id, score) in enumerate(ranked, start=1)]
        click.echo(table(rows, ("", what, "score")))
    else:
        show((what, "score"), ranked, output_format)


def metrics_table(results: dict[str, dict[str, float]]) -> str:
    """Lay out what `sparserec_np.metrics.evaluate` returned, a column for each of several rankings."""
    names = [name for name in next(iter(results.values())) if name != "n_users"]
    rows = [(title(name), *(result.get(name) for result in results.values())) for name in names]
    return table(rows, ("", *results))


def title(name: str) -> str:
    """Name of a metric as people write it: ``"NDCG@20"`` for ``"ndcg@20"``."""
    metric, at, k = name.partition("@")
    if metric in ("ndcg", "map", "mrr", "rmse", "mae"):
        return metric.upper() + at + k
    return metric.replace("_", " ").capitalize() + at + k
