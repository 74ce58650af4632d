"""Progress: one line on a terminal, nothing anywhere else."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TextIO

from .output import duration, title

_BAR = 24


class _Line:
    """A line that is drawn over and over; use it as a context manager around the work.

    Parameters
    ----------
    stream : text stream, optional
        Where to draw, standard error by default; if it is no terminal nothing is written.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._visible = self._stream.isatty()
        self._share = 0.0
        self._stop_listening: Callable[[], None] | None = None

    def __enter__(self) -> Any:
        if self._visible:
            self._stop_listening = _on_compilation(
                lambda: self._draw(self._share, "compiling kernels, once for this machine …")
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stop_listening is not None:
            self._stop_listening()
        self._write("\n")

    def _draw(self, share: float, text: str) -> None:
        if not self._visible:
            return
        self._share = share
        filled = int(_BAR * share)
        line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {text}"
        # One column stays free: a cursor in the last one wraps on some terminals.
        width = shutil.get_terminal_size().columns - 1
        self._write("\r" + line[:width].ljust(width))

    def _write(self, text: str) -> None:
        if self._visible:
            try:
                self._stream.write(text)
                self._stream.flush()
            except OSError:  # the terminal is gone, but the work goes on
                self._visible = False


class Bar(_Line):
    """Shows how much of some work is done.

    Parameters
    ----------
    what : str
        What is counted, such as ``"users"``.
    total : int
        How many there are.
    stream : text stream, optional
        Where to draw, standard error by default; if it is no terminal nothing is written.
    """

    def __init__(self, what: str, total: int, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._what, self._total, self._done = what, total, 0
        self._started = time.monotonic()

    def __enter__(self) -> Bar:
        super().__enter__()
        self.advance(0)
        return self

    def advance(self, n: int) -> None:
        """Show that `n` more are done."""
        self._done += n
        text = f"{self._done:,} of {self._total:,} {self._what}"
        if 0 < self._done < self._total:
            pace = (time.monotonic() - self._started) / self._done
            text += f"  {duration((self._total - self._done) * pace)} left"
        self._draw(self._done / max(self._total, 1), text)


class Progress(_Line):
    """Shows each epoch on a terminal; use it as a context manager around the training.

    Parameters
    ----------
    refits : bool
        Whether, after the epochs that look for the best one, a second training on all interactions follows.
    stream : text stream, optional
        Where to draw, standard error by default; if it is no terminal nothing is written.
    """

    def __init__(self, refits: bool = False, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._refits = refits
        self._name, self._epochs = "epoch", 0
        self._first = self._last = 0
        self._first_ended = 0.0

    def __enter__(self) -> Progress:
        super().__enter__()
        self._draw(0, "preparing")
        return self

    def update(self, record: Mapping[str, Any]) -> None:
        """Show the record of an epoch that has just ended; the callback of ``fit``."""
        epoch, now = record["epoch"], time.monotonic()
        if not self._last:
            self._epochs = record["epochs"]
        elif epoch <= self._last:
            # It takes as many epochs as were best, so at most as many as there were.
            self._name, self._epochs, self._refits = "refit", self._last, False
        parts = [f"{self._name} {epoch}/{self._epochs}", f"loss {record['loss']:.4f}"]
        parts += [f"{title(name)} {record[name]:.4f}" for name in record if name.startswith(("ndcg", "rmse"))]
        if epoch <= self._last or not self._last:
            # Time is counted from the end of a training's first epoch: before it lie compiling and the mask.
            self._first, self._first_ended = epoch, now
        else:
            left = self._epochs * (1 + self._refits) - epoch
            pace = (now - self._first_ended) / (epoch - self._first)
            parts += [f"{duration(left * pace)} left at most"] if left else []
        self._last = epoch
        self._draw(epoch / self._epochs, "  ".join(parts))


def _on_compilation(tell: Callable[[], None]) -> Callable[[], None]:
    """Call `tell` whenever numba begins to compile, as it does where its cache does not help.

    Returns
    -------
    callable
        Ends that.
    """
    from numba.core import event

    class Listener(event.Listener):
        def on_start(self, _: Any) -> None:
            tell()

        def on_end(self, _: Any) -> None:
            pass

    listener = Listener()
    event.register("numba:compile", listener)
    return lambda: event.unregister("numba:compile", listener)
