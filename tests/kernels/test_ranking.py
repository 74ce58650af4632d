import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from sparserec_np.kernels.ranking import rank_rows, top_k


def best_by_sorting(candidates, k):
    """The definition: best first, ties to the lower position, NaN is no candidate."""
    qualified = np.flatnonzero(~np.isnan(candidates))
    return qualified[np.argsort(-candidates[qualified], kind="stable")][:k]


@given(
    candidates=hnp.arrays(
        np.float32,
        st.integers(0, 60),
        # Few different values, so that ties are the rule.
        elements=st.sampled_from([np.nan, -np.inf, -1.5, -0.0, 0.0, 1.0, 2.0, np.inf]),
    ),
    k=st.integers(1, 70),
)
def test_top_k_is_what_sorting_gives(candidates, k):
    ids, scores = np.full(k, -7, np.int32), np.full(k, 99, np.float32)
    size = top_k(candidates, scores, ids)
    expected = best_by_sorting(candidates, k)
    assert size == len(expected)
    np.testing.assert_array_equal(ids[:size], expected)
    np.testing.assert_array_equal(scores[:size], candidates[expected])
    assert (ids[size:] == -7).all()
    assert (scores[size:] == 99).all()


def test_top_k_of_many_different_scores():
    candidates = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    ids, scores = np.zeros(100, np.int32), np.zeros(100, np.float32)
    assert top_k(candidates, scores, ids) == 100
    np.testing.assert_array_equal(ids, best_by_sorting(candidates, 100))


@pytest.mark.parametrize("density", [0.1, 1.0])
def test_scores_have_the_bits_that_numpy_gets_column_by_column(density):
    rng = np.random.default_rng(1)
    users = sparse.random_array((20, 32), density=density, rng=rng, dtype=np.float32, format="csr")
    items = sparse.random_array((300, 32), density=density, rng=rng, dtype=np.float32, format="csc")
    users.data -= np.float32(0.5)
    items.data -= np.float32(0.5)
    users.sort_indices()
    bias = rng.normal(size=300).astype(np.float32)

    ids = np.zeros((20, 300), np.int32)
    scores = np.zeros((20, 300), np.float32)
    counts = np.zeros(20, np.int64)
    rank_rows(
        0,
        20,
        np.arange(20),
        users.indptr.astype(np.int64),
        users.indices.astype(np.int32),
        users.data,
        items.indptr.astype(np.int64),
        items.indices.astype(np.int32),
        items.data,
        bias,
        np.zeros(21, np.int64),
        np.zeros(0, np.int32),
        ids,
        scores,
        counts,
    )
    assert (counts == 300).all()
    for user in range(20):
        expected = np.zeros(300, np.float32)
        for entry in range(users.indptr[user], users.indptr[user + 1]):
            column = slice(*items.indptr[users.indices[entry] : users.indices[entry] + 2])
            expected[items.indices[column]] += users.data[entry] * items.data[column]
        expected += bias
        np.testing.assert_array_equal(scores[user], expected[ids[user]])
