"""Every writer killed at random moments."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from cases import Cases, Fault
from writers import WRITERS, in_child


class Kills(Cases):
    """A kill of each writer in turn; every third time another signal."""

    bounded = False
    time_limit = 120.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.writers = []
        for kind in WRITERS:
            place = folder / kind.__name__
            place.mkdir()
            writer = kind(place)
            writer.restore()
            start = time.perf_counter()
            in_child(writer.write)
            self.writers.append((writer, time.perf_counter() - start))

    def run(self, number, rng):
        """Kill a writer, once or twice, and look what is left."""
        writer, seconds = self.writers[number % len(self.writers)]
        stop = signal.SIGKILL
        if number // len(self.writers) % 4 == 3:
            stop = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[int(rng.integers(3))]
        writer.restore()
        times = 1 if rng.random() < 0.7 else 2
        state = "old"
        for _ in range(times):
            moment = float(rng.random()) * 1.1 * seconds
            if rng.random() < 0.5:  # what is written is written at the end
                moment = (0.6 + 0.5 * float(rng.random())) * seconds
            code, said = in_child(writer.write, kill=(stop, moment))
            name = f"{type(writer).__name__}, {signal.Signals(stop).name} after {moment:.4f} s"
            try:
                state = writer.check(stop, code, said)
            except Exception as error:
                raise Fault(f"{name}: {error}") from error
        try:
            writer.check_next_write()
        except Exception as error:
            raise Fault(f"{name}: {error}") from error
        return f"{type(writer).__name__}: {state}"


make = Kills
