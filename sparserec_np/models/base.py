"""What the estimators share: settings, fitting, answers, saving."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from sparserec_np import metrics
from sparserec_np.data import Interactions
from sparserec_np.errors import DataError
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import LOSSES, Loss
from sparserec_np.models.amounts import AMOUNTS, amount_of
from sparserec_np.models.answers import Answers
from sparserec_np.models.checkpoint import Checkpoint
from sparserec_np.models.fitting import n_negatives
from sparserec_np.models.outcome import Outcome, Record
from sparserec_np.models.run import VALIDATION_K, Run
from sparserec_np.models.settings import check_settings
from sparserec_np.models.stored import Stored
from sparserec_np.runtime import Recommender
from sparserec_np.scorers import DotScorer, Scorer
from sparserec_np.tables import SparseTable
from sparserec_np.teachers import AUTO_TEACHER, affordable_teacher

# Widths to try, in multiples of dim. Beyond, the start costs more than it gives.
_WIDTHS = (1, 2, 4, 8)

Callback = Callable[[Record], None]
Self = TypeVar("Self", bound="SparseRecommender")  # typing has it from Python 3.11 on


class SparseRecommender(Answers, Stored):
    """Base of the estimators; subclasses bring settings with defaults, losses, and what they train on."""

    #: Names of the losses that this estimator takes.
    losses: ClassVar[tuple[str, ...]] = ()
    #: Width in multiples of dim where data is thin: a start says too little there to choose by; 0 to choose.
    thin_width: ClassVar[int] = 0

    # The settings that all estimators have; `_store` sets them.
    density: float
    dim: int
    loss: str | Loss
    learning_rate: float | None
    regularization: float | None
    epochs: int | None
    batch_size: int | None
    negatives: int | None
    popularity_power: float
    mask_init: str
    init_scale: float | None
    update_every: int | None
    prune_fraction: float | None
    grow_by: str
    probe_fraction: float
    optimizer: str
    teacher: Any
    teacher_weight: float | None
    teacher_temperature: float
    early_stopping: int | None
    validation_fraction: float
    refit: bool
    random_state: Any
    n_jobs: int | None
    verbose: bool

    def _store(self, settings: dict[str, Any]) -> None:
        """Keep the arguments of ``__init__`` as they are, under their names: scikit-learn's convention."""
        for name in self._get_param_names():
            setattr(self, name, settings[name])

    # ---- fitting --------------------------------------------------------------------------------------

    def fit(
        self: Self,
        interactions: Any,
        callback: Callback | None = None,
        *,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Train on interactions.

        Parameters
        ----------
        interactions : Interactions, or scipy sparse (n_users, n_items)
            Users in rows, items in columns; not modified.
        callback : callable, optional
            Called after each epoch with its record, a dict such as those in ``history_``.
        checkpoint : Checkpoint, optional
            Keeps the training in a file while it runs, so that it can go on after an interruption.

        Returns
        -------
        self

        Raises
        ------
        SettingError
            For a setting out of its range.
        DataError
            For interactions that nothing can be learnt from.
        ModelFormatError
            For a checkpoint to go on from that is damaged.
        """
        self.check_settings()
        data = (
            interactions if isinstance(interactions, Interactions) else Interactions.from_matrix(interactions)
        )
        data.check()
        # All is learnt by another object and taken over in one step: whatever stops the training, also
        # Ctrl-C, leaves this estimator as it was.
        fitted = self._with_settings_alone()
        fitted._learn(data, callback, checkpoint)
        self._take_over(fitted)
        return self

    def _learn(self, data: Interactions, callback: Callback | None, checkpoint: Checkpoint | None) -> None:
        """Train, and keep what was learnt; the settings are checked."""
        loss = LOSSES[self.loss] if isinstance(self.loss, str) else self.loss
        self.amount_ = amount_of(data)
        self.settings_ = self.settings_for(self.amount_)
        if self.settings_["teacher"] == AUTO_TEACHER:
            self.settings_["teacher"] = affordable_teacher(data.n_items)
        _check_enough(data, ranks=n_negatives(self.settings_, loss) > 0)

        def on_epoch(record: Record) -> None:
            if self.verbose:
                print(_line(record), file=sys.stderr)
            if callback is not None:
                callback(record)

        with Workers(self.n_jobs) as workers:
            run = Run(self, data, loss, workers, on_epoch, checkpoint)
            outcome = run.run()
            self._assemble(run, outcome, data, workers)
        if isinstance(self.random_state, np.random.Generator):
            self.settings_["random_state"] = run.entropy
        self.learning_rate_ = run.settings["learning_rate"]
        self.baseline_ = run.baseline
        self.n_epochs_ = outcome.epoch
        self.history_ = run.history
        self._data = self._model_data(data)
        self._recommender = Recommender(self._data)

    #: Whether tables are trained at all, and whether parts are chosen on held-out interactions.
    trains_table: bool = True
    selects_parts: bool = False

    def _select(
        self,
        train: Interactions,
        held_out: Interactions | None,
        outcome: Outcome,
        rng: np.random.Generator,
        workers: Workers,
    ) -> dict[str, Any]:
        """Choose what the score is a sum of, beside the best tables of the training with a hold-out; JSON."""
        return {}

    def uses_table(self, selection: dict[str, Any]) -> bool:
        """Whether the trained tables are part of what `_select` chose."""
        return True

    def _assemble(self, run: Run, outcome: Outcome, data: Interactions, workers: Workers) -> None:
        """Keep the tables that answers are made of."""
        assert outcome.items is not None
        self.validation_ = outcome.validation
        self.users_ = None if outcome.users is None else _without_untrained(outcome.users, data)
        self.items_ = outcome.items

    def widths(self, data: Interactions) -> list[int]:
        """Return the widths that ``width=None`` tries on some interactions, ascending."""
        most = max(min(data.user_items.shape), self.dim)
        return [factor * self.dim for factor in _WIDTHS if factor * self.dim <= most]

    def widest(self, data: Interactions) -> int:
        """Return the largest of `widths`."""
        return self.widths(data)[-1]

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


def _without_untrained(users: SparseTable, data: Interactions) -> SparseTable:
    """Set the rows of users without interactions to 0: their first values, drawn at random, say nothing.

    The entries stay stored, so that the budget is what was asked for.
    """
    untrained = np.diff(data.user_items.indptr) == 0
    if not untrained.any():
        return users
    values = users.data.copy()
    values[np.repeat(untrained, np.diff(users.indptr))] = 0
    return SparseTable(users.indptr, users.indices, values, users.dim)


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


def _line(record: Record) -> str:
    measured = [f"{name} {record[name]:.4f}" for name in (f"ndcg@{VALIDATION_K}", "rmse") if name in record]
    return f"epoch {record['epoch']}/{record['epochs']}  loss {record['loss']:.4f}  " + "  ".join(
        [*measured, f"replaced {record['n_pruned']}", f"{record['seconds']:.1f} s"]
    )
