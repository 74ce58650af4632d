"""Fits in processes of their own, interrupted at random moments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cases import Cases, Fault
from model_files import small_interactions

from sparserec_np.runtime import load_model

# Says by a byte that the program begins: before that, it is the interpreter whom a signal ends.
_BEGIN = "import os; from sparserec_np.entry import run; os.write({pipe}, b'.'); run()"
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def _restore_signals():
    """Undo what a shell does to the signals of a job in the background, which Ctrl-C is not for."""
    for number in _CODES:
        signal.signal(number, signal.SIG_DFL)


class Interrupts(Cases):
    """Ctrl-C at random moments of a fit: an exit code of 130, no traceback, nothing half written."""

    bounded = False
    time_limit = 300.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.place = folder / "place"
        self.place.mkdir()
        self.path = self.place / "m.srec"
        self.data = folder / "data.interactions"
        small_interactions("int").to_dir(self.data)
        self.csv = folder / "data.csv"
        self.csv.write_text("".join(f"{n % 30},{n * n % 41},{n % 5 + 1},{n}\n" for n in range(600)))
        self.commands = [
            (self.data, "--epochs", 2, "--dim", 8),
            (self.csv, "--epochs", 3, "--dim", 16, "--model", "bpr"),
            (self.csv, "--epochs", 3, "--dim", 16, "--model", "mf", "--loss", "squared"),
            (self.csv, "--epochs", 3, "--dim", 16, "--teacher", "ease"),
        ]
        self.seconds = []
        for command in self.commands:
            self._run(command)  # kernels are compiled
            start = time.perf_counter()
            code, said = self._run(command)
            if code != 0:
                raise Fault(f"a fit ended with {code}: {said}")
            self.seconds.append(time.perf_counter() - start)

    def run(self, number, rng):
        """Interrupt a fit."""
        which = number % len(self.commands)
        cold = number % 40 == 39  # nothing is compiled yet
        stop = signal.SIGINT
        if number % 10 == 9 and not cold:
            stop = (signal.SIGTERM, signal.SIGHUP)[number // 10 % 2]
        moment = float(rng.random()) * (20 if cold else 1.02 * self.seconds[which])
        self.path.unlink(missing_ok=True)
        start = time.perf_counter()
        code, said = self._run(self.commands[which], stop, moment, cold=cold)
        name = f"{signal.Signals(stop).name} after {moment:.3f} s of {'a cold' if cold else 'a'} fit {which}"
        # Before the command begins, and once it has ended, a signal ends it as it ends any program.
        runs = bool(said) and "written " not in said
        codes = (0, _CODES[stop]) if runs or stop == signal.SIGINT else (0, _CODES[stop], -stop)
        if code not in codes or "Traceback" in said or "Exception ignored" in said:
            raise Fault(f"{name}: exit code {code}: {said[-3000:]}")
        if code and said.count("\n") > said.count("\r") + 40:
            raise Fault(f"{name}: more than a line: {said[-3000:]}")
        left = sorted(os.listdir(self.place))
        if left not in ([], ["m.srec"]) or (code == 0 and not left):
            raise Fault(f"{name}: left {left}")
        if left:
            load_model(self.path, verify=True)
        if code == 0 and not cold:  # the machine has become less busy: what took longer before is no measure
            self.seconds[which] = min(self.seconds[which], time.perf_counter() - start)
        return "stopped" if code else "ended before"

    def _run(self, command, stop=None, moment=0.0, *, cold=False):
        here, there = os.pipe()
        begin = _BEGIN.format(pipe=there)
        environment = dict(os.environ)
        if cold:
            environment["NUMBA_CACHE_DIR"] = str(self.folder / f"cache{time.monotonic_ns()}")
        process = subprocess.Popen(
            [sys.executable, "-c", begin, "fit", *map(str, command), "-o", str(self.path), "--force"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[there],
            env=environment,
            preexec_fn=_restore_signals,
        )
        os.close(there)
        with process:
            os.read(here, 1)
            os.close(here)
            if stop is not None:
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    process.send_signal(stop)
            try:
                said, _ = process.communicate(timeout=240)
            except subprocess.TimeoutExpired:
                process.kill()
                said, _ = process.communicate()
                raise Fault(f"{stop} after {moment:.3f} s: it does not end: {said[-2000:]!r}") from None
        return process.returncode, said.decode(errors="replace")


make = Interrupts
