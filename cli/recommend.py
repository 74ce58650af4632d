"""``sparserec-np recommend``."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from .files import check_output
from .ids import parse_ids
from .output import examples, format_option, show_ranking
from .progress import Bar

if TYPE_CHECKING:
    from sparserec_np.runtime import Recommender


@click.command(
    epilog=examples(
        "sparserec-np recommend data.srec --user 42 -k 5",
        "sparserec-np recommend data.srec --history 12,99,103 --json",
        "sparserec-np recommend data.srec --all -k 20 --output recs.csv.gz",
    )
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--user", metavar="ID", help="A user the model was trained on.")
@click.option("--history", metavar="ID,ID,…", help="Items that somebody liked; the model need not know who.")
@click.option("--weights", metavar="W,W,…", help="How much each item of the history counts, or its rating.")
@click.option("--all", "everybody", is_flag=True, help="All users of the model, to a file.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="With --all, the file: .csv, .tsv, .json, .jsonl (each perhaps with .gz) or .parquet. "
    "[default: CSV to standard output]",
)
@click.option("--force", is_flag=True, help="With --all, replace the file if it exists.")
@click.option("--jobs", type=click.IntRange(min=1), help="With --all, threads. [default: one per core]")
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
    everybody: bool,
    output: Path | None,
    force: bool,
    jobs: int | None,
    k: int,
    exclude: str | None,
    candidates: str | None,
    include_seen: bool,
    output_format: str | None,
) -> None:
    """Recommend items from the model file MODEL, best first.

    The list is shorter than K when fewer items qualify.
    """
    if (user is not None) + (history is not None) + everybody != 1:
        raise click.UsageError("give one of --user, --history and --all")
    if everybody and (weights is not None or output_format == "json"):
        raise click.UsageError(
            "--all writes a row for each user and item; --weights and --json do not go with it"
        )
    if not everybody and (output is not None or force or jobs is not None):
        raise click.UsageError("--output, --force and --jobs go with --all")
    from sparserec_np.runtime import Recommender

    if output is not None:
        _check(output, model, force)
    recommender = Recommender.load(model, mmap="auto")
    items = recommender.item_ids
    choice: dict[str, Any] = {
        "k": k,
        "filter_seen": not include_seen,
        "exclude": None if exclude is None else parse_ids(exclude, items, "--exclude"),
        "candidates": None if candidates is None else parse_ids(candidates, items, "--candidates"),
    }
    if everybody:
        _write_all(recommender, output, choice, jobs)
        return
    ids, scores = recommender.recommend(
        user=None if user is None else recommender.user_ids.parse(user),
        history=None if history is None else parse_ids(history, items, "--history"),
        weights=None if weights is None else _parse_weights(weights),
        **choice,
    )
    show_ranking("item", ids, scores, output_format)


def _check(output: Path, model: Path, force: bool) -> None:
    from .recommendations import check_parquet, format_of

    check_output(output, str(model), force)
    if format_of(output).name == "parquet":
        check_parquet()


def _write_all(
    recommender: Recommender, output: Path | None, choice: dict[str, Any], jobs: int | None
) -> None:
    from sparserec_np.batch import recommend_all
    from sparserec_np.runtime.files import written_whole

    from .recommendations import Format, format_of, writer

    blocks = recommend_all(recommender.data, **choice, n_jobs=jobs)
    n_users, n_rows = len(recommender.user_ids), 0
    with ExitStack() as stack:
        bar: Bar | None = None
        file: IO[bytes]
        if output is None:
            file = sys.stdout.buffer
        else:
            bar = stack.enter_context(Bar("users", n_users))
            file = stack.enter_context(written_whole(output))
        write = stack.enter_context(writer(Format("csv") if output is None else format_of(output), file))
        for block in blocks:
            write(block)
            n_rows += len(block.scores)
            if bar is not None:
                bar.advance(len(block.users))
    if output is not None:
        click.echo(f"{n_rows:,} recommendations for {n_users:,} users: {output}")


def _parse_weights(text: str) -> list[float]:
    try:
        return [float(field) for field in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(
            f"{error}; expected numbers separated by commas", param_hint="--weights"
        ) from None
