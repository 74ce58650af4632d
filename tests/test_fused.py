import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparserec_np.autograd import Parameter, Tape, dot
from sparserec_np.fused import BprBatches, bpr_steps
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import bpr
from sparserec_np.optim import OPTIMIZERS
from sparserec_np.tables import SparseTable

RATE, L2 = 0.1, 0.03


def parameter(rng, n_rows, dim, density, workers):
    n = n_rows * dim
    positions = np.sort(rng.choice(n, round(density * n), replace=False))
    table = SparseTable.from_positions(positions, (n_rows, dim))
    table.data[:] = rng.normal(size=table.nnz)
    slots = np.where(rng.random(n_rows) < 0.5, 0, -1).astype(np.int32)
    slots[slots == 0] = np.arange(np.count_nonzero(slots == 0))
    accumulators = np.zeros((np.count_nonzero(slots >= 0), dim), np.float32)
    return Parameter(table, workers, slots, accumulators)


def example(seed, n_users, n_items, dim, density, size, workers):
    rng = np.random.default_rng(seed)
    users = parameter(rng, n_users, dim, density, workers)
    items = parameter(rng, n_items, dim, density, workers)
    rows = np.sort(rng.integers(0, n_users, size, dtype=np.int32))
    return users, items, rows, rng.integers(0, n_items, (size, 2), dtype=np.int32)


def step(users, items, rows, partners, optimizer="adagrad", n_steps=1):
    optimizers = [OPTIMIZERS[optimizer](side, RATE, L2) for side in (users, items)]
    batches = BprBatches(n_steps, len(rows), users, items)
    for b in range(n_steps):
        batches.lay_out(b, rows, partners)
    return sum(bpr_steps(batches, *optimizers)), optimizers


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(OPTIMIZERS)), st.integers(0, 99), st.integers(1, 30), st.integers(1, 30),
    st.integers(1, 40), st.floats(0, 1), st.integers(1, 60),
)  # fmt: skip
def test_a_step_is_the_tapes_and_the_optimizers(optimizer, seed, n_users, n_items, dim, density, size):
    arguments = (seed, n_users, n_items, dim, density, size)
    sides = example(*arguments, Workers(1))
    loss, ours = step(*sides, optimizer)
    *theirs, rows, partners = example(*arguments, Workers(1))
    tape = Tape()
    tables = [tape.variable(side) for side in theirs]
    expected = bpr(dot(*tables, rows, partners), np.ones(len(rows), np.float32))
    assert loss == pytest.approx(float(expected.value), rel=1e-5)
    for own, side, gradient in zip(ours, theirs, tape.backward(expected, tables), strict=True):
        other = OPTIMIZERS[optimizer](side, RATE, L2)
        other.step(gradient)
        # A gradient of nearly nothing may have either sign, and such an optimizer goes by the sign.
        clear = np.abs(gradient_of(other, gradient)) > 1e-3
        np.testing.assert_allclose(
            own.parameter.table.data[clear], side.table.data[clear], rtol=1e-3, atol=1e-3
        )
        np.testing.assert_allclose(own.parameter.accumulators, side.accumulators, rtol=1e-4, atol=1e-4)
        for name, state in other.state.items():
            np.testing.assert_allclose(own.state[name], state, rtol=1e-3, atol=1e-4)


def gradient_of(optimizer, gradient):
    """What moved each stored entry, the penalty left out; 1 where nothing did."""
    table = optimizer.parameter.table
    full = np.ones(table.nnz)
    full[gradient.entries(table)] = gradient.values
    return full


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_has_the_same_bits_for_any_number_of_threads(optimizer):
    results = []
    for n_jobs in (1, 2, 3):
        with Workers(n_jobs) as workers:
            sides = example(0, 700, 500, 24, 0.2, 3000, workers)
            loss, optimizers = step(*sides, optimizer, n_steps=3)
            arrays = [side.parameter.table.data for side in optimizers]
            arrays += [side.parameter.accumulators for side in optimizers]
            arrays += [state for side in optimizers for state in side.state.values()]
            results.append((loss, *(array.tobytes() for array in arrays)))
    assert results[0] == results[1] == results[2]
