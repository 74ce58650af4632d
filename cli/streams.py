"""Standard streams that are closed or full, or that nobody reads any more: one line, and no traceback."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click

_WRONG = 1


class _Stream(io.RawIOBase):
    """A standard stream whose errors say which one it is.

    Parameters
    ----------
    inner : binary file or None
        The stream; None if it is closed, so that all that is written is lost.
    name : str
        What messages call it.
    may_lose : bool
        Whether what cannot be written is lost, and no error.
    """

    def __init__(self, inner: Any, name: str, may_lose: bool) -> None:
        self._inner = inner
        self._name = name
        self._may_lose = may_lose
        self.lost = False

    def writable(self) -> bool:
        """Say that it can be written to, also where all is lost."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._inner is not None and self._inner.isatty()

    def fileno(self) -> int:
        """Return its number."""
        return int(super().fileno() if self._inner is None else self._inner.fileno())

    def write(self, data: Any) -> int:
        """Write some of the data."""
        if self._inner is None:
            self.lost = True
            return int(memoryview(data).nbytes)
        try:
            return int(self._inner.write(data))
        except OSError as error:
            if not self._may_lose:
                raise OSError(error.errno, error.strerror, self._name) from None
            self.give_up()
            return self.write(data)

    def give_up(self) -> None:
        """Lose what is still to be written."""
        self._inner = None


@contextmanager
def standard_streams() -> Iterator[None]:
    """Run a command to its end, which is a SystemExit, whatever the standard streams are.

    Where standard output is closed the command does its work, and then ends with an error if there was
    something to print. Where it is full, the command ends with an error at once. What cannot be written to
    standard error is lost; the exit code stays.
    """
    _occupy()
    before = sys.stdout, sys.stderr
    sys.stdout, output = _named(sys.stdout, sys.__stdout__, "standard output")
    sys.stderr, errors = _named(sys.stderr, sys.__stderr__, "standard error", may_lose=True)
    code: str | int | None = 0
    try:
        yield
    except SystemExit as end:
        code = end.code
    except OSError as error:
        # From what click prints by itself, such as --help.
        code = _WRONG
        _tell(error)
    finally:
        failure = _finish(sys.stdout, output)
        if failure is None and output is not None and output.lost:
            failure = OSError(
                errno.EBADF, "closed, so that what was to be printed is lost", "standard output"
            )
        if failure is not None and not code:
            code = _WRONG
            _tell(failure)
        _finish(sys.stderr, errors)
        sys.stdout, sys.stderr = before
    raise SystemExit(code)


def _named(current: Any, original: Any, name: str, may_lose: bool = False) -> tuple[TextIO, _Stream | None]:
    """Put a stream that names itself in the place of one that Python opened, or found closed."""
    if current is not original or os.name == "nt":  # where a console has streams of its own kind
        return current, None
    if current is None:
        stream = _Stream(None, name, may_lose)
        return io.TextIOWrapper(io.BufferedWriter(stream), "utf-8", write_through=True), stream
    current.flush()
    stream = _Stream(getattr(current.buffer, "raw", current.buffer), name, may_lose)
    return (
        io.TextIOWrapper(
            io.BufferedWriter(stream),
            current.encoding,
            # What is for people is readable also where its encoding has not all characters.
            "backslashreplace" if current.errors == "strict" else current.errors,
            line_buffering=current.line_buffering,
            write_through=current.write_through,
        ),
        stream,
    )


def _occupy() -> None:
    """Open something for each standard stream that is closed: the next file would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _tell(error: OSError) -> None:
    if not isinstance(error, BrokenPipeError):  # somebody who stopped reading knows
        click.echo(f"Error: {error.filename}: {error.strerror}", err=True)


def _finish(text: TextIO, stream: _Stream | None) -> OSError | None:
    """Write out what is left; if that fails, lose it, so that Python does not try again at its end."""
    if stream is None:
        return None
    try:
        text.flush()
    except OSError as error:
        stream.give_up()
        with suppress(OSError):
            text.flush()
        return error
    return None
