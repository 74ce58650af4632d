"""Trainings that are killed and go on from their checkpoint, and checkpoints that are damaged."""

from __future__ import annotations

import functools
import os
import signal
import time
from pathlib import Path

import numpy as np
from cases import Cases, Fault, refused
from model_files import small_interactions
from mutating import Container, mutated_container, pick
from writers import in_child

from sparserec_np import Checkpoint, SparseBPR, SparseGraph, SparseMF
from sparserec_np.models import checkpoint as checkpoints


class Checkpoints(Cases):
    """One case in five is a kill; the others are mutated checkpoints, half of them with a fitting digest."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.place = folder / "place"
        self.place.mkdir()
        self.path = self.place / "c.checkpoint"
        small = {"dim": 8, "epochs": 4, "random_state": 0, "density": 0.3, "update_every": 2, "n_jobs": 1}
        ratings = small_interactions("int", ratings=True)
        self.fits = [
            (functools.partial(SparseGraph, **small), small_interactions("str")),
            (functools.partial(SparseGraph, **small, early_stopping=0, optimizer="adam"), ratings),
            (functools.partial(SparseBPR, **small), small_interactions("int")),
            (functools.partial(SparseMF, **small, loss="squared"), ratings),
            (functools.partial(SparseMF, **small, optimizer="sgd", learning_rate=0.01), ratings),
        ]
        self.models, self.seconds, self.contents = [], [], []
        for make, interactions in self.fits:
            made = make().fit(interactions)
            kept: list[bytes] = []
            start = time.perf_counter()
            # What it holds after each epoch: the first of them say that more is to come.
            self._fit(make, interactions, lambda _, kept=kept: kept.append(self._now()))
            self.seconds.append(time.perf_counter() - start)
            self.models.append(self._bytes(made))
            self.contents.append([content for content in [*kept, self._now()] if content])
            self.path.unlink()

    def run(self, number, rng):
        """Kill a training, or damage its checkpoint; go on."""
        which = int(rng.integers(len(self.fits)))
        self.path.unlink(missing_ok=True)
        if number % 5 == 0:
            return self._killed(rng, which)
        self.path.write_bytes(self._mutated(rng, pick(rng, self.contents[which])))
        make, interactions = self.fits[which]
        with np.errstate(all="ignore"):  # a training that starts from anything may diverge
            error = refused(lambda: self._fit(make, interactions))
        return "damaged: refused" if error else "damaged: went on"

    def _killed(self, rng, which):
        make, interactions = self.fits[which]
        stop = pick(rng, [signal.SIGKILL, signal.SIGKILL, signal.SIGINT])
        for _ in range(pick(rng, [1, 1, 2, 3])):
            moment = (0.2 + float(rng.random())) * 1.2 * self.seconds[which]
            code, said = in_child(lambda: self._fit(make, interactions), kill=(stop, moment))
            if code not in (0, -stop, 130) or "Traceback" in said:
                raise Fault(f"fit {which}, {signal.Signals(stop).name} after {moment:.4f} s: {code}: {said}")
        existed = self.path.exists()
        model = self._fit(make, interactions)
        if self._bytes(model) != self.models[which]:
            raise Fault(f"fit {which}: another model than that of a training that is not interrupted")
        left = sorted(os.listdir(self.place))
        if left != ["c.checkpoint"]:
            raise Fault(f"fit {which}: left {left}")
        return "killed: went on" if existed else "killed: began anew"

    def _fit(self, make, interactions, callback=None):
        checkpoint = Checkpoint(self.path, every=0, resume=True)
        return make().fit(interactions, callback=callback, checkpoint=checkpoint)

    def _bytes(self, model):
        model.save(self.folder / "m.srec")
        return (self.folder / "m.srec").read_bytes()

    def _now(self):
        return self.path.read_bytes() if self.path.exists() else b""

    def _mutated(self, rng, content):
        """A damaged checkpoint: by chance, or by somebody who knows how the digest is made."""
        if rng.random() < 0.4:
            return mutated_container(rng, content)
        container = Container(content)
        for _ in range(pick(rng, [1, 1, 1, 2])):
            container.mutate(rng)
        try:
            digest = checkpoints._digest(container.tensors, container.metadata["of"])
            container.metadata["digest"] = digest
        except Exception:  # the metadata are mutated, too
            pass
        return container.pack()


make = Checkpoints
