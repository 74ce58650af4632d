"""``sparserec-np convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .files import check_name
from .interactions import read, reading_keywords, reading_options, stem
from .output import examples

if TYPE_CHECKING:
    from sparserec_np.data import Conversion, Interactions


@click.command(
    epilog=examples(
        "sparserec-np convert data.csv.gz --output data.interactions",
        "sparserec-np fit data.interactions",
    )
)
@click.argument("data")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to make. [default: <name of DATA>.interactions]",
)
@click.option("--force", is_flag=True, help="Replace the folder if it is one of interactions.")
@reading_options
def command(data: str, output: Path | None, force: bool, **reading: Any) -> None:
    """Read the file of interactions DATA, "-" for standard input, into a folder of arrays.

    Wherever a file of interactions is expected the folder may be given. It opens at once, and is read as it
    is needed, so that it may be larger than the memory; so may DATA: beside the ids, some millions of rows
    are held at a time, the others in temporary files beside the folder.
    """
    from sparserec_np.data import convert_csv
    from sparserec_np.data.folder import check_target

    path = Path(f"{stem(data)}.interactions") if output is None else output
    check_target(path, force, "--force")
    check_name(path, "a folder", ".interactions")
    made: Conversion | Interactions
    if data != "-" and Path(data).is_dir():
        made = read(data, **reading)
        made.to_dir(path, replace=force)
    else:
        made = convert_csv(data, path, **reading_keywords(**reading), replace=force)
    click.echo(f"{made.summary}")
    click.echo(
        f"{made.n_users:,} users, {made.n_items:,} items, {made.n_interactions:,} interactions: {path}"
    )
