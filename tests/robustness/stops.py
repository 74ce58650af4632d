"""Every writer stopped just before each of its file operations, and once all are done."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
from cases import Cases, Fault
from writers import WRITERS, in_child

#: What is counted; the audit hook tells of each before it is done.
_EVENTS = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.chmod",
    "os.truncate",
    "os.link",
    "os.symlink",
    "os.utime",
    "shutil.copyfile",
    "tempfile.mkstemp",
    "tempfile.mkdtemp",
    "fsync",
}
_SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Stops(Cases):
    """All writers, signals and file operations."""

    bounded = False
    time_limit = 120.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.writers = []
        self.all = []
        for kind in WRITERS:
            place = folder / kind.__name__
            place.mkdir()
            writer = kind(place)
            n_operations = self._count(writer)
            if n_operations < 3:
                raise Fault(f"{kind.__name__} does {n_operations} file operations; expected more")
            self.all += [(len(self.writers), number, at) for at in range(n_operations) for number in _SIGNALS]
            self.writers.append(writer)
        # The first of them are a sample of all.
        self.all = [self.all[at] for at in np.random.default_rng(0).permutation(len(self.all))]

    @property
    def count(self):
        """All operations of all writers, by all signals."""
        return len(self.all)

    def _count(self, writer):
        """Count the file operations of a writer."""
        counted = writer.folder / "counted"

        def started():
            done = open(counted, "w")  # noqa: SIM115
            watch(writer.place, lambda at: (done.write("."), done.flush()))

        writer.restore()
        code, said = in_child(writer.write, started=started)
        if code != 0:
            raise Fault(f"ended with {code}: {said}")
        return len(counted.read_text())

    def run(self, number, rng):
        """Stop a writer before one of its operations."""
        at, stop, operation = self.all[number]
        writer = self.writers[at]
        writer.restore()

        def strike(now):
            if now == operation:
                os.kill(os.getpid(), stop)

        code, said = in_child(writer.write, started=lambda: watch(writer.place, strike))
        name = f"{type(writer).__name__}, {signal.Signals(stop).name} before operation {operation}"
        try:
            state = writer.check(stop, code, said)
            writer.check_next_write()
        except Exception as error:
            raise Fault(f"{name}: {error}") from error
        return f"{type(writer).__name__}: {state}"


def watch(place, tell):
    """Call ``tell(n)`` before the n-th operation on files in a folder, counted from 0."""
    inside, calls = os.fspath(place), 0
    sync = os.fsync

    def hook(event, args):
        nonlocal calls
        if event == "open":
            path, _, flags = args
            counts = isinstance(flags, int) and flags & _WRITING and _is_in(path, inside)
        else:
            counts = event in _EVENTS and (event == "fsync" or any(_is_in(arg, inside) for arg in args))
        if counts:
            calls += 1
            tell(calls - 1)

    def watched(descriptor):
        hook("fsync", (descriptor,))
        sync(descriptor)

    os.fsync = watched
    sys.addaudithook(hook)


def _is_in(path, folder):
    return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(folder)


make = Stops
