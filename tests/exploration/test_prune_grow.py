import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables_by_hand import dense, mask, random_table

from sparserec_np.autograd import Parameter
from sparserec_np.exploration import draw_probes, judge_inactive, replace
from sparserec_np.optim import OPTIMIZERS
from sparserec_np.training import Side


@st.composite
def parameters(draw):
    """A table with some probe rows whose accumulators are filled; few different numbers, so many ties."""
    # Marks of 64 columns are looked at together.
    n_rows, dim = draw(st.integers(1, 8)), draw(st.one_of(st.integers(1, 8), st.integers(60, 140)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    table = random_table(n_rows, dim, draw(st.floats(0, 1)), rng.integers(2**31), np.float32)
    table.data[:] = rng.integers(-3, 4, table.nnz)
    if draw(st.booleans()):
        # Columns as a user's own table may have them; the kernels are given a copy of these.
        table.indices = table.indices.astype(np.int32)
    assert len(table.arrays[1]) == table.nnz
    parameter = Parameter(table)
    fill_probes(parameter, draw(st.integers(0, n_rows)), rng)
    return parameter


def fill_probes(parameter, n, rng):
    n_rows = parameter.table.n_rows
    draw_probes(parameter, np.ones(n_rows), n, rng.standard_exponential(n_rows))
    parameter.accumulators[:] = rng.integers(-3, 4, parameter.accumulators.shape)


def inactive_gradients(parameter):
    """Absolute accumulated gradients as a dense array; NaN where an entry is stored or its row no probe."""
    out = np.full(parameter.table.shape, np.nan)
    rows = np.flatnonzero(parameter.slots >= 0)
    out[rows] = np.abs(parameter.accumulators[parameter.slots[rows]])
    out[mask(parameter.table)] = np.nan
    return out


@given(parameters())
def test_scores_are_the_gradients_of_the_probe_rows_where_nothing_is_stored(parameter):
    rows = np.flatnonzero(parameter.slots >= 0)
    expected = np.nan_to_num(inactive_gradients(parameter)[rows])
    np.testing.assert_array_equal(np.abs(judge_inactive(parameter)), expected)


@given(parameters(), st.integers(0, 70) | st.integers(71, 1200))
def test_what_is_pruned_what_is_grown_and_what_stays(parameter, n):
    old, new = parameter.table.copy(), parameter.table
    before, gradients = dense(old), inactive_gradients(parameter)
    done = replace(parameter, n)

    new.check()
    assert new.nnz == old.nnz
    assert new.shape == old.shape
    assert new.data.dtype == old.data.dtype
    assert done.n_replaced == min(n, old.nnz, np.count_nonzero(gradients > 0))

    kept, pruned, grown = mask(old) & mask(new), mask(old) & ~mask(new), mask(new) & ~mask(old)
    assert pruned.sum() == grown.sum() == done.n_replaced
    after = dense(new)
    np.testing.assert_array_equal(after[kept], before[kept])
    np.testing.assert_array_equal(after[grown], 0)
    if pruned.any() and kept.any():
        assert np.abs(before[pruned]).max() <= np.abs(before[kept]).min()
    left = (gradients > 0) & ~grown
    assert (gradients[grown] > 0).all()
    if grown.any() and left.any():
        assert gradients[grown].min() >= gradients[left].max()

    # Where each entry went.
    np.testing.assert_array_equal(old.positions()[done.kept], new.positions()[~done.grown])
    np.testing.assert_array_equal(new.data[~done.grown], old.data[done.kept])
    # In place, and what kernels get is of the new pattern.
    assert parameter.table is new
    np.testing.assert_array_equal(new.arrays[1], new.indices)
    # Nothing is judged any more.
    assert (parameter.slots == -1).all()
    assert parameter.accumulators.shape == (0, new.dim)


@given(parameters(), st.sampled_from(sorted(OPTIMIZERS)), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_any_sequence_keeps_the_count_and_the_state_follows(parameter, optimizer, shares):
    rng = np.random.default_rng(0)
    nnz = parameter.table.nnz
    side = Side(parameter, OPTIMIZERS[optimizer](parameter, 0.1), np.ones(parameter.table.n_rows))
    fresh = {name: state[0] for name, state in side.optimizer.state.items()} if nnz else {}
    for share in shares:
        # Let every entry's state be its position.
        for state in side.optimizer.state.values():
            state[:] = parameter.table.positions() + 1
        old = parameter.table.copy()
        n_replaced = side.explore(share)
        new = parameter.table
        new.check()
        assert new.nnz == nnz
        assert n_replaced <= round(share * nnz)
        was_stored = np.isin(new.positions(), old.positions())
        assert (~was_stored).sum() == n_replaced
        for slot, state in side.optimizer.state.items():
            np.testing.assert_array_equal(state[was_stored], new.positions()[was_stored] + 1)
            np.testing.assert_array_equal(state[~was_stored], fresh.get(slot, 0))
        fill_probes(parameter, int(rng.integers(0, new.n_rows + 1)), rng)


def test_the_optimizers_slots_are_all_covered():
    parameter = Parameter(random_table(3, 3, 0.5))
    slots = {name: sorted(optimizer(parameter, 0.1).state) for name, optimizer in OPTIMIZERS.items()}
    assert slots == {"sgd": [], "adagrad": ["squares"], "adam": ["first", "second", "steps"]}


def test_a_share_of_nothing_changes_nothing():
    parameter = Parameter(random_table(6, 5, 0.5))
    fill_probes(parameter, 6, np.random.default_rng(0))
    before, old = dense(parameter.table), parameter.table.copy()
    side = Side(parameter, OPTIMIZERS["adam"](parameter, 0.1), np.ones(6))
    assert side.explore(0.0) == 0
    np.testing.assert_array_equal(dense(parameter.table), before)
    np.testing.assert_array_equal(parameter.table.positions(), old.positions())


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_empty_and_full_tables_stay_as_they_are(density):
    parameter = Parameter(random_table(6, 5, density))
    fill_probes(parameter, 6, np.random.default_rng(0))
    before = dense(parameter.table)
    assert replace(parameter, 10).n_replaced == 0
    np.testing.assert_array_equal(dense(parameter.table), before)


def test_no_probe_rows_no_change():
    parameter = Parameter(random_table(6, 5, 0.5))
    assert replace(parameter, 10).n_replaced == 0
