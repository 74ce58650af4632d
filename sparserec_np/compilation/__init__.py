"""Compilation of the numba kernels: one decorator for all of them.

`njit` is used as numba's own. What differs is all about where and when a kernel is compiled:

- The machine code is kept in the first folder that can be written (see `sparserec_np.compilation.folders`),
  and read from folders that cannot. Where there is none, each process compiles its own, and says so once.
- A damaged or outdated file is replaced (see `sparserec_np.compilation.cache`).
- Signals such as that of Ctrl-C wait while numba compiles or loads a kernel
  (see `sparserec_np.compilation.interrupts`).
- The first kernel of a process that has to be compiled writes one line to the log of this module, which goes
  to standard error unless the program sets up its logging otherwise.

Like `sparserec_np.errors`, this package imports nothing else of the library: the runtime takes it along to
devices, and kernels may use it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from sparserec_np.errors import SettingError

__all__ = ["njit"]

_SWITCHED_OFF = (
    "the environment variable NUMBA_DISABLE_JIT switches off the compiler that the library's kernels need; "
    "unset it"
)


def _check_environment() -> None:
    """Refuse what numba would meet with an obscure error while it is imported."""
    value = os.environ.get("NUMBA_NUM_THREADS", "1").strip()
    if not (value.isdecimal() and int(value)):
        raise SettingError(
            f"the environment variable NUMBA_NUM_THREADS is {value!r}; numba, which compiles the kernels, "
            "expects a number of threads of at least 1; set it to that, or unset it"
        )


_check_environment()

import numba  # noqa: E402

from sparserec_np.compilation.cache import KernelCache  # noqa: E402
from sparserec_np.compilation.interrupts import signals_held  # noqa: E402


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function on its first call, for the types of its arguments.

    Parameters
    ----------
    cache : bool
        Whether the machine code is kept for other processes. Not for kernels that only ever become part of
        others.
    **options
        Options of `numba.njit`.

    Returns
    -------
    callable
        Where the compiler is switched off (``NUMBA_DISABLE_JIT``), the decorated functions raise
        `SettingError` when they are called.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if dispatcher is function:
            return _switched_off(function)
        compile_now = dispatcher.compile

        def compile_whole(signature: Any) -> Any:
            with signals_held():
                return compile_now(signature)

        dispatcher.compile = compile_whole
        if cache:
            dispatcher._cache = KernelCache(function)
        return dispatcher

    return decorate


def _switched_off(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def refuse(*_: Any, **__: Any) -> None:
        raise SettingError(_SWITCHED_OFF)

    return refuse
