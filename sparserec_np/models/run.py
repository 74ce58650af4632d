"""One run of an estimator's ``fit``: what is held out, how wide the tables are, training, and once more."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparserec_np import metrics
from sparserec_np.data import Interactions, split_random
from sparserec_np.distillation import Distillation
from sparserec_np.errors import ModelFormatError, SettingError, shown
from sparserec_np.exploration.blockwise import is_large
from sparserec_np.exploration.singular import singular_items
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import Loss
from sparserec_np.models.checkpoint import Checkpoint, fingerprint, understood
from sparserec_np.models.fitting import Validation, build_trainer, initial_tables, run_epochs
from sparserec_np.models.outcome import Outcome, Record, Standing
from sparserec_np.models.plain import how_to_mend, to_plain
from sparserec_np.models.standing import (
    restore_trainer,
    standing_from_plain,
    standing_to_plain,
    take_tables,
    trainer_to_plain,
)
from sparserec_np.models.teaching import make_distillation
from sparserec_np.runtime.table_data import MAX_DIM
from sparserec_np.scorers import Scorer
from sparserec_np.tables import SparseTable
from sparserec_np.training import Trainer

if TYPE_CHECKING:
    from sparserec_np.models.base import SparseRecommender

VALIDATION_K = 20
# Enough users to tell epochs apart; more would cost time and training data.
_VALIDATION_USERS = 10_000
# Users with so many interactions are held out from, if there are so many of them. On Steam the order of eight
# settings of item-item weights is then that of the test part; with all users it is not.
_LEAST_HISTORY, _ENOUGH_USERS = 5, 1000
# Below so many of them the difference between two epochs is mostly chance: epochs are compared by means of
# several then. On MovieLens 100K, of 943 users, the best single epoch was early, by luck.
_TELLING_USERS = 2000
_WINDOW = 5

# How often the learning rate is quartered where training does not improve on its start.
_BACKOFFS = 2
# Settings that a run may change.
_CHOSEN = ("learning_rate", "width")

# The user and the item table before training.
Start = tuple[SparseTable, SparseTable]
Vectors = npt.NDArray[np.float32]


class Run:
    """One run of ``fit``.

    Parameters
    ----------
    estimator : SparseRecommender
        Asked for its scorer, its targets and its measure of goodness; ``settings_`` and ``amount_`` are set.
    data : Interactions
        All that there is to learn from.
    loss : callable
        See `sparserec_np.losses`.
    workers : Workers
    on_epoch : callable
        Called with the record of each epoch.
    checkpoint : Checkpoint, optional
        Where the training is kept, and goes on from.

    Attributes
    ----------
    settings : dict
        All settings as they were used in the end, the learning rate and the width among them.
    entropy : int
        What the seed of everything random was made of.
    history : list of dict
        The records of all epochs, those before an interruption included.
    baseline : dict
        What the most popular items score on the held-out interactions; empty without.
    selection : dict
        The parts that the estimator chose on held-out interactions, as JSON; empty where it has no choice.
    """

    def __init__(
        self,
        estimator: SparseRecommender,
        data: Interactions,
        loss: Loss,
        workers: Workers,
        on_epoch: Callable[[Record], None],
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._estimator = estimator
        self._data = data
        self._loss = loss
        self._workers = workers
        self._on_epoch = on_epoch
        self._checkpoint = checkpoint
        # What to go on from, until the training stands there.
        self._saved = None if checkpoint is None else checkpoint.begin(fingerprint(estimator, data))
        self.settings: dict[str, Any] = dict(estimator.settings_)
        self.baseline: Record = {}
        self.history: list[Record] = []
        self.selection: dict[str, Any] = {}
        # Of the training with a hold-out: how often smaller steps were tried, and whether for a width that
        # was chosen tables were made to start from. Of the one after it: what the first one came to.
        self._attempt, self._had_start = 0, False
        self._first: Outcome | None = None
        if self._saved is None:
            seed = seed_sequence(estimator.random_state)
        else:
            with understood(self._checkpoint_path):
                seed = self._stand_where(self._saved.state)
        self.entropy: Any = seed.entropy
        split_seed, self._train_seed, self._refit_seed, self._selection_seed = seed.spawn(4)
        self._train, self._held_out = self._split(split_seed)
        self._scorer = estimator._scorer(self._train)

    def run(self) -> Outcome:
        """Train, with validation where that is asked for; returns the final tables and how they did."""
        if self._first is None:
            outcome = self._train_and_stop() if self._estimator.trains_table else self._untrained()
            if self._estimator.selects_parts:
                rng = np.random.default_rng(self._selection_seed)
                self.selection = self._estimator._select(
                    self._train, self._held_out, outcome, rng, self._workers
                )
                if not self._estimator.uses_table(self.selection):
                    return outcome
                if self._held_out is not None and self.settings["refit"]:
                    outcome.users = outcome.items = None
            if outcome.items is not None:
                return outcome
            self._first = outcome
        first = self._first
        # All that was held out is to be learnt, too, for as many epochs; the parts are not needed any more.
        del self._train, self._held_out, self._scorer
        distillation = self._distillation(self._data, self._refit_seed)
        scorer = self._estimator._scorer(self._data)
        refitted = self._train_once(self._data, None, scorer, self._refit_seed, first.epoch, distillation)
        refitted.validation = first.validation
        return refitted

    def _split(self, seed: np.random.SeedSequence) -> tuple[Interactions, Interactions | None]:
        """Hold interactions out to stop by, where that is asked for and there are enough."""
        data = self._data
        if not self.settings["early_stopping"]:
            return data, None
        train, held_out = hold_out(data, self.settings["validation_fraction"], seed)
        if not held_out.n_interactions:
            # Too few interactions to spare any: train on all of them, for all epochs.
            return data, None
        if not data.weighted:
            # All weights are 1: no copy of them is needed.
            train.user_items.data = data.user_items.data[: train.n_interactions]
        return train, held_out

    def _untrained(self) -> Outcome:
        """Return what stands for a table that the model does without."""
        self.baseline = self._popularity()
        return Outcome(None, None, 0, {}, 0.0)

    def _train_and_stop(self) -> Outcome:
        """Train on what is not held out.

        There are no tables in the outcome where training is to be done once more, on everything.
        """
        start = None
        if self._saved is None:
            start = self._settle_width()
            self._had_start = start is not None
        distillation = self._distillation(self._train, self._train_seed)
        reached = self._attempt
        for self._attempt in range(reached, 1 + _BACKOFFS):
            if self._attempt > reached:
                # All that training did was harm: the steps were too long for what there is to learn.
                self.settings["learning_rate"] /= 4
                if self._had_start:
                    start = self._start(self.settings, self._decompose())
            outcome = self._train_once(
                self._train,
                self._held_out,
                self._scorer,
                self._train_seed,
                self.settings["epochs"],
                distillation,
                start,
            )
            if self._held_out is None or outcome.epoch:
                break
        self.baseline = self._popularity()
        return outcome

    # ---- what training starts from --------------------------------------------------------------------

    def _settle_width(self) -> Start | None:
        """Choose the width if that is left to the data; returns the tables if they were made for that."""
        estimator, settings = self._estimator, self.settings
        # A dense table is as wide as was asked for, and a random start says nothing about a width.
        is_open = settings.get("width", estimator.dim) is None
        if not is_open or estimator.density == 1 or estimator.mask_init == "random":
            return None
        if estimator.thin_width and estimator.amount_ == "thin":
            settings["width"] = min(estimator.thin_width * estimator.dim, estimator.widest(self._train))
            return None
        if self._held_out is None:
            return None
        settings["width"], start = self._best_width(self._held_out)
        return start

    def _best_width(self, held_out: Interactions) -> tuple[int, Start | None]:
        """Widen as long as that helps what training starts from.

        The best start is returned, too, unless the tables are so large that two of them at once are too many.
        """
        estimator, train, scorer = self._estimator, self._train, self._scorer
        vectors = self._decompose()

        def tried(width: int) -> tuple[float, int, Start | None]:
            start = users, items = self._start(self.settings | {"width": width}, vectors)
            represent = partial(scorer.represent, users if scorer.needs_users else None, items)
            goodness = estimator._validate(represent, items, train, held_out, self._workers)["goodness"]
            return goodness, width, None if is_large(train.user_items.shape, width) else start

        best: tuple[float, int, Start | None] | None = None
        for width in estimator.widths(train):
            wider = tried(width)
            if best is not None and wider[0] <= best[0]:
                break
            best = wider
        assert best is not None
        return best[1:]

    def _decompose(self) -> Vectors | None:
        """Decompose once for all widths: a narrower table starts from a part of what a wider one does."""
        user_items, widest = self._train.user_items, self._estimator.widest(self._train)
        if is_large(user_items.shape, widest):
            return None
        return singular_items(user_items, widest, np.random.default_rng(self._train_seed), self._workers)

    def _start(self, settings: dict[str, Any], vectors: Vectors | None) -> Start:
        """Make the tables that training starts from, the same each time."""
        rng = np.random.default_rng(self._train_seed)
        return initial_tables(settings, self._train.user_items, rng, self._workers, self._scorer, vectors)

    # ---- training -------------------------------------------------------------------------------------

    def _distillation(self, train: Interactions, seed: np.random.SeedSequence) -> Distillation | None:
        return make_distillation(self.settings, train, seed.spawn(1)[0], self._workers)

    def _train_once(
        self,
        train: Interactions,
        held_out: Interactions | None,
        scorer: Scorer,
        seed: np.random.SeedSequence,
        stop_at: int,
        distillation: Distillation | None,
        start: Start | None = None,
    ) -> Outcome:
        """Train once, with validation where there is a hold-out; go on from a checkpoint if there is one."""
        estimator, settings, workers = self._estimator, self.settings, self._workers
        saved, self._saved = self._saved, None
        shapes = self._table_shapes()
        if saved is not None:
            with understood(self._checkpoint_path):
                start = take_tables(saved.tensors, shapes, scorer.needs_users)
        trainer = build_trainer(
            settings,
            self._loss,
            train.user_items,
            estimator._targets(train),
            seed,
            workers,
            scorer,
            start,
            distillation,
        )
        validation = None
        if held_out is not None:

            def measure(users: SparseTable | None, items: SparseTable) -> Record:
                represent = partial(scorer.represent, users, items)
                return estimator._validate(represent, items, train, held_out, workers)

            few = np.count_nonzero(np.diff(held_out.user_items.indptr)) < _TELLING_USERS
            window = _WINDOW if few else 1
            patience = int(settings["early_stopping"])
            # What is chosen beside the table is chosen by the best one.
            keep = estimator.selects_parts or not settings["refit"]
            validation = Validation(measure, patience, window, keep=keep)
        standing = None
        if saved is not None:
            with understood(self._checkpoint_path):
                restore_trainer(trainer, saved.state["trainer"], saved.tensors)
                window = 1 if validation is None else validation.window
                standing = standing_from_plain(
                    saved.state["standing"], saved.tensors, shapes, window, scorer.needs_users
                )
            del saved

        def on_epoch(record: Record) -> None:
            self.history.append(record)
            self._on_epoch(record)

        def save(standing: Standing, record: Record, ended: bool) -> None:
            if self._checkpoint is not None and (ended or self._checkpoint.is_due):
                self._write(self._checkpoint, trainer, standing, record)

        return run_epochs(
            trainer, settings["epochs"], stop_at, validation, on_epoch, standing=standing, save=save
        )

    # ---- going on after an interruption ---------------------------------------------------------------

    @property
    def _checkpoint_path(self) -> str:
        return "" if self._checkpoint is None else self._checkpoint.path

    def _table_shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        width = self.settings.get("width") or self.settings["dim"]
        return (self._data.n_users, width), (self._data.n_items, width)

    def _write(self, checkpoint: Checkpoint, trainer: Trainer, standing: Standing, record: Record) -> None:
        """Write where the training stands after an epoch."""
        tensors, of_trainer = trainer_to_plain(trainer)
        more, of_epochs = standing_to_plain(standing)
        first = self._first
        chosen = {name: to_plain(self.settings[name]) for name in _CHOSEN if name in self.settings}
        state = {
            "seed": str(self.entropy),
            "settings": chosen,
            "attempt": self._attempt,
            "had_start": self._had_start,
            "first": None if first is None else {"epoch": first.epoch, "validation": first.validation},
            "selection": self.selection,
            "baseline": self.baseline,
            "history": [*self.history, record],
            "trainer": of_trainer,
            "standing": of_epochs,
        }
        checkpoint.write(tensors | more, state)

    def _stand_where(self, state: dict[str, Any]) -> np.random.SeedSequence:
        """Take up what `_write` wrote of the run itself; returns its seed."""
        for name in _CHOSEN:
            if name in self.settings:
                self.settings[name] = state["settings"][name]
        if not 1 <= self._table_shapes()[0][1] <= MAX_DIM:
            raise ModelFormatError(f"width is {shown(self.settings['width'])}; expected 1 to {MAX_DIM}")
        self._attempt, self._had_start = state["attempt"], state["had_start"]
        if state["first"] is not None:
            self._first = Outcome(None, None, state["first"]["epoch"], state["first"]["validation"], 0.0)
        self.baseline = state["baseline"]
        self.selection = dict(state["selection"])
        self.history = list(state["history"])
        return np.random.SeedSequence(int(state["seed"]))

    def _popularity(self) -> Record:
        """Measure the most-popular baseline on the same hold-out."""
        if self._held_out is None:
            return {}
        train = self._train
        popularity = np.bincount(train.user_items.indices, minlength=train.n_items)
        return metrics.evaluate_popularity(
            popularity,
            train.user_items,
            self._held_out.user_items,
            VALIDATION_K,
            n_jobs=self._workers.n_jobs,
        )


def hold_out(
    data: Interactions, fraction: float, seed: np.random.SeedSequence
) -> tuple[Interactions, Interactions]:
    """Hold interactions out to stop and to choose by.

    Of short histories one interaction is too large a part: what is left is not what a model is asked with,
    and methods by co-occurrence, which lose most, look worse than they are. So they are left whole where
    there are enough others.
    """
    has_enough = np.diff(data.user_items.indptr) >= _LEAST_HISTORY
    least = _LEAST_HISTORY if np.count_nonzero(has_enough) >= _ENOUGH_USERS else 1
    return split_random(data, fraction, np.random.default_rng(seed), n_users=_VALIDATION_USERS, least=least)


def seed_sequence(random_state: Any) -> np.random.SeedSequence:
    """Make the root of everything random in a fit.

    Raises
    ------
    SettingError
        For anything but None, an integer of at least 0 or a generator.
    """
    if random_state is None or (isinstance(random_state, int | np.integer) and random_state >= 0):
        return np.random.SeedSequence(random_state)
    if isinstance(random_state, np.random.Generator):
        return np.random.SeedSequence(int(random_state.integers(2**63)))
    raise SettingError(
        f"random_state is {random_state!r}; expected None, an integer of at least 0 "
        f"or a numpy.random.Generator{how_to_mend('random_state', random_state)}"
    )
