"""What the estimators share: settings, fitting, answers, saving."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparserec_np import __version__, metrics
from sparserec_np.data import Interactions, split_random
from sparserec_np.distillation import Distillation
from sparserec_np.errors import DataError, NotFittedError, SettingError
from sparserec_np.exploration.blockwise import is_large
from sparserec_np.exploration.singular import singular_items
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import LOSSES, Loss
from sparserec_np.models.answers import Answers
from sparserec_np.models.estimator import Estimator
from sparserec_np.models.fitting import (
    Outcome,
    Record,
    build_trainer,
    initial_tables,
    n_negatives,
    run_epochs,
)
from sparserec_np.models.settings import check_settings
from sparserec_np.models.teaching import make_distillation
from sparserec_np.runtime import ModelData, Recommender, SeenItems, TableData, save_model
from sparserec_np.scorers import DotScorer, Scorer
from sparserec_np.tables import SparseTable, index_dtype
from sparserec_np.teachers import AUTO_TEACHER, affordable_teacher

VALIDATION_K = 20
# Enough users to tell epochs apart; more would cost time and training data.
_VALIDATION_USERS = 10_000
# Below so many of them the difference between two epochs is mostly chance: epochs are compared by means of
# several then. On MovieLens 100K, of 943 users, the best single epoch was early, by luck.
_TELLING_USERS = 2000
_WINDOW = 5

# Amounts of data that settings may be left to. MovieLens 100K is well below the first limit, Gowalla well
# above; below both, MovieLens cut to 10 interactions a user wants what Gowalla cut to 5 wants, and MovieLens
# cut to 20, with 15 an item, what the whole of it wants.
AMOUNTS = ("thin", "few", "many")
_MANY_INTERACTIONS = 200_000
_THIN_PER_ITEM = 12

# Widths to try, in multiples of dim. Beyond, the start costs more than it gives.
_WIDTHS = (1, 2, 4, 8)

# How often the learning rate is quartered where training does not improve on its start.
_BACKOFFS = 2

Callback = Callable[[Record], None]
# The user and the item table before training.
Start = tuple[SparseTable, SparseTable]


class SparseRecommender(Answers, Estimator):
    """Base of the estimators; subclasses bring settings with defaults, losses, and what they train on."""

    #: Names of the losses that this estimator takes.
    losses: ClassVar[tuple[str, ...]] = ()
    #: Settings that may be None, and what they then are for each of `AMOUNTS`.
    by_amount: ClassVar[dict[str, tuple[Any, Any, Any]]] = {}
    #: Width in multiples of dim where data is thin: a start says too little there to choose by; 0 to choose.
    thin_width: ClassVar[int] = 0

    def _store(self, settings: dict[str, Any]) -> None:
        """Keep the arguments of ``__init__`` as they are, under their names: scikit-learn's convention."""
        for name in self._get_param_names():
            setattr(self, name, settings[name])

    # ---- fitting --------------------------------------------------------------------------------------

    def fit(self, interactions: Any, callback: Callback | None = None) -> SparseRecommender:
        """Train on interactions.

        Parameters
        ----------
        interactions : Interactions, or scipy sparse (n_users, n_items)
            Users in rows, items in columns; not modified.
        callback : callable, optional
            Called after each epoch with its record, a dict such as those in ``history_``.

        Returns
        -------
        self

        Raises
        ------
        SettingError
            For a setting out of its range.
        DataError
            For interactions that nothing can be learnt from.
        """
        self.check_settings()
        loss = LOSSES[self.loss] if isinstance(self.loss, str) else self.loss
        data = (
            interactions if isinstance(interactions, Interactions) else Interactions.from_matrix(interactions)
        )
        self.amount_ = amount_of(data)
        self.settings_ = self.settings_for(self.amount_)
        if self.settings_["teacher"] == AUTO_TEACHER:
            self.settings_["teacher"] = affordable_teacher(data.n_items)
        _check_enough(data, ranks=n_negatives(self.settings_, loss) > 0)
        split_seed, train_seed, refit_seed = _seed_sequence(self.random_state).spawn(3)
        history: list[Record] = []

        def on_epoch(record: Record) -> None:
            history.append(record)
            if self.verbose:
                print(_line(record), file=sys.stderr)
            if callback is not None:
                callback(record)

        with Workers(self.n_jobs) as workers:
            settings, outcome = self._train_and_stop(data, loss, split_seed, train_seed, workers, on_epoch)
            self.learning_rate_ = settings["learning_rate"]
            self.validation_ = outcome.validation
            if outcome.items is None:
                # All that was held out is to be learnt, too, for as many epochs.
                distillation = make_distillation(settings, data, refit_seed.spawn(1)[0], workers)
                outcome = self._train(
                    settings, data, None, loss, refit_seed, outcome.epoch, workers, on_epoch, distillation
                )
        assert outcome.items is not None
        self.users_ = outcome.users
        self.items_ = outcome.items
        self.n_epochs_ = outcome.epoch
        self.history_ = history
        self._data = self._model_data(data)
        self._recommender = Recommender(self._data)
        return self

    def _train_and_stop(
        self,
        data: Interactions,
        loss: Loss,
        split_seed: np.random.SeedSequence,
        train_seed: np.random.SeedSequence,
        workers: Workers,
        on_epoch: Callback,
    ) -> tuple[dict[str, Any], Outcome]:
        """Train, with validation where that is asked for; returns the settings that were used, too.

        There are no tables in the outcome where training is to be done once more, on everything.
        """
        train, held_out = self._split(data, split_seed)
        settings, start = self._settle(train, held_out, train_seed, workers)
        distillation = make_distillation(settings, train, train_seed.spawn(1)[0], workers)
        for attempt in range(1 + _BACKOFFS):
            if attempt:
                # All that training did was harm: the steps were too long for what there is to learn.
                settings["learning_rate"] /= 4
                if start is not None:
                    vectors = self._shared_vectors(train, train_seed, workers)
                    start = self._start(settings, train, train_seed, workers, vectors)
            outcome = self._train(
                settings, train, held_out, loss, train_seed, self.settings_["epochs"], workers, on_epoch,
                distillation, start,
            )  # fmt: skip
            if held_out is None or outcome.epoch:
                break
        self.baseline_ = _popularity_metrics(train, held_out, workers)
        return settings, outcome

    def _split(
        self, data: Interactions, seed: np.random.SeedSequence
    ) -> tuple[Interactions, Interactions | None]:
        """Hold interactions out to stop by, where that is asked for and there are enough."""
        if not self.settings_["early_stopping"]:
            return data, None
        train, held_out = split_random(
            data, self.validation_fraction, np.random.default_rng(seed), n_users=_VALIDATION_USERS
        )
        if not held_out.n_interactions:
            # Too few interactions to spare any: train on all of them, for all epochs.
            return data, None
        if not data.weighted:
            # All weights are 1: no copy of them is needed.
            train.user_items.data = data.user_items.data[: train.n_interactions]
        return train, held_out

    def _start(
        self,
        settings: dict[str, Any],
        train: Interactions,
        seed: np.random.SeedSequence,
        workers: Workers,
        vectors: npt.NDArray[np.float32] | None = None,
    ) -> Start:
        """Make the tables that training starts from, the same each time."""
        rng = np.random.default_rng(seed)
        return initial_tables(settings, train.user_items, rng, workers, self._scorer(train), vectors)

    def _settle(
        self,
        train: Interactions,
        held_out: Interactions | None,
        seed: np.random.SeedSequence,
        workers: Workers,
    ) -> tuple[dict[str, Any], Start | None]:
        """Return all settings, with those that were left to the data, and the tables if made for them."""
        settings = dict(self.settings_)
        # A dense table is as wide as was asked for, and a random start says nothing about a width.
        chooses = settings.get("width", self.dim) is None and self.density < 1 and self.mask_init != "random"
        if chooses and self.thin_width and self.amount_ == "thin":
            return settings | {"width": min(self.thin_width * self.dim, self.widest(train))}, None
        if not chooses or held_out is None:
            return settings, None
        width, start = self._best_width(settings, train, held_out, seed, workers)
        return settings | {"width": width}, start

    def _shared_vectors(
        self, train: Interactions, seed: np.random.SeedSequence, workers: Workers
    ) -> npt.NDArray[np.float32] | None:
        """Decompose once for all widths: a narrower table starts from a part of what a wider one does."""
        widest = self.widest(train)
        if is_large(train.user_items.shape, widest):
            return None
        return singular_items(train.user_items, widest, np.random.default_rng(seed), workers)

    def widest(self, data: Interactions) -> int:
        """Return the widest table that ``width=None`` tries on some interactions."""
        most = max(min(data.user_items.shape), self.dim)
        return max(factor * self.dim for factor in _WIDTHS if factor * self.dim <= most)

    def _best_width(
        self,
        settings: dict[str, Any],
        train: Interactions,
        held_out: Interactions,
        seed: np.random.SeedSequence,
        workers: Workers,
    ) -> tuple[int, Start | None]:
        """Widen as long as that helps what training starts from.

        The best start is returned, too, unless the tables are so large that two of them at once are too many.
        """
        scorer = self._scorer(train)
        widest = self.widest(train)
        vectors = self._shared_vectors(train, seed, workers)

        def tried(width: int) -> tuple[float, int, Start | None]:
            start = users, items = self._start(settings | {"width": width}, train, seed, workers, vectors)
            represent = partial(scorer.represent, users if scorer.needs_users else None, items)
            goodness = self._validate(represent, items, train, held_out, workers)["goodness"]
            return goodness, width, None if is_large(train.user_items.shape, width) else start

        best = tried(self.dim)
        for width in (factor * self.dim for factor in _WIDTHS[1:]):
            if width > widest:
                break
            wider = tried(width)
            if wider[0] <= best[0]:
                break
            best = wider
        return best[1:]

    def _train(
        self,
        settings: dict[str, Any],
        train: Interactions,
        held_out: Interactions | None,
        loss: Loss,
        seed: np.random.SeedSequence,
        stop_at: int,
        workers: Workers,
        on_epoch: Callback,
        distillation: Distillation | None,
        start: Start | None = None,
    ) -> Outcome:
        """Train once, with validation where there is a hold-out."""
        scorer = self._scorer(train)
        trainer = build_trainer(
            settings,
            loss,
            train.user_items,
            self._targets(train),
            seed,
            workers,
            scorer,
            start,
            distillation,
        )
        validate = None
        if held_out is not None:

            def validate(users: SparseTable | None, items: SparseTable) -> Record:
                represent = partial(scorer.represent, users, items)
                return self._validate(represent, items, train, held_out, workers)

        epochs, patience = settings["epochs"], int(settings["early_stopping"])
        few = held_out is not None and np.count_nonzero(np.diff(held_out.user_items.indptr)) < _TELLING_USERS
        window = _WINDOW if few else 1
        return run_epochs(
            trainer, epochs, stop_at, validate, patience, on_epoch, keep=not self.refit, window=window
        )

    def _targets(self, train: Interactions) -> npt.NDArray[np.float32]:
        """Return what the loss is given as the weight of each interaction."""
        return train.user_items.data

    def _scorer(self, train: Interactions) -> Scorer:
        """Say how scores are made of the tables."""
        return DotScorer()

    def _validate(
        self,
        represent: metrics.Represent,
        items: SparseTable,
        train: Interactions,
        held_out: Interactions,
        workers: Workers,
        item_bias: npt.NDArray[np.float32] | None = None,
    ) -> Record:
        """Measure users and items on the hold-out; name as ``"goodness"`` the metric to improve."""
        measured = metrics.evaluate(
            represent,
            items,
            train.user_items,
            held_out.user_items,
            VALIDATION_K,
            item_bias=item_bias,
            n_jobs=workers.n_jobs,
        )
        return {**measured, "goodness": measured[f"ndcg@{VALIDATION_K}"]}

    def check_settings(self) -> None:
        """Check every setting; `fit` does so first.

        Raises
        ------
        SettingError
            For one out of its range, or two that contradict each other.
        """
        settings = self.get_params(deep=False)
        left_out = {name for name in self.by_amount if settings[name] is None}
        check_settings({k: v for k, v in settings.items() if k not in left_out}, self.losses)

    def settings_for(self, amount: str) -> dict[str, Any]:
        """Return all settings as they are used for one of `AMOUNTS` of data: none is left to it."""
        settings: dict[str, Any] = self.get_params(deep=False)
        for name, choices in self.by_amount.items():
            if settings[name] is None:
                settings[name] = choices[AMOUNTS.index(amount)]
        return settings

    # ---- the model as data ----------------------------------------------------------------------------

    def _model_data(self, data: Interactions) -> ModelData:
        user_items = data.user_items
        return ModelData(
            users=_table_data(self.users_) if self.users_ is not None else None,
            items=_table_data(self.items_),
            user_ids=data.users,
            item_ids=data.items,
            seen=SeenItems(user_items.indptr, user_items.indices),
            popularity=np.bincount(user_items.indices, minlength=data.n_items).astype(np.int32),
            info=self._info(data),
            **self._extra_model_data(data),
        )

    def _extra_model_data(self, data: Interactions) -> dict[str, Any]:
        """Fields of `ModelData` that only some estimators have."""
        return {}

    def _info(self, data: Interactions) -> dict[str, Any]:
        """How the model came to be; JSON, and the same for the same seed: no times, no thread counts."""
        settings = self.get_params(deep=False)
        settings = {
            name: _plain(value) for name, value in settings.items() if name not in ("n_jobs", "verbose")
        }
        return {
            "estimator": type(self).__name__,
            "settings": settings,
            "n_epochs": self.n_epochs_,
            "learning_rate": self.learning_rate_,
            "amount": self.amount_,
            "by_amount": {name: _plain(self.settings_[name]) for name in self.by_amount},
            "n_interactions": data.n_interactions,
            "validation": self.validation_,
            "baseline": self.baseline_,
            "version": __version__,
        }

    def save(self, path: str | os.PathLike[str], precision: str = "float32") -> None:
        """Write the model to a ``.srec`` file; atomically, so that no half-written file is ever seen.

        Parameters
        ----------
        path : path-like
            Replaced if it exists.
        precision : {"float32", "float16", "int8"}
            Type of the tables' values in the file; see `sparserec_np.runtime.save_model`.
        """
        self._check_fitted()
        save_model(path, self._data, precision)

    @classmethod
    def from_model_data(cls, data: ModelData) -> SparseRecommender:
        """Make the fitted estimator that a model file describes; it shares the file's arrays."""
        settings = dict(data.info["settings"])
        estimator = cls(**{name: value for name, value in settings.items() if name in cls._get_param_names()})
        estimator.users_ = _sparse_table(data.users) if data.users is not None else None
        estimator.items_ = _sparse_table(data.items)
        estimator.settings_ = estimator.get_params(deep=False) | data.info.get("by_amount", {})
        # Files of earlier versions do not tell.
        estimator.amount_ = data.info.get("amount", "many")
        estimator.n_epochs_ = data.info["n_epochs"]
        estimator.learning_rate_ = data.info["learning_rate"]
        estimator.validation_ = data.info["validation"]
        estimator.baseline_ = data.info["baseline"]
        estimator.history_ = []
        estimator._data = data
        estimator._recommender = Recommender(data)
        return estimator

    # ---- what was learnt -----------------------------------------------------------------------------

    @property
    def recommender(self) -> Recommender:
        """The NumPy-only recommender of this model, the one that answers on a device."""
        self._check_fitted()
        return self._recommender

    @property
    def width_(self) -> int:
        """Width of the tables."""
        self._check_fitted()
        return int(self.items_.dim)

    @property
    def density_(self) -> float:
        """Stored entries of both tables ÷ all their positions."""
        self._check_fitted()
        return self.nnz_ / ((len(self.recommender.user_ids) + self.items_.n_rows) * self.items_.dim)

    @property
    def nnz_(self) -> int:
        """Stored entries of both tables."""
        self._check_fitted()
        return self.items_.nnz + (self.users_.nnz if self.users_ is not None else 0)

    def _check_fitted(self) -> None:
        if not hasattr(self, "_recommender"):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(interactions) first"
            )


def amount_of(data: Interactions) -> str:
    """Tell which of `AMOUNTS` some interactions are."""
    if data.n_interactions >= _MANY_INTERACTIONS:
        return "many"
    return "thin" if data.n_interactions < _THIN_PER_ITEM * data.n_items else "few"


def _check_enough(data: Interactions, ranks: bool) -> None:
    n_users, n_items = data.user_items.shape
    if data.n_interactions == 0:
        raise DataError("there are no interactions to learn from")
    if n_items < 2:
        raise DataError(f"there is {n_items} item; ranking needs at least 2")
    if data.n_interactions == n_users * n_items and (ranks or not data.weighted):
        raise DataError(
            f"every one of the {n_users} users has every one of the {n_items} items: there is nothing to "
            "tell apart; keep only real positives (--min-rating), or fit ratings with the loss 'squared'"
        )


def _popularity_metrics(train: Interactions, held_out: Interactions | None, workers: Workers) -> Record:
    """Measure the most-popular baseline on the same hold-out."""
    if held_out is None:
        return {}
    popularity = np.bincount(train.user_items.indices, minlength=train.n_items)
    return metrics.evaluate_popularity(
        popularity, train.user_items, held_out.user_items, VALIDATION_K, n_jobs=workers.n_jobs
    )


def _seed_sequence(random_state: Any) -> np.random.SeedSequence:
    """Make the root of everything random in a fit."""
    if random_state is None or (isinstance(random_state, int | np.integer) and random_state >= 0):
        return np.random.SeedSequence(random_state)
    if isinstance(random_state, np.random.Generator):
        return np.random.SeedSequence(int(random_state.integers(2**63)))
    raise SettingError(
        f"random_state is {random_state!r}; expected None, an integer of at least 0 "
        "or a numpy.random.Generator"
    )


def _table_data(table: SparseTable) -> TableData:
    return TableData(table.indptr, table.indices, table.data, table.dim)


def _sparse_table(data: TableData) -> SparseTable:
    index: Any = index_dtype(data.n_rows, data.dim, data.nnz)
    return SparseTable(
        np.asarray(data.indptr, dtype=index),
        np.asarray(data.indices, dtype=index),
        np.asarray(data.values),
        data.dim,
    )


def _plain(value: Any) -> Any:
    """Turn a setting into JSON: a function into its name, a generator into its kind."""
    if isinstance(value, np.generic):
        value = value.item()
    try:
        json.dumps(value)
    except TypeError:
        return getattr(value, "__name__", type(value).__name__)
    return value


def _line(record: Record) -> str:
    measured = [f"{name} {record[name]:.4f}" for name in (f"ndcg@{VALIDATION_K}", "rmse") if name in record]
    return f"epoch {record['epoch']}/{record['epochs']}  loss {record['loss']:.4f}  " + "  ".join(
        [*measured, f"replaced {record['n_pruned']}", f"{record['seconds']:.1f} s"]
    )
