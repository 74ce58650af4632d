"""Threads that run numba kernels side by side.

Kernels are compiled with ``nogil=True`` and take ``(start, stop, *args)``: the part of the work that is
theirs. A part never writes where another does, and what it writes does not depend on where the cuts are,
so the result is the same bits for any number of threads. Plain threads are preferred to numba's own
``parallel=True``: compiling is several times faster, the number of threads is a local matter, and two fits
may run at once in one process (numba's default threading layer aborts the process on that).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any


def available_cores() -> int:
    """Cores that this process may use (its CPU affinity, where the system tells)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """A pool of ``n_jobs`` threads, the calling one among them; use it as a context manager.

    Parameters
    ----------
    n_jobs : int or None
        Number of threads; None or -1 for one per available core.
    """

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = available_cores() if n_jobs in (None, -1) else int(n_jobs)
        self._tasks: SimpleQueue[Any] = SimpleQueue()
        self._threads = [
            Thread(target=_serve, args=(self._tasks,), daemon=True) for _ in range(self.n_jobs - 1)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, kernel: Callable[..., Any], n: int, *args: Any, min_share: int = 256) -> None:
        """Call ``kernel(start, stop, *args)`` so that the parts cover ``range(n)``.

        Parameters
        ----------
        kernel : callable
            Compiled with ``nogil=True``.
        n : int
            Length of the range to share out evenly.
        min_share : int
            No thread is woken for less than this.
        """
        parts = max(1, min(self.n_jobs, n // max(1, min_share)))
        self.run_cuts(kernel, [n * p // parts for p in range(parts + 1)], *args)

    def run_cuts(self, kernel: Callable[..., Any], cuts: Sequence[int], *args: Any) -> None:
        """Call ``kernel(cuts[p], cuts[p + 1], *args)`` for every part ``p``, at most ``n_jobs`` of them."""
        # Handing a part over has to cost little beside the part: a bare queue, no executor and its futures.
        outcomes: list[BaseException | None] = []
        bell: SimpleQueue[None] = SimpleQueue()
        handed_over = 0
        error = None
        try:
            for p in range(1, len(cuts) - 1):
                if self._threads:
                    self._tasks.put((kernel, (cuts[p], cuts[p + 1], *args), outcomes, bell))
                    handed_over += 1
                else:
                    kernel(cuts[p], cuts[p + 1], *args)
            kernel(cuts[0], cuts[1], *args)
        except BaseException as raised:
            error = raised
        # Whatever happened here, no thread may write once the caller goes on. The outcomes are counted, not
        # the rings of the bell: of those Ctrl-C may swallow one.
        while len(outcomes) < handed_over:
            try:
                bell.get()
            except KeyboardInterrupt as raised:
                error = raised
        if error is not None:
            raise error
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def close(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


# Has no threads of its own, so whoever runs something with it does it alone.
ONE_THREAD = Workers(1)


def _serve(tasks: SimpleQueue[Any]) -> None:
    """Run what comes until there is None."""
    while (task := tasks.get()) is not None:
        kernel, args, outcomes, bell = task
        outcome = None
        try:
            kernel(*args)
        except BaseException as error:
            outcome = error
        outcomes.append(outcome)
        bell.put(None)
        del task, kernel, args, outcomes, outcome  # or the arrays would live until the next task
