"""What a person at a shell gets to see when something is wrong: one line, and an exit code."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from sparserec_np.errors import SparserecError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""

_GRACE = 3  # seconds
_told = threading.Event()


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors that a person can mend into one line on standard error and exit code 1.

    Any other exception is a bug and keeps its traceback.
    """
    try:
        with _way_out():
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
        raise _interruption() from None
    except SystemError as error:
        # What a Ctrl-C becomes that falls into the call of a compiled kernel.
        if not _came_of_interrupt(error):
            raise
        raise _interruption() from None


def _failure(message: str) -> click.ClickException:
    return click.ClickException(" ".join(message.split()))


def _interruption() -> click.exceptions.Exit:
    _told.set()
    click.echo("Interrupted.", err=True)
    return click.exceptions.Exit(INTERRUPTED)


def _came_of_interrupt(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


@contextmanager
def _way_out() -> Iterator[None]:
    """See to it that the process ends soon after Ctrl-C, come what may.

    A KeyboardInterrupt within numba's compiler can leave the compiler's lock taken. A thread that needs the
    lock then waits for ever, and the end of the process for that thread.
    """
    in_charge = (
        hasattr(signal, "alarm")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not in_charge:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGALRM, _leave)
    signal.alarm(_GRACE)
    raise KeyboardInterrupt


def _leave(signum: int, frame: FrameType | None) -> None:
    if not _told.is_set():
        os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)
