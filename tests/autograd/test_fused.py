import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparserec_np.autograd import Parameter, Tape, dot
from sparserec_np.autograd.fused import bpr_of_dots
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import bpr
from sparserec_np.tables import SparseTable


def parameter(rng, n_rows, dim, density, workers):
    n = n_rows * dim
    positions = np.sort(rng.choice(n, round(density * n), replace=False))
    table = SparseTable.from_positions(positions, (n_rows, dim))
    table.data[:] = rng.normal(size=table.nnz)
    slots = np.where(rng.random(n_rows) < 0.5, 0, -1).astype(np.int32)
    slots[slots == 0] = np.arange(np.count_nonzero(slots == 0))
    accumulators = np.zeros((np.count_nonzero(slots >= 0), dim), np.float32)
    return Parameter(table, workers, slots, accumulators)


def batch(seed, n_users, n_items, dim, density, size, workers):
    rng = np.random.default_rng(seed)
    users = parameter(rng, n_users, dim, density, workers)
    items = parameter(rng, n_items, dim, density, workers)
    rows = np.sort(rng.integers(0, n_users, size, dtype=np.int32))
    return users, items, rows, rng.integers(0, n_items, (size, 2), dtype=np.int32)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 99), st.integers(1, 30), st.integers(1, 30), st.integers(1, 40),
    st.floats(0, 1), st.integers(1, 60),
)  # fmt: skip
def test_bpr_of_dots_is_what_the_tape_computes(seed, n_users, n_items, dim, density, size):
    arguments = (seed, n_users, n_items, dim, density, size)
    users, items, rows, partners = batch(*arguments, Workers(1))
    loss, gradients = bpr_of_dots(users, items, rows, partners)
    theirs = batch(*arguments, Workers(1))[:2]
    tape = Tape()
    tables = [tape.variable(side) for side in theirs]
    expected = bpr(dot(*tables, rows, partners), np.ones(size, np.float32))
    assert loss == pytest.approx(float(expected.value), rel=1e-5)
    for ours, its, gradient, wanted in zip(
        (users, items), theirs, gradients, tape.backward(expected, tables), strict=True
    ):
        for name in ("rows", "counts", "starts"):
            np.testing.assert_array_equal(getattr(gradient, name), getattr(wanted, name))
        np.testing.assert_allclose(gradient.values, wanted.values, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(ours.accumulators, its.accumulators, rtol=1e-4, atol=1e-4)


def test_bpr_of_dots_has_the_same_bits_for_any_number_of_threads():
    results = []
    for n_jobs in (1, 2, 3):
        with Workers(n_jobs) as workers:
            users, items, rows, partners = batch(0, 700, 500, 24, 0.2, 3000, workers)
            loss, gradients = bpr_of_dots(users, items, rows, partners)
            arrays = [*(g.values for g in gradients), users.accumulators, items.accumulators]
            results.append((loss, *(array.tobytes() for array in arrays)))
    assert results[0] == results[1] == results[2]
