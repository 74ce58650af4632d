import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tables_by_hand import random_table

from sparserec_np.autograd import Parameter
from sparserec_np.exploration import draw_probes, sample_rows


def exponentials(n, rng=None):
    return (rng or np.random.default_rng(0)).standard_exponential(n)


@given(
    importance=hnp.arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([0.0, 1e-3, 1.0, 50.0])),
    n=st.integers(0, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_sampled_rows_are_distinct_and_have_weight(importance, n, seed):
    rows = sample_rows(importance, n, exponentials(len(importance), np.random.default_rng(seed)))
    assert len(rows) == min(n, np.count_nonzero(importance))
    assert (np.diff(rows) > 0).all()
    assert (importance[rows] > 0).all()


def test_importance_and_draws_are_not_modified():
    importance = np.array([0.0, 1.0, 2.0])
    draws = exponentials(3)
    before = draws.copy()
    sample_rows(importance, 2, draws)
    np.testing.assert_array_equal(importance, [0, 1, 2])
    np.testing.assert_array_equal(draws, before)


def test_integers_may_be_importances():
    assert len(sample_rows(np.array([3, 0, 5]), 2, exponentials(3))) == 2


def test_one_row_is_drawn_in_proportion_to_its_importance():
    rng = np.random.default_rng(0)
    importance = np.array([1.0, 2.0, 0.0, 3.0, 4.0])
    rows = [sample_rows(importance, 1, exponentials(5, rng)) for _ in range(20_000)]
    drawn = np.bincount(np.concatenate(rows), minlength=5)
    np.testing.assert_allclose(drawn / 20_000, importance / 10, atol=0.015)


def test_more_important_rows_are_drawn_more_often():
    rng = np.random.default_rng(0)
    importance = np.array([1.0, 2.0, 4.0, 8.0])
    drawn = np.bincount(
        np.concatenate([sample_rows(importance, 2, exponentials(4, rng)) for _ in range(2000)])
    )
    assert drawn.sum() == 4000
    assert (np.diff(drawn) > 100).all()


@pytest.mark.parametrize("n", [3, 5])
def test_drawing_probes_anew_starts_from_zero(n):
    parameter = Parameter(random_table(10, 4, 0.5))
    rng = np.random.default_rng(0)
    draw_probes(parameter, np.ones(10), 3, exponentials(10, rng))
    parameter.accumulators[:] = 7
    draw_probes(parameter, np.ones(10), n, exponentials(10, rng))
    assert parameter.accumulators.shape == (n, 4)
    assert not parameter.accumulators.any()
    assert parameter.accumulators.dtype == parameter.table.data.dtype
    assert sorted(parameter.slots[parameter.slots >= 0]) == list(range(n))


def test_clearing_probes_leaves_none():
    parameter = Parameter(random_table(10, 4, 0.5))
    draw_probes(parameter, np.ones(10), 3, exponentials(10))
    parameter.clear_probes()
    assert parameter.accumulators.shape == (0, 4)
    assert (parameter.slots == -1).all()
