import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.special import softmax
from tables_by_hand import dense, mask, random_table

from sparserec_np import losses
from sparserec_np.autograd import Parameter, total
from sparserec_np.data import make_interactions
from sparserec_np.exploration import CosineSchedule, random_tables, sample_rows, split_budget
from sparserec_np.kernels.workers import Workers
from sparserec_np.optim import OPTIMIZERS
from sparserec_np.sampling import NegativeSampler
from sparserec_np.training import Side, Trainer

RATE, L2, SEED = 0.1, 0.01, 11


def make_trainer(user_items, tables, *, workers=None, optimizer="adagrad", loss=losses.softmax, **settings):
    settings = {
        "negatives": 3,
        "batch_size": 16,
        "schedule": CosineSchedule(0.3, every=2, end=20),
        "grow_by": "accumulated",
        "probe_fraction": 0.5,
    } | settings
    workers = workers or Workers(1)
    sides = []
    for table in tables:
        parameter = Parameter(table, workers)
        sides.append(Side(parameter, OPTIMIZERS[optimizer](parameter, RATE, L2), np.ones(table.n_rows)))
    return Trainer(
        *sides,
        examples=user_items,
        loss=loss,
        sampler=NegativeSampler(user_items, 0.0, SEED, workers),
        rng=np.random.default_rng(SEED),
        **settings,
    )


def small():
    user_items = make_interactions(12, 15, 60, random_state=0).user_items
    return user_items, [random_table(12, 6, 0.4, 1), random_table(15, 6, 0.4, 2)]


def masks(trainer):
    return [side.parameter.table.positions() for side in (trainer.users, trainer.items)]


# ---- the same computation on masked dense arrays --------------------------------------------------------


def dense_training(trainer, epochs):
    """Train with softmax and Adagrad on dense arrays with masks, by the book; returns the two arrays."""
    user_items, schedule = trainer.examples, trainer.schedule
    rng = np.random.default_rng(SEED)
    sampler = NegativeSampler(user_items, 0.0, SEED, Workers(1))
    tables = []
    for side in (trainer.users, trainer.items):
        table = side.parameter.table
        tables.append(
            SimpleNamespace(
                w=dense(table), mask=mask(table), squares=np.full(table.shape, 0.1), sums=None, probes=None
            )
        )

    def draw_probes():
        for t in tables:
            n_rows = len(t.w)
            n_probes = max(1, round(trainer.probe_fraction * n_rows))
            t.probes = sample_rows(np.ones(n_rows), n_probes, rng.standard_exponential(n_rows))
            t.sums = np.zeros(t.w.shape)

    users_of, items_of = user_items.nonzero()
    gathered = schedule.every if trainer.grow_by == "accumulated" else 1
    step = 0
    for _ in range(epochs):
        for batch in trainer.scorer.batches(
            np.diff(user_items.indptr), trainer.batch_size, trainer.neighbours, rng
        ):
            users = users_of[batch]
            items = np.empty((len(batch), 1 + trainer.negatives), dtype=np.int32)
            items[:, 0] = items_of[batch]
            sampler.fill(users, items, sampler.reserve(trainer.batch_size * trainer.negatives))
            step += 1
            due = trainer.grow_by != "none" and schedule.is_due(step)
            if trainer.grow_by != "none" and schedule.is_due(step + gathered - 1):
                draw_probes()

            U, V = (t.w.copy() for t in tables)
            g = softmax(np.einsum("ed,ejd->ej", U[users], V[items]), axis=1)
            g[:, 0] -= 1
            full = [np.zeros(U.shape), np.zeros(V.shape)]
            np.add.at(full[0], users, np.einsum("ej,ejd->ed", g, V[items]))
            np.add.at(full[1], items, g[:, :, None] * U[users][:, None])
            for t, gradient, rows in zip(tables, full, (users, items.ravel()), strict=True):
                if t.sums is not None:
                    t.sums += gradient
                counts = np.bincount(rows, minlength=len(t.w))[:, None]
                active = t.mask & (counts > 0)
                gradient = gradient + L2 * counts * t.w
                t.squares[active] += gradient[active] ** 2
                t.w[active] -= RATE * gradient[active] / (np.sqrt(t.squares[active]) + 1e-8)

            if due:
                for t in tables:
                    explore(t, round(schedule.share(step) * t.mask.sum()))
                    t.sums = None
    return [t.w for t in tables], [t.mask for t in tables]


def explore(t, n):
    judged = np.zeros(t.mask.shape, dtype=bool)
    judged[t.probes] = True
    scores = np.where(judged & ~t.mask, np.abs(t.sums), 0).ravel()
    n = min(n, np.count_nonzero(scores))
    grown = np.argsort(-scores, kind="stable")[:n]
    size = np.where(t.mask, np.abs(t.w), np.inf).ravel()
    pruned = np.argsort(size, kind="stable")[:n]
    for where, stored in ((pruned, False), (grown, True)):
        t.mask.flat[where] = stored
        t.w.flat[where] = 0
        t.squares.flat[where] = 0.1


@pytest.mark.parametrize("probe_fraction", [0.3, 1.0])
@pytest.mark.parametrize("grow_by", ["accumulated", "last_batch", "none"])
def test_training_is_the_masked_dense_computation(grow_by, probe_fraction):
    trainer = make_trainer(
        *small(),
        grow_by=grow_by,
        probe_fraction=probe_fraction,
        schedule=CosineSchedule(0.3, every=8, end=100),
    )
    start = masks(trainer)
    expected, stored = dense_training(trainer, 8)
    for _ in range(8):
        trainer.run_epoch()
    assert trainer.step >= 32
    assert (trainer.n_replaced > 0) == (grow_by != "none")
    for side, w, m in zip((trainer.users, trainer.items), expected, stored, strict=True):
        np.testing.assert_array_equal(mask(side.parameter.table), m)
        np.testing.assert_allclose(dense(side.parameter.table), w, atol=1e-10)
    if grow_by == "none":
        for before, after in zip(start, masks(trainer), strict=True):
            np.testing.assert_array_equal(before, after)


# ---- what exploration sees ------------------------------------------------------------------------------


def watch_accumulators(trainer):
    """Note at each step how many accumulators there are, before the backward pass."""
    seen = []
    loss = trainer.loss

    def watching(scores, weights):
        sides = (trainer.users, trainer.items)
        seen.append([len(side.parameter.accumulators) for side in sides])
        assert all(np.isfinite(side.parameter.accumulators).all() for side in sides)
        return loss(scores, weights)

    trainer.loss = watching
    return seen


def test_growth_by_the_last_batch_gathers_nothing_in_between():
    trainer = make_trainer(
        *small(), grow_by="last_batch", schedule=CosineSchedule(0.3, every=3, end=7), probe_fraction=0.5
    )
    seen = watch_accumulators(trainer)
    for _ in range(2):
        trainer.run_epoch()
    probes = [6, 8]
    assert seen == [[0, 0], [0, 0], probes, [0, 0], [0, 0], probes, [0, 0], [0, 0]]


def test_accumulated_growth_gathers_until_the_last_exploration():
    trainer = make_trainer(*small(), schedule=CosineSchedule(0.3, every=2, end=5), probe_fraction=0.5)
    seen = watch_accumulators(trainer)
    for _ in range(2):
        trainer.run_epoch()
    assert seen == [[6, 8]] * 4 + [[0, 0]] * 4


def test_a_static_mask_needs_no_accumulators():
    trainer = make_trainer(*small(), grow_by="none")
    seen = watch_accumulators(trainer)
    trainer.run_epoch()
    assert seen == [[0, 0]] * 4
    assert trainer.n_replaced == 0


@pytest.mark.parametrize("grow_by", ["accumulated", "last_batch"])
def test_a_prune_fraction_of_nothing_changes_no_mask(grow_by):
    trainer = make_trainer(*small(), grow_by=grow_by, schedule=CosineSchedule(0.0, every=1, end=20))
    before = masks(trainer)
    trainer.run_epoch()
    assert trainer.n_replaced == 0
    for one, two in zip(before, masks(trainer), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_counts_are_exact_at_every_step(optimizer):
    user_items, tables = small()
    nnz = [table.nnz for table in tables]
    trainer = make_trainer(user_items, tables, optimizer=optimizer, batch_size=4)
    loss = trainer.loss

    def counting(scores, weights):
        for side, n in zip((trainer.users, trainer.items), nnz, strict=True):
            side.parameter.table.check()
            assert side.parameter.table.nnz == n
            assert all(len(state) == n for state in side.optimizer.state.values())
        return loss(scores, weights)

    trainer.loss = counting
    for _ in range(2):
        trainer.run_epoch()
    assert trainer.n_replaced > 0


# ---- examples -------------------------------------------------------------------------------------------


def test_an_epoch_sees_every_interaction_once_with_its_weight():
    user_items, tables = small()
    user_items = user_items.copy()
    user_items.data[:] = np.arange(user_items.nnz)
    seen = []

    def loss(scores, weights):
        seen.append(weights)
        assert scores.shape == (len(weights), 4)
        return total(scores) * 0.0

    trainer = make_trainer(user_items, tables, loss=loss, batch_size=25)
    trainer.run_epoch()
    assert [len(weights) for weights in seen] == [25, 25, 10]
    first = np.concatenate(seen)
    np.testing.assert_array_equal(np.sort(first), np.arange(60))
    trainer.run_epoch()
    assert not np.array_equal(first, np.concatenate(seen[3:]))


def test_the_loss_of_an_epoch_is_the_mean_over_the_examples():
    trainer = make_trainer(*small(), loss=lambda scores, weights: 2.5 * len(weights) + 0 * total(scores))
    assert trainer.run_epoch() == pytest.approx(2.5)


def full_user():
    """Six users, five items; user 2 has every item."""
    pairs = np.zeros((6, 5), dtype=np.float32)
    pairs[:, :2] = 1
    pairs[2] = 1
    return sparse.csr_array(pairs), [random_table(6, 4, 0.5, 1), random_table(5, 4, 0.5, 2)]


def test_who_has_every_item_is_skipped_where_negatives_are_needed():
    user_items, tables = full_user()
    before = tables[0].data[tables[0].indptr[2] : tables[0].indptr[3]].copy()
    trainer = make_trainer(user_items, tables, grow_by="none")
    assert trainer.n_examples == 10
    trainer.run_epoch()
    np.testing.assert_array_equal(tables[0].data[tables[0].indptr[2] : tables[0].indptr[3]], before)


def test_who_has_every_item_takes_part_where_there_are_no_negatives():
    trainer = make_trainer(*full_user(), negatives=0, loss=losses.squared)
    assert trainer.n_examples == 15
    assert np.isfinite(trainer.run_epoch())


def test_where_everybody_has_everything_there_is_nothing_to_do():
    user_items = sparse.csr_array(np.ones((3, 4), dtype=np.float32))
    trainer = make_trainer(user_items, [random_table(3, 4, 0.5), random_table(4, 4, 0.5)])
    assert trainer.n_examples == 0
    assert trainer.run_epoch() == 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", losses.LOSSES.values(), ids=losses.LOSSES)
def test_every_loss_falls_with_every_optimizer(loss, optimizer):
    user_items = make_interactions(60, 40, 600, random_state=0).user_items
    tables = [random_table(60, 8, 0.3, 1), random_table(40, 8, 0.3, 2)]
    for table in tables:
        table.data *= 0.3
    trainer = make_trainer(user_items, tables, loss=loss, optimizer=optimizer, batch_size=64)
    for side in (trainer.users, trainer.items):
        side.optimizer.learning_rate = 0.02
    means = [trainer.run_epoch() for _ in range(8)]
    assert means[-1] < means[0]


def test_threads_do_not_change_a_bit():
    user_items = make_interactions(300, 400, 6000, random_state=0).user_items
    results = []
    for n_jobs in (1, 2, 3):
        with Workers(n_jobs) as workers:
            tables = [random_table(300, 8, 0.3, 1, np.float32), random_table(400, 8, 0.3, 2, np.float32)]
            trainer = make_trainer(
                user_items, tables, workers=workers, batch_size=1024, schedule=CosineSchedule(0.3, 3, 100)
            )
            trainer.run_epoch()
            results.append([side.parameter.table.data.tobytes() for side in (trainer.users, trainer.items)])
            assert trainer.n_replaced > 0
    assert results[0] == results[1] == results[2]


# ---- memory ---------------------------------------------------------------------------------------------


def fit_random(n, dim, grow_by):
    """Build random tables and train them for an epoch; returns the trainer and the peaks, in bytes."""
    user_items = make_interactions(n, n, 3 * n, random_state=0).user_items
    budget = split_budget(0.005, n, n, dim, 0.5)
    # NumPy reports its arrays to tracemalloc.
    tracemalloc.start()
    try:
        with Workers(2) as workers:
            tables = random_tables(user_items, dim, budget, rng=np.random.default_rng(0), workers=workers)
            trainer = make_trainer(
                user_items,
                tables,
                workers=workers,
                optimizer="adagrad",
                batch_size=1024,
                grow_by=grow_by,
                probe_fraction=0.01,
                schedule=CosineSchedule(0.2, every=20, end=100),
            )
            before, building = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            trainer.run_epoch()
            _, training = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return trainer, building, training - before


@pytest.mark.parametrize("grow_by", ["accumulated", "last_batch"])
def test_nothing_of_a_dense_tables_shape_is_ever_allocated(grow_by):
    fit_random(3000, 16, grow_by)  # what the compiler allocates is not meant
    n, dim = 20_000, 512
    trainer, building, training = fit_random(n, dim, grow_by)
    assert trainer.n_replaced > 0
    assert trainer.users.parameter.table.nnz + trainer.items.parameter.table.nnz == round(0.005 * 2 * n * dim)
    # Not even an array of bools, a byte each, would have room.
    assert building < n * dim
    assert training < n * dim
