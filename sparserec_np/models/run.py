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
from sparserec_np.errors import SettingError
from sparserec_np.exploration.blockwise import is_large
from sparserec_np.exploration.singular import singular_items
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import Loss
from sparserec_np.models.fitting import Outcome, Record, Validation, build_trainer, initial_tables, run_epochs
from sparserec_np.models.plain import how_to_mend
from sparserec_np.models.teaching import make_distillation
from sparserec_np.scorers import Scorer
from sparserec_np.tables import SparseTable

if TYPE_CHECKING:
    from sparserec_np.models.base import SparseRecommender

VALIDATION_K = 20
# Enough users to tell epochs apart; more would cost time and training data.
_VALIDATION_USERS = 10_000
# Below so many of them the difference between two epochs is mostly chance: epochs are compared by means of
# several then. On MovieLens 100K, of 943 users, the best single epoch was early, by luck.
_TELLING_USERS = 2000
_WINDOW = 5

# How often the learning rate is quartered where training does not improve on its start.
_BACKOFFS = 2

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
    seed : numpy.random.SeedSequence, optional
        Everything random follows from it; made of the estimator's ``random_state`` by default.

    Attributes
    ----------
    settings : dict
        All settings as they were used in the end, the learning rate and the width among them.
    baseline : dict
        What the most popular items score on the held-out interactions; empty without.
    """

    def __init__(
        self,
        estimator: SparseRecommender,
        data: Interactions,
        loss: Loss,
        workers: Workers,
        on_epoch: Callable[[Record], None],
        seed: np.random.SeedSequence | None = None,
    ) -> None:
        self._estimator = estimator
        self._data = data
        self._loss = loss
        self._workers = workers
        self._on_epoch = on_epoch
        seed = seed_sequence(estimator.random_state) if seed is None else seed
        split_seed, self._train_seed, self._refit_seed = seed.spawn(3)
        self.settings: dict[str, Any] = dict(estimator.settings_)
        self.baseline: Record = {}
        self._train, self._held_out = self._split(split_seed)
        self._scorer = estimator._scorer(self._train)

    def run(self) -> Outcome:
        """Train, with validation where that is asked for; returns the final tables and how they did."""
        outcome = self._train_and_stop()
        if outcome.items is not None:
            return outcome
        # All that was held out is to be learnt, too, for as many epochs; the parts are not needed any more.
        del self._train, self._held_out, self._scorer
        distillation = self._distillation(self._data, self._refit_seed)
        scorer = self._estimator._scorer(self._data)
        refitted = self._train_once(self._data, None, scorer, self._refit_seed, outcome.epoch, distillation)
        refitted.validation = outcome.validation
        return refitted

    def _split(self, seed: np.random.SeedSequence) -> tuple[Interactions, Interactions | None]:
        """Hold interactions out to stop by, where that is asked for and there are enough."""
        data = self._data
        if not self.settings["early_stopping"]:
            return data, None
        train, held_out = split_random(
            data,
            self.settings["validation_fraction"],
            np.random.default_rng(seed),
            n_users=_VALIDATION_USERS,
        )
        if not held_out.n_interactions:
            # Too few interactions to spare any: train on all of them, for all epochs.
            return data, None
        if not data.weighted:
            # All weights are 1: no copy of them is needed.
            train.user_items.data = data.user_items.data[: train.n_interactions]
        return train, held_out

    def _train_and_stop(self) -> Outcome:
        """Train on what is not held out.

        There are no tables in the outcome where training is to be done once more, on everything.
        """
        start = self._settle_width()
        distillation = self._distillation(self._train, self._train_seed)
        for attempt in range(1 + _BACKOFFS):
            if attempt:
                # All that training did was harm: the steps were too long for what there is to learn.
                self.settings["learning_rate"] /= 4
                if start is not None:
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
        """Train once, with validation where there is a hold-out."""
        estimator, settings, workers = self._estimator, self.settings, self._workers
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
            validation = Validation(measure, patience, window, keep=not settings["refit"])
        return run_epochs(trainer, settings["epochs"], stop_at, validation, self._on_epoch)

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
