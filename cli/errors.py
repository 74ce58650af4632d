"""What a person at a shell gets to see when something is wrong: one line, and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from sparserec_np.errors import SparserecError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors that a person can mend into one line on standard error and exit code 1.

    Any other exception is a bug and keeps its traceback.
    """
    try:
        yield
    except SparserecError as error:
        raise _failure(str(error)) from error
    except BrokenPipeError:
        raise  # the reader of our output has gone; click ends quietly
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        raise _failure(f"{where}{error.strerror or error}") from error
    except MemoryError as error:
        raise _failure(f"not enough memory: {error}" if str(error) else "not enough memory") from error
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None


def _failure(message: str) -> click.ClickException:
    return click.ClickException(" ".join(message.split()))
