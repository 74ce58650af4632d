import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparserec_np.exploration import largest, mark_largest, mark_smallest

# Few different values, so that ties are the rule.
scores = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 40),
    elements=st.sampled_from([-np.inf, -2.0, -0.0, 0.0, 1.0, 1.5, np.inf]),
)


@given(scores, st.integers(0, 40))
def test_largest_is_what_a_stable_sort_puts_first(scores, n):
    expected = np.sort(np.argsort(-np.abs(scores), kind="stable")[:n])
    np.testing.assert_array_equal(largest(scores, n), expected)
    np.testing.assert_array_equal(np.flatnonzero(mark_largest(scores, n)), expected)


@given(scores, st.integers(0, 40))
def test_smallest_is_what_a_stable_sort_puts_first(scores, n):
    expected = np.sort(np.argsort(np.abs(scores), kind="stable")[:n])
    np.testing.assert_array_equal(np.flatnonzero(mark_smallest(scores, n)), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_many_scores_of_every_size(dtype):
    rng = np.random.default_rng(0)
    scores = (10.0 ** rng.uniform(-30, 9, 100_000)).astype(dtype)
    found = largest(scores, 777)
    np.testing.assert_array_equal(found, np.sort(np.argsort(-scores, kind="stable")[:777]))
    few = np.flatnonzero(mark_smallest(scores, 777))
    np.testing.assert_array_equal(few, np.sort(np.argsort(scores, kind="stable")[:777]))


def test_scores_with_gaps_between_them():
    scores = np.random.default_rng(0).standard_normal((1000, 2))
    np.testing.assert_array_equal(largest(scores[:, 0], 10), largest(scores[:, 0].copy(), 10))
