"""Threads of the libraries for linear algebra, where the system allows few."""

from __future__ import annotations

import os
import sys
from threading import Event, Thread

_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
_LIBRARIES = 2  # NumPy and SciPy each bring one, with a thread for each core


def spare_threads() -> None:
    """Have linear algebra do without threads of its own where they cannot be started.

    A thread that OpenBLAS cannot start ends the process while NumPy is imported, as if by Ctrl-C. It starts
    one for each core, whatever the limit, unless an environment variable says otherwise.
    """
    if "numpy" in sys.modules or any(name in os.environ for name in _VARIABLES):
        return
    end = Event()
    threads = [Thread(target=end.wait, daemon=True) for _ in range(_LIBRARIES * (os.cpu_count() or 1))]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except RuntimeError:
        os.environ |= dict.fromkeys(_VARIABLES, "1")
    finally:
        end.set()
        for thread in started:
            thread.join()
