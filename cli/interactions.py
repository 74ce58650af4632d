"""Files of interactions on the command line: the options that say how to read one, and the reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sparserec_np.data import Interactions

_COLUMNS = ("user", "item", "weight", "time")
READING = (*(f"{role}_column" for role in _COLUMNS), "sep", "header", "min_rating")
"""Names of the options that say how to read a file."""

_SEPARATORS = {"tab": "\t", "\\t": "\t", "space": " "}


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of reading; the command gets them as keywords, to hand to `read`."""
    options = [
        click.option(
            f"--{role}-column",
            metavar="NAME|N",
            help=f"Column of the {role}s, by name or counted from 1. [default: found by its name]",
        )
        for role in _COLUMNS
    ]
    options += [
        click.option(
            "--sep", metavar="TEXT", help="What separates the columns; 'tab' for a tab. [default: found out]"
        ),
        click.option(
            "--header/--no-header",
            default=None,
            help="Whether the first line names the columns. [default: found out]",
        ),
        click.option(
            "--min-rating",
            type=float,
            metavar="R",
            help="Keep only rows rated at least R, each as a positive of weight 1.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def read(path: str, **options: Any) -> Interactions:
    """Read a file of interactions, ``-`` for standard input, as the options say; or open a folder of them."""
    from sparserec_np.data import Interactions

    if path != "-" and Path(path).is_dir():
        given = [name for name in READING if options[name] is not None]
        if given:
            flag = given[0].replace("_", "-")
            raise click.UsageError(f"--{flag} says how to read a file; the folder {path} was made from one")
        return Interactions.from_dir(path)
    return Interactions.from_csv(path, **reading_keywords(**options))


def reading_keywords(**options: Any) -> dict[str, Any]:
    """Return the options of reading as the keywords of `Interactions.from_csv`."""
    sep = options["sep"]
    return {
        **{role: _position_or_name(options[f"{role}_column"]) for role in _COLUMNS},
        "sep": _SEPARATORS.get(sep, sep),
        "header": options["header"],
        "min_rating": options["min_rating"],
    }


def stem(path: str) -> str:
    """Name of a data file without folder and suffixes: ``data`` for ``some/data.csv.gz``."""
    name = Path(path).name
    return "interactions" if name == "-" else name.split(".")[0] or name


def _position_or_name(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() else text
