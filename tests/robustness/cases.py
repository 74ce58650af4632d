"""Many cases of one kind, each made from a seed and a number, run in processes of their own.

A case that ends the interpreter, hangs or takes too much memory is then a finding with a number, by which it
can be run again alone, and not the end of the run.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sparserec_np.errors import SparserecError

MEMORY = 1 << 30
"""Bytes that a case may take beyond what its process has before."""

_KINDS = {
    "models": "model_files",
    "states": "state_files",
    "folders": "folders",
    "csv": "csv_files",
    "csv-differential": "csv_differential",
    "stops": "stops",
    "kills": "kills",
    "interrupts": "interrupts",
    "checkpoints": "checkpoints",
}
KINDS = list(_KINDS)


class Fault(AssertionError):  # noqa: N818
    """Something that must not happen."""


class Cases:
    """Cases of one kind.

    Parameters
    ----------
    folder : Path
        An empty folder of their own.
    """

    #: Seconds that a case may take before it counts as a hang.
    time_limit = 60.0
    #: Whether a case may take no more than `MEMORY`.
    bounded = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def count(self) -> int | None:
        """Number of all cases there are; None if there is no end of them."""
        return None

    def run(self, number: int, rng: np.random.Generator) -> str:
        """Run a case; return in a word what came of it, for the count. Any exception is a fault."""
        raise NotImplementedError


@dataclass
class Report:
    """What came of the cases of one kind."""

    kind: str
    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    is_whole: bool = True

    @property
    def n_cases(self) -> int:
        """Number of cases that were run."""
        return sum(self.outcomes.values()) + len(self.faults)

    def __str__(self) -> str:
        faults = [
            f"{self.kind} {fault['number']} (seed {self.seed}): {fault['what']}" for fault in self.faults[:20]
        ]
        return "\n\n".join([f"{len(self.faults)} faults in {self.n_cases} cases", *faults])


def make_cases(kind: str, folder: Path) -> Cases:
    """Make the cases of a kind, in a folder of their own."""
    from importlib import import_module

    return import_module(_KINDS[kind]).make(folder)


def generator(kind: str, seed: int, number: int) -> np.random.Generator:
    """The random numbers of one case."""
    return np.random.default_rng([zlib.crc32(kind.encode()), seed, number])


def count_of(kind: str) -> int | None:
    """Number of all cases of a kind; None if there is no end of them."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        return make_cases(kind, Path(folder)).count


def run_one(kind: str, seed: int, number: int) -> str:
    """Run a single case in this process."""
    with tempfile.TemporaryDirectory() as folder:
        return make_cases(kind, Path(folder)).run(number, generator(kind, seed, number))


def run_cases(
    kind: str,
    numbers: range,
    seed: int = 0,
    *,
    jobs: int = 2,
    budget: float | None = None,
    tell=lambda _: None,
) -> Report:
    """Run cases in processes of their own.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    numbers : range
        Which cases.
    seed : int
        With the number of a case it makes all of its random numbers.
    jobs : int
        Number of processes.
    budget : float, optional
        Seconds after which no further case is begun.
    tell : callable
        Told each fault as soon as it is found, as text.
    """
    report = Report(kind, seed)
    started = time.monotonic()
    shares = [numbers[job::jobs] for job in range(jobs)]
    with selectors.DefaultSelector() as selector, tempfile.TemporaryDirectory() as folder:
        for share in shares:
            if len(share):
                _Process(kind, seed, share, folder).register(selector)
        try:
            while selector.get_map():
                ready = {key.data for key, _ in selector.select(timeout=1.0)}
                for process in [key.data for key in list(selector.get_map().values())]:
                    ended = (
                        process.receive(report, tell) if process in ready else process.overdue(report, tell)
                    )
                    if not ended:
                        continue
                    selector.unregister(process.stream)
                    process.close()
                    if len(process.left) and (budget is None or time.monotonic() - started < budget):
                        _Process(kind, seed, process.left, folder).register(selector)
                if budget is not None and time.monotonic() - started > budget:
                    break
        except KeyboardInterrupt:
            report.is_whole = False
        finally:
            for key in list(selector.get_map().values()):
                selector.unregister(key.fileobj)
                key.data.close()
    report.seconds = time.monotonic() - started
    return report


class _Process:
    """A process that runs cases and tells when it begins and ends each."""

    def __init__(self, kind, seed, numbers, folder):
        self.kind, self.seed, self.left, self.folder = kind, seed, numbers, folder
        self.errors = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        command = [
            sys.executable,
            __file__,
            kind,
            str(seed),
            f"{numbers.start}:{numbers.stop}:{numbers.step}",
        ]
        here, there = os.pipe()
        self.process = subprocess.Popen(
            [*command, str(there), folder],
            stdin=subprocess.DEVNULL,
            stdout=self.errors,
            stderr=self.errors,
            pass_fds=[there],
        )
        os.close(there)
        os.set_blocking(here, False)
        self.stream = here
        self.text = b""
        self.number = None
        self.limit = 1800.0  # to get ready, kernels may have to be compiled
        self.last = time.monotonic()

    def register(self, selector):
        selector.register(self.stream, selectors.EVENT_READ, self)

    def receive(self, report, tell):
        """Take in what the process says; return whether it has ended."""
        try:
            part = os.read(self.stream, 1 << 16)
        except BlockingIOError:
            return False
        self.last = time.monotonic()
        self.text += part
        *lines, self.text = self.text.split(b"\n")
        for line in lines:
            said = json.loads(line)
            if "limit" in said:
                self.limit = said["limit"]
            elif "begin" in said:
                self.number = said["begin"]
                self.left = self.left[self.left.index(self.number) + 1 :]
            elif "fault" in said:
                self._fault(report, tell, said["fault"])
            else:
                report.outcomes[said["outcome"]] += 1
                self.number = None
        if part:
            return False
        code = self.process.wait()
        if self.number is not None:
            self._fault(report, tell, f"the process ended with {code}\n{self._said()}")
        elif code != 0:
            self.left = self.left[:0]
            raise RuntimeError(f"{self.kind}: the process could not begin: {code}\n{self._said()}")
        return True

    def overdue(self, report, tell):
        """End a process whose case takes too long; return whether that was so."""
        if time.monotonic() - self.last < self.limit:
            return False
        if self.number is None:
            self.left = self.left[:0]
            raise RuntimeError(f"{self.kind}: the process does not get ready\n{self._said()}")
        self.process.kill()
        self._fault(report, tell, f"a hang of more than {self.limit:g} s")
        return True

    def _fault(self, report, tell, what):
        report.faults.append({"number": self.number, "what": what})
        tell(f"{self.kind} {self.number} (seed {self.seed}): {what}")
        self.number = None

    def _said(self):
        self.errors.seek(0)
        return self.errors.read()[-3000:].decode(errors="replace")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.stream)
        self.errors.close()


def _main() -> None:
    kind, seed, numbers, stream, parent = sys.argv[1:]
    seed, stream = int(seed), int(stream)
    os.set_inheritable(stream, False)

    def say(**what):
        os.write(stream, json.dumps(what).encode() + b"\n")

    with tempfile.TemporaryDirectory(dir=parent) as folder:
        cases = make_cases(kind, Path(folder))
        say(limit=cases.time_limit)
        if cases.bounded:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY, hard))
        for number in range(*map(int, numbers.split(":"))):
            say(begin=number)
            try:
                outcome = cases.run(number, generator(kind, seed, number))
            except Exception as error:
                say(fault=_told(error)[-4000:])
            else:
                say(outcome=outcome)


def _told(error: BaseException | None) -> str:
    """The messages of faults, and the traceback of what is no fault of itself."""
    messages = []
    while isinstance(error, Fault):
        messages.append(str(error))
        error = error.__cause__
    if error is not None:
        messages += traceback.format_exception(type(error), error, error.__traceback__, limit=-12)
    return "\n".join(messages)


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def refused(action) -> SparserecError | None:
    """Do something; return the library's own error if it refuses. Any other exception is a fault."""
    try:
        action()
    except SparserecError as error:
        if not str(error):
            raise Fault(f"{type(error).__name__} says nothing") from error
        return error
    return None


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    # The module that the kinds import, not a second copy of it under the name "__main__".
    import cases as _cases

    _cases._main()
