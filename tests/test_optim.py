import numpy as np
import pytest
from tables_by_hand import dense, mask, random_table

from sparserec_np.autograd import Parameter
from sparserec_np.exploration import Replacement
from sparserec_np.kernels.workers import Workers
from sparserec_np.optim import OPTIMIZERS
from sparserec_np.tables import TableGradient

RATE, L2 = 0.1, 0.03


class DenseSGD:
    def __init__(self, shape):
        pass

    def step(self, w, g, active):
        w[active] -= RATE * g[active]


class DenseAdagrad:
    def __init__(self, shape):
        self.squares = np.full(shape, 0.1)

    def step(self, w, g, active):
        self.squares[active] += g[active] ** 2
        w[active] -= RATE * g[active] / (np.sqrt(self.squares[active]) + 1e-8)


class DenseLazyAdam:
    def __init__(self, shape):
        self.first, self.second, self.steps = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    def step(self, w, g, active):
        self.steps[active] += 1
        self.first[active] = 0.9 * self.first[active] + 0.1 * g[active]
        self.second[active] = 0.999 * self.second[active] + 0.001 * g[active] ** 2
        mean = self.first[active] / (1 - 0.9 ** self.steps[active])
        spread = self.second[active] / (1 - 0.999 ** self.steps[active])
        w[active] -= RATE * mean / (np.sqrt(spread) + 1e-8)


DENSE = {"sgd": DenseSGD, "adagrad": DenseAdagrad, "adam": DenseLazyAdam}


def random_gradient(table, rng):
    """A gradient on some rows, some of which occur several times."""
    rows = np.unique(rng.integers(table.n_rows, size=table.n_rows // 2))
    gradient = TableGradient.empty_like(table, rows, rng.integers(1, 4, len(rows)))
    gradient.values[:] = rng.standard_normal(len(gradient.values))
    return gradient


@pytest.mark.parametrize("l2", [0.0, L2])
@pytest.mark.parametrize("density", [0.3, 1.0])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_the_dense_optimizer_on_stored_entries_of_touched_rows(name, density, l2):
    rng = np.random.default_rng(0)
    table = random_table(12, 6, density)
    optimizer, reference = OPTIMIZERS[name](Parameter(table), RATE, l2), DENSE[name](table.shape)
    weights, stored = dense(table), mask(table)
    for _ in range(10):
        gradient = random_gradient(table, rng)
        g = gradient.to_scipy(table).toarray()
        touched = np.zeros((12, 1), dtype=bool)
        touched[gradient.rows] = True
        # L2 is charged for each occurrence of a row.
        g[gradient.rows] += l2 * gradient.counts[:, None] * weights[gradient.rows]
        reference.step(weights, g, touched & stored)
        optimizer.step(gradient)
        np.testing.assert_allclose(dense(table), weights, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_float32(name):
    table = random_table(12, 6, 0.5, dtype=np.float32)
    optimizer = OPTIMIZERS[name](Parameter(table), RATE, L2)
    reference = random_table(12, 6, 0.5, dtype=np.float64)
    reference.data[:] = table.data
    exact = OPTIMIZERS[name](Parameter(reference), RATE, L2)
    rng = np.random.default_rng(0)
    for _ in range(5):
        gradient = random_gradient(table, rng)
        optimizer.step(gradient)
        exact.step(
            TableGradient(gradient.rows, gradient.counts, gradient.starts, gradient.values.astype(float))
        )
    assert table.data.dtype == np.float32
    assert {state.dtype for state in optimizer.state.values()} <= {np.dtype(np.float32)}
    np.testing.assert_allclose(table.data, reference.data, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_threads_do_not_change_a_bit(name):
    results = []
    for n_jobs in (1, 2, 3):
        with Workers(n_jobs) as workers:
            table = random_table(4000, 6, 0.3, dtype=np.float32)
            optimizer = OPTIMIZERS[name](Parameter(table, workers), RATE, L2)
            rng = np.random.default_rng(0)
            for _ in range(3):
                gradient = random_gradient(table, rng)
                assert len(gradient.rows) > 3 * 256
                optimizer.step(gradient)
            results.append(table.data.tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_is_as_sparse_as_the_table(name):
    table = random_table(12, 6, 0.3)
    for state in OPTIMIZERS[name](Parameter(table), RATE).state.values():
        assert state.shape == (table.nnz,)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_follows_its_entry_and_is_fresh_for_new_ones(name):
    table = random_table(4, 4, 0.5)
    optimizer = OPTIMIZERS[name](Parameter(table), RATE)
    fresh = {name: state[0] for name, state in optimizer.state.items()}
    for state in optimizer.state.values():
        state[:] = np.arange(1, 9)
    kept = np.array([True, False, True, True, False, True, True, True])
    grown = np.isin(np.arange(8), [1, 7])
    optimizer.follow(Replacement(kept, grown, 2).carry)
    for slot, state in optimizer.state.items():
        np.testing.assert_array_equal(state, [1, fresh[slot], 3, 4, 6, 7, 8, fresh[slot]])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_loss_falls(name):
    table = random_table(5, 4, 1.0)
    target = np.random.default_rng(1).standard_normal((5, 4))
    optimizer = OPTIMIZERS[name](Parameter(table), 0.05)
    before = ((dense(table) - target) ** 2).sum()
    rows = np.arange(5)
    for _ in range(100):
        gradient = TableGradient.empty_like(table, rows, np.ones(5, dtype=np.int64))
        gradient.values[:] = (dense(table) - target).reshape(-1)
        optimizer.step(gradient)
    assert ((dense(table) - target) ** 2).sum() < 0.5 * before
