"""From interactions to a pair of trained tables: mask, optimizers, epochs, early stopping."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.autograd import Parameter
from sparserec_np.distillation import Distillation
from sparserec_np.errors import SettingError
from sparserec_np.exploration import MASKS, CosineSchedule, n_stored, split_budget
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import Loss, squared
from sparserec_np.models.outcome import Outcome, Record, Standing
from sparserec_np.optim import OPTIMIZERS
from sparserec_np.released import release_memory
from sparserec_np.sampling import NegativeSampler
from sparserec_np.scorers import Scorer
from sparserec_np.tables import SparseTable
from sparserec_np.training import Side, Trainer

# Share of the training after which the mask is left alone; RigL stops at three quarters, too.
_EXPLORATION_END = 0.75

# Steps that an epoch is made of by default; where an interaction has one negative, half as many are as good.
_STEPS = 64
# Least interactions of a batch by default, and most; with few pairs for each, most stored entries of as many
# rows.
_LEAST_BATCH, _BATCH_SIZE = 1024, 8192
_BATCH_ENTRIES = 1 << 20

# Where an example has one negative, what each user's row costs beside it is shared by so many examples of
# theirs in a step; but a batch is of this many groups of such at least, or it is of too few users.
_NEIGHBOURS = 32
_GROUPS = 768


@dataclass(frozen=True)
class Validation:
    """By what epochs are compared, and when there have been enough of them.

    Parameters
    ----------
    measure : callable
        ``measure(users, items) -> metrics``; its ``"goodness"`` is compared, larger is better.
    patience : int
        Epochs without improvement until training stops.
    window : int
        An epoch counts by the mean of so many, itself and those before it, the start among them: where few
        people are measured, the best single one is the luckiest.
    keep : bool
        Whether the best tables are wanted. Where only their epoch and their metrics are, no copy is made.
    """

    measure: Callable[[SparseTable | None, SparseTable], Record]
    patience: int
    window: int = 1
    keep: bool = True


def n_negatives(settings: dict[str, Any], loss: Loss) -> int:
    """Negatives per positive: as set, but none for a loss that would not look at them."""
    return 0 if loss is squared else int(settings["negatives"])


def initial_tables(
    settings: dict[str, Any],
    user_items: sparse.csr_array,
    rng: np.random.Generator,
    workers: Workers,
    scorer: Scorer,
    vectors: npt.NDArray[np.float32] | None = None,
) -> tuple[SparseTable, SparseTable]:
    """Make the user and the item table that training starts from; parameters as for `build_trainer`.

    The number of entries follows from ``density`` and ``dim``. They are spread over tables of that width, or
    of the ``width`` that an estimator has beside it. ``vectors`` are singular vectors of the interactions, as
    many as columns at least, where they are at hand.
    """
    n_users, n_items = user_items.shape
    density, dim = settings["density"], settings["dim"]
    width = settings.get("width") or dim
    # Where users have no rows, items may have more than dim entries a row, up to all of their width.
    budget = (0, min(n_stored(density, n_users, n_items, dim), n_items * width))
    if scorer.needs_users:
        budget = split_budget(density, n_users, n_items, dim, settings["user_share"])
    for name, n_rows, n in zip(("user", "item"), (n_users, n_items), budget, strict=True):
        if n == 0 and (name == "item" or scorer.needs_users):
            raise SettingError(
                f"density is {density:g}, which leaves no entry in the {name} table of {n_rows} rows and dim "
                f"{dim}; use a larger density or dim"
            )
    tables = MASKS[settings["mask_init"]](
        user_items, width, budget, rng=rng, workers=workers, vectors=vectors
    )
    scorer.prepare(*tables, settings["init_scale"], rng)
    release_memory()
    return tables


def build_trainer(
    settings: dict[str, Any],
    loss: Loss,
    user_items: sparse.csr_array,
    targets: npt.NDArray[np.float32],
    seed: np.random.SeedSequence,
    workers: Workers,
    scorer: Scorer,
    start: tuple[SparseTable, SparseTable] | None = None,
    distillation: Distillation | None = None,
) -> Trainer:
    """Set up tables, optimizers and sampler for one training.

    Parameters
    ----------
    settings : dict
        The estimator's settings, by name.
    loss : callable
        See `sparserec_np.losses`.
    user_items : csr_array (n_users, n_items)
        Interactions to train on.
    targets : float32 array (nnz,)
        What the loss gets as the weight of each interaction.
    seed : numpy.random.SeedSequence
        Everything random follows from it.
    workers : Workers
        Threads to use; the result does not depend on their number.
    scorer : Scorer
        How scores are made of the tables. Where it needs no user table all entries go to the items.
    start : (SparseTable, SparseTable), optional
        Tables that `initial_tables` made earlier, trained in place; made anew without.
    distillation : Distillation, optional
        What a teacher adds to the loss.

    Raises
    ------
    SettingError
        If the density leaves a table without any entry.
    """
    rng = np.random.default_rng(seed)
    tables = initial_tables(settings, user_items, rng, workers, scorer) if start is None else start
    sides: list[Side | None] = []
    degrees = (np.diff(user_items.indptr), np.bincount(user_items.indices, minlength=user_items.shape[1]))
    for table, degree in zip(tables, degrees, strict=True):
        if not table.nnz:
            sides.append(None)
            continue
        parameter = Parameter(table, workers)
        optimizer = OPTIMIZERS[settings["optimizer"]](
            parameter, settings["learning_rate"], settings["regularization"]
        )
        sides.append(Side(parameter, optimizer, degree.astype(np.int32)))
    negatives = n_negatives(settings, loss)
    batch_size = settings["batch_size"] or _batch_size(user_items.nnz, negatives, tables)
    neighbours = min(max(batch_size // _GROUPS, 1), _NEIGHBOURS) if negatives == 1 else 1
    steps = math.ceil(user_items.nnz / batch_size)
    users, items = sides
    assert items is not None
    return Trainer(
        users=users,
        items=items,
        examples=sparse.csr_array((targets, user_items.indices, user_items.indptr), shape=user_items.shape),
        loss=loss,
        sampler=NegativeSampler(user_items, settings["popularity_power"], int(rng.integers(2**63)), workers),
        negatives=negatives,
        batch_size=batch_size,
        schedule=CosineSchedule(
            settings["prune_fraction"],
            settings["update_every"] or steps,
            int(_EXPLORATION_END * steps * settings["epochs"]),
        ),
        grow_by=settings["grow_by"],
        probe_fraction=settings["probe_fraction"],
        rng=rng,
        scorer=scorer,
        distillation=distillation,
        neighbours=neighbours,
    )


def _batch_size(n_interactions: int, negatives: int, tables: tuple[SparseTable, SparseTable]) -> int:
    """Interactions per step: a share of all, so that rows occur in a batch as often however many there are.

    A row's gradient is then made and applied as often in an epoch on large data as on small, and the cost of
    an interaction is the same. But a batch must not need memory to speak of.
    """
    largest, steps = _BATCH_SIZE, _STEPS // 2 if negatives == 1 else _STEPS
    if negatives <= 1:
        # Few pairs; what is held for each is as much as its rows have entries.
        nnz, n_rows = sum(table.nnz for table in tables), sum(table.n_rows for table in tables)
        largest = max(largest, _BATCH_ENTRIES // max(8, nnz // n_rows))
    return min(max(n_interactions // steps, _LEAST_BATCH), largest)


def run_epochs(
    trainer: Trainer,
    epochs: int,
    stop_at: int,
    validation: Validation | None,
    on_epoch: Callable[[Record], None],
    *,
    standing: Standing | None = None,
    save: Callable[[Standing, Record, bool], None] | None = None,
) -> Outcome:
    """Train, validate after every epoch, keep the best tables and stop when they no longer improve.

    The tables that training starts from compete, too: on little data a good start may be the best there is.
    But they do not count as an epoch to improve on before training stops: what a strong penalty takes from a
    good start at first may come back, and more, in the epochs after.

    Parameters
    ----------
    trainer : Trainer
        Ready to run.
    epochs : int
        The most epochs that there may be: the horizon of the schedules.
    stop_at : int
        Epoch after which to stop all the same.
    validation : Validation or None
        None to keep the last tables.
    on_epoch : callable
        Called with the record of each epoch.
    standing : Standing, optional
        Where to go on, for a trainer that stands there; at the start by default.
    save : callable, optional
        Called, before ``on_epoch``, with where the training stands, the record of the epoch and whether it
        was the last one.
    """
    keeps = validation is not None and validation.keep
    if standing is None:
        standing = _at_start(trainer, validation)
    while not _ended(standing, stop_at, validation):
        start = time.perf_counter()
        replaced_before = trainer.n_replaced
        epoch, loss = standing.epoch + 1, trainer.run_epoch()
        if not math.isfinite(loss):
            raise SettingError(
                f"the training diverged in epoch {epoch}: the loss is {loss}; use a learning_rate below "
                f"{trainer.items.optimizer.learning_rate:g}, or a larger regularization"
            )
        users, items = trainer.tables
        replaced = trainer.n_replaced - replaced_before
        nnz = items.nnz + (users.nnz if users is not None else 0)
        record: Record = {
            "epoch": epoch,
            "epochs": epochs,
            "loss": loss,
            "nnz": nnz,
            "density": nnz / (sum(trainer.examples.shape) * items.dim),
            "n_pruned": replaced,
            "n_grown": replaced,
        }
        reached = _measured(trainer, epoch, validation)
        record |= reached.validation
        record["seconds"] = time.perf_counter() - start
        standing.latest.append(reached.goodness)
        reached.goodness = statistics.fmean(standing.latest)
        if reached.goodness >= standing.best.goodness:
            standing.best = reached  # the copies of before are gone before others are made
            if keeps:
                standing.best.keep(*trainer.tables)
        standing.trained = max(standing.trained, (reached.goodness, epoch))
        standing.epoch = epoch
        if save is not None:
            save(standing, record, _ended(standing, stop_at, validation))
        on_epoch(record)
    best = standing.best
    if validation is None:
        best.users, best.items = trainer.tables
    return best


def _at_start(trainer: Trainer, validation: Validation | None) -> Standing:
    best = _measured(trainer, 0, validation)
    if validation is not None and validation.keep:
        best.keep(*trainer.tables)
    window = validation.window if validation is not None else 1
    return Standing(0, best, deque([best.goodness], maxlen=window), (-math.inf, 0))


def _ended(standing: Standing, stop_at: int, validation: Validation | None) -> bool:
    if standing.epoch >= stop_at:
        return True
    since_best = standing.epoch - standing.trained[1]
    return validation is not None and standing.epoch > 0 and since_best >= validation.patience


def _measured(trainer: Trainer, epoch: int, validation: Validation | None) -> Outcome:
    """Measure the tables as they are."""
    metrics = {}
    if validation is not None:
        metrics = validation.measure(*trainer.tables)
        release_memory()
    return Outcome(None, None, epoch, metrics, metrics.pop("goodness", 0.0))
