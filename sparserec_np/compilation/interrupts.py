"""Signals that wait until a piece of work is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]
_holding = False


@contextmanager
def signals_held() -> Iterator[None]:
    """Put off what Python does on SIGINT (Ctrl-C), SIGTERM and SIGHUP until the end of the block.

    numba hands Python functions to LLVM, and an exception cannot pass through LLVM. If a handler raises one
    within such a function (as Python's own does on Ctrl-C), it is lost, and what it stopped half-way can be
    called as if it were whole: the interpreter crashes.

    Signals that Python does not handle do what they always do, at once. Python runs handlers in the main
    thread alone, so that in another thread there is nothing to put off.
    """
    global _holding
    if _holding or threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Any] = {}
    came: list[tuple[int, FrameType | None]] = []

    def note(signum: int, frame: FrameType | None) -> None:
        if _holding:
            came.append((signum, frame))
        else:
            handlers[signum](signum, frame)  # one that comes while the handlers are put back

    _holding = True
    try:
        for signum in _SIGNALS:
            handler = signal.getsignal(signum)
            if callable(handler):
                handlers[signum] = handler
                signal.signal(signum, note)
        yield
    finally:
        _holding = False
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        for signum, frame in came:
            handlers[signum](signum, frame)
