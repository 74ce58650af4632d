"""The options by which a long training is kept in a file, and goes on from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sparserec_np.errors import SettingError
from sparserec_np.models import Checkpoint

from .progress import Progress

_EVERY = 60.0


def checkpoint_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options ``--checkpoint``, ``--checkpoint-every`` and ``--resume``."""
    for option in (
        click.option(
            "--resume",
            is_flag=True,
            help="Go on from the file of --checkpoint, to the same bits as if nothing had happened; the data "
            "and the settings must be the same. Without that file, start from the beginning.",
        ),
        click.option(
            "--checkpoint-every",
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help=f"Seconds between two writes of the checkpoint, at least. [default: {_EVERY:g}]",
        ),
        click.option(
            "--checkpoint",
            type=click.Path(path_type=Path),
            help="Keep the training in this file after an epoch; it is removed once the model is written.",
        ),
    ):
        function = option(function)
    return function


def make_checkpoint(
    path: Path | None, every: float | None, resume: bool, others: tuple[Path, ...]
) -> Checkpoint | None:
    """Make the checkpoint that the options ask for, and refuse now what could not be written later.

    Parameters
    ----------
    path, every, resume
        What the options say.
    others : tuple of Path
        Files that are read or written, none of which the checkpoint may be.
    """
    if path is None:
        if resume or every is not None:
            option = "--resume" if resume else "--checkpoint-every"
            raise click.UsageError(f"{option} needs --checkpoint PATH, the file to keep the training in")
        return None
    for other in others:
        if path.resolve() == other.resolve():
            raise SettingError(f"{path} is the data or the model file; give another path as --checkpoint")
    told: list[str] = []

    def tell(text: str) -> None:
        # Once: a disk that is full stays so.
        if text not in told:
            told.append(text)
            click.echo(f"\n{text}", err=True)

    checkpoint = Checkpoint(path, every=_EVERY if every is None else every, resume=resume, tell=tell)
    checkpoint.check()
    if resume and not path.exists():
        click.echo(f"there is no checkpoint {path} yet: the training starts from the beginning", err=True)
    return checkpoint


@contextmanager
def resuming(checkpoint: Checkpoint | None, progress: Progress) -> Iterator[None]:
    """Show what was trained before, and say after Ctrl-C how to go on."""
    if checkpoint is None:
        yield
        return

    def show(records: list[dict[str, Any]]) -> None:
        click.echo(f"going on from {checkpoint.path}, after {len(records)} epochs", err=True)
        for record in records:
            progress.update(record)

    checkpoint.on_resume = show
    try:
        yield
    except KeyboardInterrupt:
        if Path(checkpoint.path).is_file():
            click.echo(f"\nThe training is kept in {checkpoint.path}; --resume goes on from it.", err=True)
        raise
