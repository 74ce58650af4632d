"""``sparserec-np demo``."""

from __future__ import annotations

import csv
import io
import shlex
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import main
from .output import examples

if TYPE_CHECKING:
    from sparserec_np.data import Interactions


@click.command(epilog=examples("sparserec-np demo --folder demo"))
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the data and the model here. [default: a temporary folder]",
)
def command(folder: Path | None) -> None:
    """Generate interactions and run the other commands on them, in half a minute."""
    from sparserec_np.data import make_interactions, split_random

    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sparserec-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        train, test, model = (folder / name for name in ("train.csv", "test.csv", "demo.srec"))
        click.echo("Generating interactions of 1,500 people with 500 items, by tastes that they share …")
        known, held_out = split_random(make_interactions(1500, 500, 30_000, random_state=0), 0.2, 0)
        _write(train, known)
        _write(test, held_out)
        user = next(iter(known.users.ids()))
        for step in (
            ["fit", train, "--dim", 32, "--density", 0.1, "--seed", 0, "--output", model, "--force"],
            ["evaluate", model, test],
            ["recommend", model, "--user", user, "-k", 5],
            ["similar", model, "--item", known.items[0], "-k", 5],
            ["info", model],
        ):
            arguments = [str(argument) for argument in step]
            click.echo(f"\n$ sparserec-np {shlex.join(arguments)}")
            if code := main.main(arguments, prog_name="sparserec-np", standalone_mode=False):
                raise click.exceptions.Exit(code)
    click.echo("\nThe same for interactions of your own: sparserec-np fit data.csv --density 0.1")


def _write(path: Path, interactions: Interactions) -> None:
    from sparserec_np.runtime.files import written_whole

    pairs = interactions.user_items.tocoo()
    users, items = interactions.users.ids(pairs.row), interactions.items.ids(pairs.col)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("user", "item"))
    writer.writerows(zip(users.tolist(), items.tolist(), strict=True))
    with written_whole(path) as file:
        file.write(text.getvalue().encode())
