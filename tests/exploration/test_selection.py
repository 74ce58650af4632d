import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparserec_np.exploration import largest, smallest

# Few different values, so that ties are the rule.
scores = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 40),
    elements=st.sampled_from([-np.inf, -2.0, -0.0, 0.0, 1.0, 1.5, np.inf]),
)


@given(scores, st.integers(0, 40))
def test_largest_is_what_a_stable_sort_puts_first(scores, n):
    expected = np.sort(np.argsort(-scores, kind="stable")[:n])
    np.testing.assert_array_equal(largest(scores, n), expected)


@given(scores, st.integers(0, 40))
def test_smallest_is_what_a_stable_sort_puts_first(scores, n):
    expected = np.sort(np.argsort(scores, kind="stable")[:n])
    np.testing.assert_array_equal(smallest(scores, n), expected)


def test_many_scores():
    scores = np.random.default_rng(0).standard_normal(100_000)
    found = largest(scores, 777)
    assert scores[found].min() == np.sort(scores)[-777]
    assert len(found) == 777
