import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_matrices import random_sparse
from scipy import sparse
from scipy.stats import chisquare
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from sparserec_np.data import make_interactions
from sparserec_np.exploration import MASKS, nmf_factors, nmf_tables, random_tables, split_budget
from sparserec_np.exploration.masks import strongest_entries
from sparserec_np.exploration.nmf import update
from sparserec_np.kernels.workers import Workers


def tables(make, user_items, dim, density, seed=0, n_jobs=1):
    budget = split_budget(density, *user_items.shape, dim, 0.6)
    with Workers(n_jobs) as workers:
        return make(user_items, dim, budget, rng=np.random.default_rng(seed), workers=workers)


def random_user_items(n_users, n_items, density, seed=0):
    found = random_sparse(
        (n_users, n_items), density=density, format="csr", dtype=np.float32, rng=np.random.default_rng(seed)
    )
    found.sort_indices()
    return found


@given(
    density=st.floats(0, 1, exclude_min=True),
    n_users=st.integers(1, 10_000),
    n_items=st.integers(1, 10_000),
    dim=st.integers(1, 300),
    user_share=st.floats(0, 1, exclude_min=True, exclude_max=True),
)
def test_the_budget_is_exact_and_fits(density, n_users, n_items, dim, user_share):
    users, items = split_budget(density, n_users, n_items, dim, user_share)
    total = round(density * (n_users + n_items) * dim)
    assert users + items == total
    assert 0 <= users <= n_users * dim
    assert 0 <= items <= n_items * dim
    if total >= n_users + n_items:
        assert users >= n_users
        assert items >= n_items
    # It is the share that was asked for unless a table would be too full or starve.
    bounds = {n_users, total - n_items, n_users * dim, total - n_items * dim}
    assert users == round(user_share * total) or users in bounds


# dim below, between and above the numbers of users and items.
@pytest.mark.parametrize("dim", [4, 20, 40])
@pytest.mark.parametrize("density", [0.001, 0.05, 0.1, 0.37, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("mask_init", ["nmf", "random"])
def test_exactly_as_many_entries_as_asked_for(mask_init, density, dim):
    user_items = random_user_items(30, 15, 0.2)
    users, items = tables(MASKS[mask_init], user_items, dim, density)
    for table, n_rows in ((users, 30), (items, 15)):
        table.check()
        assert table.shape == (n_rows, dim)
        assert table.data.dtype == np.float32
        assert np.isfinite(table.data).all()
    assert users.nnz + items.nnz == round(density * 45 * dim)


@pytest.mark.parametrize("mask_init", ["nmf", "random"])
def test_the_same_seed_gives_the_same_tables_at_any_number_of_threads(mask_init):
    user_items = make_interactions(200, 150, 3000, random_state=0).user_items
    one = tables(MASKS[mask_init], user_items, 16, 0.2, seed=3)
    two = tables(MASKS[mask_init], user_items, 16, 0.2, seed=3, n_jobs=2)
    other = tables(MASKS[mask_init], user_items, 16, 0.2, seed=4)
    for a, b, c in zip(one, two, other, strict=True):
        np.testing.assert_array_equal(a.indptr, b.indptr)
        np.testing.assert_array_equal(a.indices, b.indices)
        assert a.data.tobytes() == b.data.tobytes()
        assert a.data.tobytes() != c.data.tobytes()


@pytest.mark.parametrize("mask_init", ["nmf", "random"])
def test_rows_get_the_length_asked_for(mask_init):
    user_items = make_interactions(200, 150, 3000, random_state=0).user_items
    for table in tables(MASKS[mask_init], user_items, 16, 0.2):
        table.rescale(0.3)
        assert np.sqrt((table.data.astype(float) ** 2).sum() / table.n_rows) == pytest.approx(0.3, rel=1e-5)


@pytest.mark.parametrize("mask_init", ["nmf", "random"])
def test_the_interactions_are_not_modified(mask_init):
    user_items = random_user_items(30, 15, 0.2)
    before = user_items.copy()
    tables(MASKS[mask_init], user_items, 8, 0.3)
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(user_items, name), getattr(before, name))


def test_random_positions_are_uniform():
    user_items = sparse.csr_array((12, 5), dtype=np.float32)
    counts = np.zeros(12 * 4)
    for seed in range(3000):
        users, _ = tables(random_tables, user_items, 4, 0.25, seed=seed)
        assert users.nnz == 12
        counts[users.positions()] += 1
    # Positions of one draw exclude each other, which only makes the statistic smaller.
    assert chisquare(counts).pvalue > 1e-3


def test_random_positions_above_one_half_are_uniform_too():
    user_items = sparse.csr_array((6, 5), dtype=np.float32)
    counts = np.zeros(6 * 4)
    for seed in range(2000):
        users, _ = tables(random_tables, user_items, 4, 0.75, seed=seed)
        counts[users.positions()] += 1
    assert chisquare(counts).pvalue > 1e-3


@settings(max_examples=30)
@given(
    n_users=st.integers(1, 40),
    n_items=st.integers(1, 40),
    share=st.floats(0.0, 1.0),
    dim=st.integers(1, 24),
    density=st.floats(0.02, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_nmf_leaves_no_row_with_interactions_empty_while_the_budget_allows(
    n_users, n_items, share, dim, density, seed
):
    user_items = random_user_items(n_users, n_items, share, seed)
    if not user_items.nnz:
        return
    budget = split_budget(density, n_users, n_items, dim, 0.6)
    degrees = (np.diff(user_items.indptr), np.bincount(user_items.indices, minlength=n_items))
    for table, n, degree in zip(
        tables(nmf_tables, user_items, dim, density, seed), budget, degrees, strict=True
    ):
        table.check()
        assert table.nnz == n
        lengths = np.diff(table.indptr)
        needed = np.count_nonzero(degree)
        if n >= needed:
            assert (lengths[degree > 0] > 0).all()
        else:
            assert lengths.max(initial=0) <= 1


def test_clusters_beyond_the_rank_are_not_left_empty():
    # 12 disjoint groups, two columns: the factorisation can describe two groups at most.
    user_items = sparse.csr_array(np.kron(np.eye(12), np.ones((3, 3))).astype(np.float32))
    for table in tables(nmf_tables, user_items, 2, 0.5):
        assert (np.diff(table.indptr) > 0).all()


def test_a_single_user():
    user_items = sparse.csr_array(np.array([[1, 0, 1, 0, 1]], dtype=np.float32))
    users, items = tables(nmf_tables, user_items, 6, 0.5)
    assert users.nnz + items.nnz == 18
    assert (np.diff(items.indptr)[[0, 2, 4]] > 0).all()


def test_empty_rows_and_columns():
    dense = np.zeros((6, 5), dtype=np.float32)
    dense[1, 2] = dense[3, 4] = dense[3, 2] = 1
    users, items = tables(nmf_tables, sparse.csr_array(dense), 4, 0.2)
    assert (np.diff(users.indptr)[[1, 3]] > 0).all()
    assert (np.diff(items.indptr)[[2, 4]] > 0).all()


def test_the_factors_find_planted_groups():
    user_items = sparse.csr_array(np.kron(np.eye(3), np.ones((5, 4))).astype(np.float32))
    with Workers(1) as workers:
        W, H = nmf_factors(user_items, 3, np.random.default_rng(0), workers)
    assert (W >= 0).all()
    assert (H >= 0).all()
    np.testing.assert_array_equal(W.argmax(axis=1).reshape(3, 5) - W.argmax(axis=1)[::5, None], 0)
    assert len(set(W.argmax(axis=1))) == 3
    np.testing.assert_array_equal(np.repeat(W.argmax(axis=1)[::5], 4), H.argmax(axis=1))
    np.testing.assert_allclose(np.linalg.norm(W, axis=0), np.linalg.norm(H, axis=0), rtol=1e-4)


def test_the_updates_are_those_of_scikit_learn():
    user_items = random_user_items(40, 30, 0.2)
    rng = np.random.default_rng(0)
    W, H = (rng.uniform(0.1, 1, (n, 4)).astype(np.float32) for n in (40, 30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver = NMF(4, init="custom", solver="mu", max_iter=3, tol=0)
        expected = solver.fit_transform(sparse.csr_matrix(user_items), W=W.copy(), H=H.T.copy())
    with Workers(2) as workers:
        for _ in range(3):
            update(W, user_items, H, workers)
            update(H, user_items.T.tocsr(), W, workers)
    np.testing.assert_allclose(W, expected, rtol=1e-4)
    np.testing.assert_allclose(H, solver.components_.T, rtol=1e-4)


def test_the_weights_are_not_looked_at():
    user_items = random_user_items(30, 15, 0.2)
    weighted = user_items.copy()
    weighted.data *= 5
    for a, b in zip(
        tables(nmf_tables, user_items, 8, 0.3), tables(nmf_tables, weighted, 8, 0.3), strict=True
    ):
        assert a.data.tobytes() == b.data.tobytes()


def test_strongest_entries_give_each_row_its_best_first():
    scores = np.array([[9.0, 8, 7], [0, 0.1, 0], [0, 0, 0], [3, 0, 3]])
    asks = np.array([True, True, False, True])
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(strongest_entries(scores, 2, asks, rng), [0, 9])
    np.testing.assert_array_equal(strongest_entries(scores, 3, asks, rng), [0, 4, 9])
    np.testing.assert_array_equal(strongest_entries(scores, 4, asks, rng), [0, 1, 4, 9])
    np.testing.assert_array_equal(strongest_entries(scores, 6, asks, rng), [0, 1, 2, 4, 9, 11])
    np.testing.assert_array_equal(strongest_entries(scores, 12, asks, rng), np.arange(12))
    assert len(strongest_entries(scores, 0, asks, rng)) == 0
