"""The training loop: batches forward, backward and into the optimizer, exploration in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.autograd import Parameter, Tape
from sparserec_np.distillation import Distillation
from sparserec_np.exploration import CosineSchedule, draw_probes, replace
from sparserec_np.fused import BprBatches, bpr_steps
from sparserec_np.kernels.draws import STRIDE, take_examples
from sparserec_np.losses import Loss, bpr, softmax
from sparserec_np.optim import Optimizer
from sparserec_np.released import release_memory
from sparserec_np.sampling import NegativeSampler
from sparserec_np.scorers import Batches, DotScorer, Scorer
from sparserec_np.tables import SparseTable

# Users, items (the positive first) and weights.
Examples = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]

# Numbers that the accumulators of a table may have even where fewer entries are stored.
_PROBE_NUMBERS = 1 << 22

# Stored entries beside which freed batches would weigh. Less is sooner used again than fetched anew.
_WORTH_RELEASING = 1 << 23

# Examples whose batches are made ready, and then gone through, at a time where one kernel does several steps.
_FUSED_AT_ONCE = 1 << 17


@dataclass
class Side:
    """One table in training, with all that follows it.

    Parameters
    ----------
    parameter : Parameter
        The table and its probe accumulators.
    optimizer : Optimizer
        Its optimizer.
    degrees : int array (n_rows,)
        Interactions of each row.
    """

    parameter: Parameter
    optimizer: Optimizer
    degrees: npt.NDArray[Any]

    def explore(self, share: float) -> int:
        """Replace a share of the stored entries; returns how many were."""
        done = replace(self.parameter, round(share * self.parameter.table.nnz))
        self.optimizer.follow(done.carry)
        return done.n_replaced


@dataclass
class Trainer:
    """Trains a pair of tables on interactions.

    Parameters
    ----------
    users, items : Side
        The two tables; ``users`` is None where the scorer makes users of items alone.
    examples : csr_array (n_users, n_items)
        The interactions to train on; the values are handed to the loss as weights.
    loss : callable
        See `sparserec_np.losses`.
    sampler : NegativeSampler
        Source of negatives.
    negatives : int
        Negatives per positive.
    batch_size : int
        Most positives per step.
    neighbours : int
        So many positives in a row, most of them of the same user, go into the same step: a user's row is read
        and updated a fraction as often, for several positives at a time.
    schedule : CosineSchedule
        When to explore and how much.
    grow_by : {"accumulated", "last_batch", "none"}
        Which gradients inactive entries are judged by: those of the whole interval; those of its last
        batch (as in RigL and DSL); or the mask stays as it is.
    probe_fraction : float
        Share of the rows that are probe rows.
    rng : numpy.random.Generator
        Orders the examples and draws the probe rows.
    scorer : Scorer
        How scores are made of the tables.
    distillation : Distillation or None
        What a teacher adds to the loss.
    """

    users: Side | None
    items: Side
    examples: sparse.csr_array
    loss: Loss
    sampler: NegativeSampler
    negatives: int
    batch_size: int
    schedule: CosineSchedule
    grow_by: str
    probe_fraction: float
    rng: np.random.Generator
    scorer: Scorer = field(default_factory=DotScorer)
    distillation: Distillation | None = None
    neighbours: int = 1
    step: int = 0
    n_replaced: int = 0

    def __post_init__(self) -> None:
        self._lengths = np.diff(self.examples.indptr)
        self._items, self._weights = self.examples.indices, self.examples.data
        # Who has every item gives nothing to rank: no negative exists.
        rankable = self._lengths < self.examples.shape[1]
        if self.negatives and not rankable.all():
            usable = np.repeat(rankable, self._lengths)
            self._items, self._weights = self._items[usable], self._weights[usable]
            self._lengths = self._lengths * rankable
        self._ends = np.cumsum(self._lengths)
        owners = np.searchsorted(self._ends, np.arange(0, self.n_examples, STRIDE), side="right")
        self._landmarks = owners.astype(np.int32)
        # Steps before an exploration whose gradients growing goes by.
        self._n_gathered = self.schedule.every if self.grow_by == "accumulated" else 1

    @property
    def sides(self) -> list[Side]:
        """The tables in training, users first."""
        return [side for side in (self.users, self.items) if side is not None]

    @property
    def tables(self) -> tuple[SparseTable | None, SparseTable]:
        """The user and the item table as they are now."""
        return (self.users.parameter.table if self.users is not None else None), self.items.parameter.table

    @property
    def n_examples(self) -> int:
        """Positives in an epoch."""
        return len(self._items)

    def run_epoch(self) -> float:
        """Go through all interactions once, in a new random order; returns the mean loss."""
        batches = self.scorer.batches(self._lengths, self.batch_size, self.neighbours, self.rng)
        loss, done = 0.0, 0
        n_jobs = self.items.parameter.workers.n_jobs
        # As many for each thread.
        most = n_jobs
        if self._is_bpr_of_dots:
            most *= max(1, -(-_FUSED_AT_ONCE // (self.batch_size * n_jobs)))
        while done < len(batches):
            # What a batch consists of depends on no value in the tables: several are made ready at a time.
            # But an exploration changes where rows are stored, and which rows are probes.
            if self._gathers_from(self.step + 1):
                self._draw_probes()
            n = 1
            while n < min(most, len(batches) - done) and not self._changes_rows_after(self.step + n):
                n += 1
            firsts = [self.sampler.reserve(self.batch_size * self.negatives) for _ in range(n)]
            run = self._run_fused if self._is_bpr_of_dots else self._run_by_tape
            loss += run(batches, range(done, done + n), firsts)
            self.step += n
            done += n
            if self._explores_at(self.step):
                self._explore()
        return loss / max(1, self.n_examples)

    def _explores_at(self, step: int) -> bool:
        """Whether the tables' patterns change after a step."""
        return self.grow_by != "none" and self.schedule.is_due(step)

    def _gathers_from(self, step: int) -> bool:
        """Whether the steps that growing goes by begin with this one."""
        return self._explores_at(step + self._n_gathered - 1)

    def _changes_rows_after(self, step: int) -> bool:
        return self._explores_at(step) or self._gathers_from(step + 1)

    def _examples_of(self, batch: npt.NDArray[Any], first_draw: int) -> Examples:
        """Take the examples with these ascending numbers, and draw their negatives."""
        n = len(batch)
        users, weights = np.empty(n, dtype=np.int32), np.empty(n, dtype=self._weights.dtype)
        items = np.empty((n, 1 + self.negatives), dtype=np.int32)
        examples = self._ends, self._landmarks, self._items, self._weights
        take_examples(0, n, batch, *examples, users, items, weights)
        if self.negatives:
            self.sampler.fill(users, items, first_draw)
        return users, items, weights

    def _run_fused(self, batches: Batches, numbers: range, firsts: list[int]) -> float:
        """Move the tables by some batches of BPR; returns their summed loss."""
        assert self.users is not None
        prepared = BprBatches(len(numbers), self.batch_size, self.users.parameter, self.items.parameter)

        def prepare(start: int, stop: int) -> None:
            for i in range(start, stop):
                users, items, _ = self._examples_of(batches[numbers[i]], firsts[i])
                prepared.lay_out(i, users, items)

        self.items.parameter.workers.run(prepare, len(numbers), min_share=1)
        return sum(bpr_steps(prepared, self.users.optimizer, self.items.optimizer))

    def _run_by_tape(self, batches: Batches, numbers: range, firsts: list[int]) -> float:
        """Move the tables by some batches of any loss; returns their summed loss."""
        prepared: dict[int, Examples] = {}

        def prepare(start: int, stop: int) -> None:
            for i in range(start, stop):
                prepared[i] = self._examples_of(batches[numbers[i]], firsts[i])

        self.items.parameter.workers.run(prepare, len(numbers), min_share=1)
        return sum(self._follow_tape(*prepared.pop(i)) for i in range(len(numbers)))

    def _explore(self) -> None:
        """Prune and grow, one table in a thread; the probes have served."""
        self._release_memory()
        share = self.schedule.share(self.step)
        replaced: list[int] = []

        def explore(start: int, stop: int) -> None:
            replaced.extend(side.explore(share) for side in self.sides[start:stop])

        self.items.parameter.workers.run(explore, len(self.sides), min_share=1)
        self.n_replaced += sum(replaced)
        self._drop_probes()

    def _follow_tape(
        self, users: npt.NDArray[Any], items: npt.NDArray[Any], weights: npt.NDArray[Any]
    ) -> float:
        """Move the tables down the gradients of any loss; returns it, summed over the examples."""
        tape = Tape()
        tables = [tape.variable(side.parameter) for side in self.sides]
        user_table = tables[0] if self.users is not None else None
        scores = self.scorer(user_table, tables[-1], users, items, self.rng)
        loss = self.loss(scores, weights)
        if self.distillation is not None:
            loss = loss + self.distillation.loss(scores, users, items)
        for side, gradient in zip(self.sides, tape.backward(loss, tables), strict=True):
            side.optimizer.step(gradient)
        return float(loss.value)

    @property
    def _is_bpr_of_dots(self) -> bool:
        # With one negative the softmax of a sample is BPR.
        is_bpr = self.negatives == 1 and self.loss in (bpr, softmax)
        is_plain = type(self.scorer) is DotScorer and self.distillation is None
        return is_bpr and is_plain and self.items.parameter.table.data.dtype == np.float32

    def _draw_probes(self) -> None:
        """Draw the probe rows, those of one table in a thread."""
        draws = [self.rng.standard_exponential(len(side.degrees)) for side in self.sides]

        def draw(start: int, stop: int) -> None:
            for side, of_side in zip(self.sides[start:stop], draws[start:stop], strict=True):
                table = side.parameter.table
                # Beyond a few megabytes in proportion to what is stored, however wide the table is.
                most = max(_PROBE_NUMBERS, table.nnz // 2) // table.dim
                n = max(1, min(round(self.probe_fraction * table.n_rows), most))
                # The square root evens out a long tail: frequent rows first, rare ones not never.
                draw_probes(side.parameter, np.sqrt(side.degrees), n, of_side)

        self.items.parameter.workers.run(draw, len(self.sides), min_share=1)
        draws.clear()
        self._release_memory()

    def _release_memory(self) -> None:
        if sum(side.parameter.table.nnz for side in self.sides) > _WORTH_RELEASING:
            release_memory()

    def _drop_probes(self) -> None:
        for side in self.sides:
            side.parameter.clear_probes()
