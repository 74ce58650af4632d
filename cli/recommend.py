"""``sparserec-np recommend``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import examples, format_option, show_ranking

if TYPE_CHECKING:
    from sparserec_np.runtime.ids import Id, IdMap


@click.command(
    epilog=examples(
        "sparserec-np recommend data.srec --user 42 -k 5",
        "sparserec-np recommend data.srec --history 12,99,103 --json",
    )
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--user", metavar="ID", help="A user the model was trained on.")
@click.option("--history", metavar="ID,ID,…", help="Items that somebody liked; the model need not know who.")
@click.option("--weights", metavar="W,W,…", help="How much each item of the history counts, or its rating.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="Length of the list.")
@click.option("--exclude", metavar="ID,ID,…", help="Items to leave out.")
@click.option("--candidates", metavar="ID,ID,…", help="Recommend only from these items.")
@click.option("--include-seen", is_flag=True, help="Do not leave out the items of the user or the history.")
@format_option
def command(
    model: Path,
    user: str | None,
    history: str | None,
    weights: str | None,
    k: int,
    exclude: str | None,
    candidates: str | None,
    include_seen: bool,
    output_format: str | None,
) -> None:
    """Recommend items from the model file MODEL, best first.

    The list is shorter than K when fewer items qualify.
    """
    if (user is None) == (history is None):
        raise click.UsageError("give either --user or --history")
    from sparserec_np.runtime import Recommender

    recommender = Recommender.load(model)
    items = recommender.item_ids
    ids, scores = recommender.recommend(
        user=None if user is None else recommender.user_ids.parse(user),
        history=None if history is None else _parse_ids(history, items),
        weights=None if weights is None else _parse_weights(weights),
        k=k,
        filter_seen=not include_seen,
        exclude=None if exclude is None else _parse_ids(exclude, items),
        candidates=None if candidates is None else _parse_ids(candidates, items),
    )
    show_ranking("item", ids, scores, output_format)


def _parse_ids(text: str, known: IdMap) -> list[Id]:
    """Ids separated by commas; one that holds a comma is quoted, as in a CSV file."""
    return [known.parse(field) for field in next(csv.reader([text], skipinitialspace=True), [])]


def _parse_weights(text: str) -> list[float]:
    try:
        return [float(field) for field in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(
            f"{error}; expected numbers separated by commas", param_hint="--weights"
        ) from None
