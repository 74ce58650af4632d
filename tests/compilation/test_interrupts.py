"""Signals wait while a kernel is compiled or loaded, and then do what they always do."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest
from numba.core import event
from numba.core.compiler import CompileResult

from sparserec_np.compilation import cache as cache_module
from sparserec_np.compilation import njit
from sparserec_np.compilation.interrupts import signals_held


@pytest.fixture
def handlers():
    """Put back the handlers that a test sets."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    yield before
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_ctrl_c_comes_after_the_block(handlers):
    steps = []

    def work():
        with signals_held():
            signal.raise_signal(signal.SIGINT)
            steps.append("the rest of the block")
        steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["the rest of the block"]
    assert signal.getsignal(signal.SIGINT) is handlers[signal.SIGINT]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_handler_of_ones_own_is_called_once_for_each_signal(handlers):
    came = []
    signal.signal(signal.SIGTERM, lambda signum, frame: came.append((signum, frame is not None)))
    handler = signal.getsignal(signal.SIGTERM)
    with signals_held():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert came == []
    assert came == [(signal.SIGTERM, True)] * 2
    assert signal.getsignal(signal.SIGTERM) is handler


def test_only_the_outermost_block_lets_them_go(handlers):
    steps = []

    def work():
        with signals_held():
            with signals_held():
                signal.raise_signal(signal.SIGINT)
            steps.append("after the inner one")
        steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["after the inner one"]


def test_an_error_in_the_block(handlers):
    with pytest.raises(ZeroDivisionError), signals_held():
        raise ZeroDivisionError

    def fail():
        with signals_held():
            signal.raise_signal(signal.SIGINT)
            raise ZeroDivisionError

    with pytest.raises(KeyboardInterrupt) as info:
        fail()
    assert isinstance(info.value.__context__, ZeroDivisionError)
    assert signal.getsignal(signal.SIGINT) is handlers[signal.SIGINT]


def test_what_python_does_not_handle_stays(handlers):
    for disposition in (signal.SIG_IGN, signal.SIG_DFL):
        signal.signal(signal.SIGTERM, disposition)
        with signals_held():
            assert signal.getsignal(signal.SIGTERM) is disposition
        assert signal.getsignal(signal.SIGTERM) is disposition


def test_other_threads_leave_the_handlers_alone(handlers):
    seen = []

    def work():
        with signals_held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [handlers[signal.SIGINT]]


class Interrupting(event.Listener):
    """Sends Ctrl-C as soon as numba compiles."""

    def __init__(self):
        self.n = 0

    def on_start(self, _):
        self.n += 1
        os.kill(os.getpid(), signal.SIGINT)

    def on_end(self, _):
        pass


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_while_a_kernel_is_compiled(handlers):
    @njit(nogil=True)
    def inner(x):
        return x + 1

    @njit(nogil=True)
    def kernel(x):
        return 2 * inner(x)

    listener = Interrupting()
    with event.install_listener("numba:compile", listener), pytest.raises(KeyboardInterrupt):
        kernel(3)
    assert listener.n == 2
    with event.install_listener("numba:compile", listener):
        assert kernel(3) == 8
    assert listener.n == 2  # was compiled to the end


MODULE = """
from sparserec_np.compilation import njit


@njit(cache=True, nogil=True)
def kernel(x):
    return x + 1
"""


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_while_a_kernel_is_loaded(handlers, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "a_kernel_to_load.py").write_text(MODULE)
    from a_kernel_to_load import kernel

    assert kernel(1) == 2
    monkeypatch.delitem(sys.modules, "a_kernel_to_load")
    from a_kernel_to_load import kernel as again

    assert again is not kernel
    rebuild, rebuilt = CompileResult._rebuild, []

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        rebuilt.append(rebuild(*arguments))
        return rebuilt[-1]

    monkeypatch.setattr(cache_module.CompileResult, "_rebuild", interrupted)
    with pytest.raises(KeyboardInterrupt):
        again(1)
    assert len(rebuilt) == 1
    assert again(1) == 2
    assert sum(again.stats.cache_hits.values()) == 1
    assert not again.stats.cache_misses
