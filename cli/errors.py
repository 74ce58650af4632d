"""What a person at a shell gets to see when something is wrong: one line, and an exit code."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import click

from sparserec_np.entry import leave
from sparserec_np.errors import SparserecError

_SIGNALS = [
    (getattr(signal, name), word)
    for name, word in (("SIGINT", "Interrupted."), ("SIGTERM", "Terminated."), ("SIGHUP", "Hung up."))
    if hasattr(signal, name)  # Windows has no SIGHUP
]
"""What asks us to end, and what we say then."""

_GRACE = 3  # seconds
# A message is to stay one line; other blanks may be part of an id.
_LINE_BREAK = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_interrupted, _told = threading.Event(), threading.Event()
_signal = signal.SIGINT


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors that a person can mend into one line on standard error and exit code 1.

    The signals that ask a program to end give a line, too: Ctrl-C with exit code 130, SIGTERM with 143 and
    SIGHUP with 129. Any other exception is a bug and keeps its traceback.
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
    word, code = _last_words()
    with suppress(OSError):  # the terminal may be gone
        click.echo(word, err=True)
    _told.set()
    return click.exceptions.Exit(code)


def _last_words() -> tuple[str, int]:
    """Say what ended us, and the exit code that shells have for it: 128 and the number of the signal."""
    return next(word for number, word in _SIGNALS if number == _signal), 128 + _signal


@contextmanager
def _way_out() -> Iterator[None]:
    """See to it that the process ends soon after Ctrl-C and its like, come what may.

    A KeyboardInterrupt within numba's compiler can get lost in a callback, or leave the compiler's lock
    taken: a thread that needs the lock then waits for ever, and the end of the process for that thread.
    """
    before = {}
    if hasattr(signal, "alarm") and threading.current_thread() is threading.main_thread():
        # What somebody else sees to stays with them, such as SIGHUP under nohup.
        before = {number: signal.getsignal(number) for number, _ in _SIGNALS}
        before = {
            number: handler
            for number, handler in before.items()
            if handler in (signal.SIG_DFL, signal.default_int_handler, leave)
        }
    try:
        for number in before:
            signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    global _signal
    if not _interrupted.is_set():
        _signal = signal.Signals(signum)
    _interrupted.set()
    sys.unraisablehook = lambda _: None  # nor need anybody read what gets lost
    signal.signal(signal.SIGALRM, _leave)
    signal.alarm(_GRACE)
    raise KeyboardInterrupt


def _leave(signum: int, frame: FrameType | None) -> None:
    word, code = _last_words()
    if not _told.is_set():
        with suppress(OSError):
            os.write(2, f"{word}\n".encode())
    os._exit(code)
