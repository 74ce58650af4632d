"""What a person at a shell gets to see when something is wrong: one line, and an exit code."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from sparserec_np.errors import SparserecError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""

_GRACE = 3  # seconds
# A message is to stay one line; other blanks may be part of an id.
_LINE_BREAK = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_interrupted, _told = threading.Event(), threading.Event()


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors that a person can mend into one line on standard error and exit code 1, Ctrl-C into 130.

    Any other exception is a bug and keeps its traceback.
    """
    try:
        with _way_out():
            yield
    except KeyboardInterrupt:
        raise _interruption() from None
    except Exception as error:
        if _interrupted.is_set():
            # numba and its kernels turn a Ctrl-C into errors of many kinds.
            raise _interruption() from None
        message = _message(error)
        if message is None:
            raise
        raise click.ClickException(_LINE_BREAK.sub(" ", message.strip())) from error


def _message(error: Exception) -> str | None:
    """Return what to tell a person who can mend the error; None if nobody but us can."""
    if isinstance(error, SparserecError):
        return str(error)
    if isinstance(error, BrokenPipeError):
        return None  # the reader of our output has gone; click ends quietly
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}" if str(error) else "not enough memory"
    return None


def _interruption() -> click.exceptions.Exit:
    _told.set()
    click.echo("Interrupted.", err=True)
    return click.exceptions.Exit(INTERRUPTED)


@contextmanager
def _way_out() -> Iterator[None]:
    """See to it that the process ends soon after Ctrl-C, come what may.

    A KeyboardInterrupt within numba's compiler can get lost in a callback, or leave the compiler's lock
    taken: a thread that needs the lock then waits for ever, and the end of the process for that thread.
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
    _interrupted.set()
    sys.unraisablehook = lambda _: None  # nor need anybody read what gets lost
    signal.signal(signal.SIGALRM, _leave)
    signal.alarm(_GRACE)
    raise KeyboardInterrupt


def _leave(signum: int, frame: FrameType | None) -> None:
    if not _told.is_set():
        os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)
