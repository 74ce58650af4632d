from types import SimpleNamespace

import numpy as np
import pytest

from sparserec_np.models.fitting import Validation, run_epochs
from sparserec_np.tables import SparseTable


def scripted(start, *epochs):
    """A trainer that does nothing but count, and a validation that says what is given."""
    table = SparseTable.from_positions(np.arange(6), (2, 3))
    trainer = SimpleNamespace(
        items=SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.1)),
        examples=np.zeros((2, 2)),
        tables=(None, table),
        n_replaced=0,
        ran=0,
    )

    def run_epoch():
        trainer.ran += 1
        table.data[:] = trainer.ran
        return 1.0

    trainer.run_epoch = run_epoch
    says = iter((start, *epochs))

    def measure(users, items):
        found = next(says)
        return {"ndcg@20": found, "goodness": found}

    def run(**how):
        return run_epochs(trainer, len(epochs), len(epochs), Validation(measure, **how), lambda _: None)

    return trainer, run


@pytest.mark.parametrize(
    ("window", "chosen"),
    [
        (1, 1),  # the lucky one
        (3, 5),  # means of three, the start among them: 0.3, 0.23, 0.3, 0.25, 0.34
    ],
)
def test_the_best_epoch_is_that_of_the_best_mean(window, chosen):
    trainer, run = scripted(0.1, 0.5, 0.1, 0.3, 0.35, 0.37)
    outcome = run(patience=9, window=window)
    assert outcome.epoch == chosen
    assert outcome.validation == {"ndcg@20": [0.5, 0.1, 0.3, 0.35, 0.37][chosen - 1]}
    assert (outcome.items.data == chosen).all()
    assert trainer.ran == 5


@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_start_that_is_never_reached_is_kept(window):
    trainer, run = scripted(0.5, 0.4, 0.45, 0.3, 0.2)
    outcome = run(patience=9, window=window)
    assert outcome.epoch == 0
    assert outcome.goodness == 0.5
    assert (outcome.items.data != trainer.tables[1].data).any()


def test_patience_counts_from_the_best_trained_mean():
    trainer, run = scripted(0.5, 0.1, 0.2, 0.15, 0.1, 0.1, 0.1)
    run(patience=2)
    assert trainer.ran == 4
    trainer, run = scripted(0.1, 0.1, 0.3, 0.1, 0.1, 0.1, 0.1)
    run(patience=2, window=2)  # 0.1, 0.2, 0.2, 0.1, 0.1: the later of equals
    assert trainer.ran == 5
