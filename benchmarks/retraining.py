"""Train dense, prune by magnitude, retrain: the control that is sparse only afterwards (Han et al. 2015)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from datasets import validation_split

from sparserec_np import SparseBPR, metrics
from sparserec_np.autograd import Parameter
from sparserec_np.data import Interactions
from sparserec_np.exploration import largest, split_budget
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import LOSSES
from sparserec_np.models.amounts import amount_of
from sparserec_np.models.fitting import Validation, build_trainer, run_epochs
from sparserec_np.models.outcome import Outcome, Record
from sparserec_np.models.stored import table_data
from sparserec_np.optim import OPTIMIZERS
from sparserec_np.runtime import ModelData
from sparserec_np.scorers import DotScorer
from sparserec_np.tables import SparseTable

Tables = tuple[SparseTable, SparseTable]


def strongest(table: SparseTable, n: int) -> SparseTable:
    """Keep the ``n`` entries of largest magnitude, values and all; of equal ones those that stand first."""
    kept = largest(np.abs(table.data), n)
    pruned = SparseTable.from_positions(table.positions()[kept], table.shape)
    pruned.data[:] = table.data[kept]
    return pruned


def pruned(tables: Tables, density: float, user_share: float) -> Tables:
    """Prune both tables to what the estimators store of each at ``density``."""
    users, items = tables
    budget = split_budget(density, users.n_rows, items.n_rows, items.dim, user_share)
    return strongest(users, budget[0]), strongest(items, budget[1])


def prune_and_retrain(train: Interactions, seed: int, density: float, **changed: Any) -> ModelData:
    """Train dense tables, prune them once and train what is left, all with the settings of `SparseBPR`.

    Both stages stop early on the hold-out that the estimator would use, and are run again on everything for
    as many epochs.
    """
    settings = SparseBPR(**changed, grow_by="none", random_state=seed).settings_for(amount_of(train))
    part, held_out = validation_split(train, seed)
    with Workers(settings["n_jobs"]) as workers:
        run = partial(_run, settings=settings, seed=seed, workers=workers)
        epochs: list[int] = [settings["epochs"]] * 2
        for data, test in ((part, held_out), (train, None)):
            dense = run(data, test, epochs[0])
            assert dense.users is not None
            assert dense.items is not None
            sparse = run(
                data, test, epochs[1], pruned((dense.users, dense.items), density, settings["user_share"])
            )
            epochs = [dense.epoch, sparse.epoch]
    assert sparse.users is not None
    assert sparse.items is not None
    return ModelData(
        users=table_data(sparse.users),
        items=table_data(sparse.items),
        user_ids=train.users,
        item_ids=train.items,
        seen=None,
        popularity=np.bincount(train.user_items.indices, minlength=train.n_items).astype(np.int32),
        info={"epochs": epochs},
    )


def _run(
    train: Interactions,
    held_out: Interactions | None,
    stop_at: int,
    start: Tables | None = None,
    *,
    settings: dict[str, Any],
    seed: int,
    workers: Workers,
) -> Outcome:
    """Train from ``start``, or dense from the estimator's own start."""
    settings = settings | ({"density": 1.0} if start is None else {"mask_init": "random"})
    scorer = DotScorer()
    trainer = build_trainer(
        settings,
        LOSSES[settings["loss"]],
        train.user_items,
        train.user_items.data,
        np.random.SeedSequence(seed),
        workers,
        scorer,
    )
    for side, table in zip(trainer.sides, start or (), strict=start is not None):
        side.parameter = Parameter(table, workers)
        side.optimizer = OPTIMIZERS[settings["optimizer"]](
            side.parameter, settings["learning_rate"], settings["regularization"]
        )

    def measure(users: SparseTable | None, items: SparseTable) -> Record:
        assert held_out is not None
        represent = partial(scorer.represent, users, items)
        found = metrics.evaluate(
            represent, items.to_scipy(), train.user_items, held_out.user_items, n_jobs=workers.n_jobs
        )
        return {**found, "goodness": found["ndcg@20"]}

    validation = Validation(measure, settings["early_stopping"]) if held_out is not None else None
    return run_epochs(trainer, settings["epochs"], stop_at, validation, lambda record: None)
