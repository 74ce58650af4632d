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
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from numbers import Integral
from queue import SimpleQueue
from threading import Barrier, Thread
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sparserec_np.errors import SettingError

# More threads than this help on no machine with fewer cores, and each takes memory.
_MOST_THREADS = 64

T = TypeVar("T")


def available_cores() -> int:
    """Cores that this process may use (its CPU affinity, where the system tells)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_n_jobs(n_jobs: int | None) -> None:
    """Refuse what cannot be a number of threads.

    Raises
    ------
    SettingError
        If it is neither a whole number above 0 nor -1 nor None.
    """
    if not (n_jobs is None or (isinstance(n_jobs, Integral) and (int(n_jobs) >= 1 or n_jobs == -1))):
        raise SettingError(f"n_jobs is {n_jobs!r}; expected a number of threads, or None for one per core")


class Workers:
    """A pool of ``n_jobs`` threads, the calling one among them; use it as a context manager.

    There are fewer if the system does not allow as many, and never more than 64 or one per available core,
    whichever is more.

    Parameters
    ----------
    n_jobs : int or None
        Number of threads; None or -1 for one per available core.

    Attributes
    ----------
    n_jobs : int
        Number of threads that there are.

    Raises
    ------
    SettingError
        If `n_jobs` cannot be a number of threads.
    """

    def __init__(self, n_jobs: int | None = None) -> None:
        check_n_jobs(n_jobs)
        cores = available_cores()
        wanted = cores if n_jobs is None or n_jobs == -1 else min(int(n_jobs), max(cores, _MOST_THREADS))
        self._tasks: SimpleQueue[Any] = SimpleQueue()
        self._threads: list[Thread] = []
        for _ in range(wanted - 1):
            thread = Thread(target=_serve, args=(self._tasks,), daemon=True)
            try:
                thread.start()
            except RuntimeError:  # a limit to the number of threads; the others do the work
                break
            self._threads.append(thread)
        self.n_jobs = 1 + len(self._threads)

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

    def run_by_work(self, kernel: Callable[..., Any], work: npt.NDArray[Any], *args: Any) -> None:
        """Call ``kernel(start, stop, *args)`` so that the parts cover ``range(len(work))``, as `run` does.

        Parameters
        ----------
        kernel : callable
            Compiled with ``nogil=True``.
        work : array (n,)
            How long each element of the range takes, in any unit, not negative. Each thread gets neighbouring
            elements that take about as long together as those of the others.
        """
        done = np.cumsum(work + 1.0)
        n_parts = max(1, min(self.n_jobs, len(done)))
        shares = np.arange(1, n_parts) / n_parts * (done[-1] if len(done) else 0.0)
        self.run_cuts(kernel, [0, *np.searchsorted(done, shares).tolist(), len(done)], *args)

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


class Background(Executor):
    """Threads for work beside that of the calling one, such as reading ahead.

    Where the system does not allow as many threads, each task is done at once by whoever hands it in: tasks
    may wait for one another, so that fewer threads would not do.

    Parameters
    ----------
    n_threads : int
        Number of threads.
    """

    def __init__(self, n_threads: int) -> None:
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(n_threads)
        # The pool starts a thread for each task that finds no other idle: here all of them wait.
        everybody = Barrier(n_threads + 1)
        try:
            for _ in range(n_threads):
                self._pool.submit(everybody.wait)
            everybody.wait()
        except BaseException as error:
            everybody.abort()
            self._pool.shutdown()
            self._pool = None
            if not isinstance(error, RuntimeError):
                raise

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Hand in a task; see `concurrent.futures.Executor.submit`."""
        if self._pool is not None:
            return self._pool.submit(fn, *args, **kwargs)
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads; see `concurrent.futures.Executor.shutdown`."""
        if self._pool is not None:
            self._pool.shutdown(wait, cancel_futures=cancel_futures)


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
