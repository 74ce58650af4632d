import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_matrices import random_sparse
from scipy import sparse

from sparserec_np.kernels.ranking import LANES, rank_rows, spread_rows, sum_histories


def best_by_sorting(candidates, k, keys=None):
    """The definition: best first, ties to the larger key, then the lower position; NaN is no candidate."""
    keys = np.zeros(len(candidates)) if keys is None else keys
    order = np.lexsort((np.arange(len(candidates)), -keys, -candidates))
    return order[~np.isnan(candidates[order])][:k]


def ranked(
    people,
    items,
    k,
    *,
    bias=None,
    keys=None,
    bounds=None,
    base=None,
    exclude=None,
    order=None,
    floors=None,
    added=None,
):
    """Call the kernel with arrays of the right types; ``items`` is CSR."""
    n, n_items = len(people), items.shape[0]
    people = np.asarray(people, np.float32)
    exclude = sparse.csr_array((n, n_items)) if exclude is None else exclude
    ids, scores = np.full((n, k), -7, np.int32), np.full((n, k), 99, np.float32)
    counts = np.full(n, -1, np.int64)
    rank_rows(
        0,
        -(-n // LANES),
        np.arange(n) if order is None else order,
        people,
        np.linalg.norm(people.astype(np.float64), axis=1),
        np.zeros(n, np.float32) if base is None else base,
        np.full(n, np.nan, np.float32) if floors is None else floors,
        np.arange(n),
        exclude.indptr.astype(np.int64),
        exclude.indices.astype(np.int32),
        np.arange(n_items, dtype=np.int32),
        items.indptr.astype(np.int64),
        items.indices.astype(np.int32),
        items.data.astype(np.float32),
        np.zeros(n_items, np.float32) if bias is None else bias,
        np.zeros(n_items, np.int64) if keys is None else keys,
        np.full(n_items, np.inf) if bounds is None else bounds,
        np.zeros((0, 0), np.float32) if added is None else added,
        ids,
        scores,
        counts,
    )
    return ids, scores, counts


@given(
    candidates=hnp.arrays(
        np.float32,
        st.integers(1, 60),
        # Few different values, so that ties are the rule.
        elements=st.sampled_from([np.nan, -np.inf, -1.5, 0.0, 1.0, 2.0, np.inf]),
    ),
    k=st.integers(1, 70),
    n_keys=st.integers(1, 4),
)
def test_top_k_is_what_sorting_gives(candidates, k, n_keys):
    nothing = sparse.csr_array((len(candidates), 1), dtype=np.float32)
    keys = np.random.default_rng(k).integers(0, n_keys, len(candidates))
    ids, scores, counts = ranked(np.zeros((1, 1)), nothing, k, bias=candidates, keys=keys)
    expected = best_by_sorting(candidates, k, keys)
    assert counts[0] == len(expected)
    np.testing.assert_array_equal(ids[0, : counts[0]], expected)
    np.testing.assert_array_equal(scores[0, : counts[0]], candidates[expected])
    assert (ids[0, counts[0] :] == -7).all()
    assert (scores[0, counts[0] :] == 99).all()


def test_top_k_of_many_different_scores():
    candidates = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    nothing = sparse.csr_array((5000, 1), dtype=np.float32)
    ids, _, counts = ranked(np.zeros((1, 1)), nothing, 100, bias=candidates)
    assert counts[0] == 100
    np.testing.assert_array_equal(ids[0], best_by_sorting(candidates, 100))


@pytest.mark.parametrize("density", [0.1, 1.0])
@pytest.mark.parametrize("n", [1, LANES - 1, LANES + 1])
def test_scores_have_the_bits_that_numpy_gets_column_by_column(density, n):
    rng = np.random.default_rng(1)
    users = random_sparse((n, 32), density=density, rng=rng, dtype=np.float32, format="csr")
    items = random_sparse((300, 32), density=density, rng=rng, dtype=np.float32, format="csc")
    users.data -= np.float32(0.5)
    items.data -= np.float32(0.5)
    users.sort_indices()
    bias = rng.normal(size=300).astype(np.float32)
    base = rng.normal(size=n).astype(np.float32)
    ids, scores, counts = ranked(users.toarray(), items.tocsr(), 300, bias=bias, base=base)
    assert (counts == 300).all()
    for user in range(n):
        expected = np.zeros(300, np.float32)
        for entry in range(users.indptr[user], users.indptr[user + 1]):
            column = slice(*items.indptr[users.indices[entry] : users.indices[entry] + 2])
            expected[items.indices[column]] += users.data[entry] * items.data[column]
        expected += bias
        expected += base[user]
        np.testing.assert_array_equal(scores[user], expected[ids[user]])
        np.testing.assert_array_equal(ids[user], best_by_sorting(expected, 300))


@given(seed=st.integers(0, 2**16), k=st.integers(1, 12), n=st.integers(1, 2 * LANES + 2))
def test_lists_leave_out_what_is_excluded(seed, k, n):
    rng = np.random.default_rng(seed)
    people = rng.integers(-1, 2, (n, 4)).astype(np.float32)
    items = sparse.csr_array(rng.integers(-1, 2, (20, 4)).astype(np.float32))
    exclude = sparse.csr_array((rng.random((n, 20)) < rng.random((n, 1))).astype(np.float32))
    ids, _, counts = ranked(people, items, k, exclude=exclude, order=rng.permutation(n))
    scores = people @ items.toarray().T
    scores[exclude.toarray() > 0] = np.nan
    for person in range(n):
        np.testing.assert_array_equal(ids[person, : counts[person]], best_by_sorting(scores[person], k))


def test_items_must_exceed_the_floor():
    candidates = np.array([2, 5, 3, 2, 4, 3], np.float32)
    nothing = sparse.csr_array((6, 1), dtype=np.float32)
    ids, _, counts = ranked(np.zeros((1, 1)), nothing, 4, bias=candidates, floors=np.float32([3]))
    assert counts[0] == 2
    assert ids[0, :2].tolist() == [1, 4]


def test_rows_are_spread_and_histories_summed():
    rng = np.random.default_rng(2)
    items = random_sparse((30, 8), density=0.3, rng=rng, dtype=np.float32, format="csr")
    histories = random_sparse((10, 30), density=0.2, rng=rng, format="csr")
    table = items.indptr.astype(np.int64), items.indices.astype(np.int32), items.data
    rows = np.array([3, 0, 3, 9])
    out = np.zeros((4, 8), np.float32)
    spread_rows(0, 4, rows, *table, out)
    np.testing.assert_array_equal(out, items.toarray()[rows])
    shares, factors = rng.random(30), rng.random(4)
    starts, ends = histories.indptr[rows], histories.indptr[rows + 1]
    sum_histories(0, 4, starts, ends, histories.indices, shares, factors, *table, out)
    expected = factors[:, None] * ((histories.toarray() > 0) * shares)[rows] @ items.toarray()
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_items_below_their_bound_are_passed_over():
    rng = np.random.default_rng(3)
    people = np.abs(rng.normal(size=(LANES + 3, 4))).astype(np.float32)
    items = sparse.csr_array((np.abs(rng.normal(size=(900, 4))) * rng.random((900, 1))).astype(np.float32))
    lengths = np.sqrt((items.toarray().astype(np.float64) ** 2).sum(axis=1))
    expected = ranked(people, items, 5)
    for one, other in zip(ranked(people, items, 5, bounds=1.00001 * lengths), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    # Bounds are believed: items said to be worth nothing are not looked at once the lists are full.
    ids, _, _ = ranked(people, items, 5, bounds=np.where(np.arange(900) < LANES, np.inf, 0.0))
    assert ids.max() < LANES


def test_what_is_added_for_a_pair_counts_like_a_bias_of_each_person():
    rng = np.random.default_rng(3)
    n, n_items, k = LANES + 3, 40, 7
    nothing = sparse.csr_array((n_items, 1), dtype=np.float32)
    added = rng.integers(-5, 6, size=(n, n_items)).astype(np.float32)
    ids, scores, counts = ranked(np.zeros((n, 1)), nothing, k, added=added)
    assert (counts == k).all()
    for person in range(n):
        expected = best_by_sorting(added[person], k)
        np.testing.assert_array_equal(ids[person], expected)
        np.testing.assert_array_equal(scores[person], added[person, expected])
