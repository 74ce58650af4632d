"""The model at the end of a long training: written where it was asked for, or else where there is room."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from sparserec_np.errors import SparserecError

_Write = Callable[[Path], None]


def write_or_rescue(path: Path, write: _Write, rescue: _Write, checkpoint: Path | None) -> None:
    """Write a trained model; if that fails, do not lose it.

    Parameters
    ----------
    path : Path
        Where it was asked for.
    write : callable
        Writes it there, as it was asked for.
    rescue : callable
        Writes all of it, wherever it is told to, in a way that cannot fail for what was asked for.
    checkpoint : Path or None
        Where the training is kept, if it is.

    Raises
    ------
    click.ClickException
        If `write` failed. The message says why, and where the model is.
    """
    try:
        write(path)
        return
    except (OSError, SparserecError, MemoryError) as error:
        failure = _reason(error)
    rescued = _written_elsewhere(path, rescue)
    if rescued is not None:
        outcome = f"the trained model is not lost: it was written to {rescued}"
    elif checkpoint is not None and checkpoint.is_file():
        outcome = (
            f"the trained model is not lost: it is kept in the checkpoint {checkpoint}. Make room and run "
            "the same command again with --resume"
        )
    else:
        outcome = (
            "no other folder could be written to either, and the trained model is lost. Make room and train "
            "it again, with --checkpoint"
        )
    raise click.ClickException(f"{path} could not be written: {failure}; {outcome}")


def _written_elsewhere(path: Path, rescue: _Write) -> Path | None:
    for place in _places():
        try:
            # A new folder that nobody else can look into: a model file holds people's ids and histories.
            folder = Path(tempfile.mkdtemp(prefix="sparserec-np-", dir=place))
        except OSError:
            continue
        try:
            rescue(folder / path.name)
        except (OSError, SparserecError, MemoryError):
            os.rmdir(folder)
            continue
        return folder / path.name
    return None


def _places() -> list[Path]:
    """Folders in which there may be room, those first in which files last."""
    places = [Path.cwd()]
    with suppress(RuntimeError):
        places.insert(0, Path.home())
    with suppress(OSError):
        places.append(Path(tempfile.gettempdir()))
    return places


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "not enough memory" if isinstance(error, MemoryError) else str(error)
