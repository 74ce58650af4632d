"""``sparserec-np similar``."""

from __future__ import annotations

from pathlib import Path

import click

from .output import examples, format_option, show_ranking


@click.command(epilog=examples("sparserec-np similar data.srec --item 99 -k 5"))
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--item", metavar="ID", help="Find items similar to this one.")
@click.option("--user", metavar="ID", help="Find users similar to this one.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="Length of the list.")
@format_option
def command(model: Path, item: str | None, user: str | None, k: int, output_format: str | None) -> None:
    """Find the items or users in MODEL that are most similar to one, most similar first."""
    if (item is None) == (user is None):
        raise click.UsageError("give either --item or --user")
    from sparserec_np.runtime import Recommender

    recommender = Recommender.load(model, mmap="auto")
    if item is not None:
        ids, scores = recommender.similar_items(recommender.item_ids.parse(item), k)
    elif user is not None:
        ids, scores = recommender.similar_users(recommender.user_ids.parse(user), k)
    show_ranking("item" if user is None else "user", ids, scores, output_format)
