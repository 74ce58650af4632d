import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sparserec_np.data import make_interactions
from sparserec_np.exploration.masks import normalised_interactions
from sparserec_np.exploration.singular import orthonormal, singular_items
from sparserec_np.kernels.workers import Workers


def singular(user_items, rank, n_jobs=1):
    with Workers(n_jobs) as workers:
        return singular_items(user_items, rank, np.random.default_rng(0), workers)


@pytest.mark.parametrize(("n_users", "n_items"), [(60, 25), (25, 60)])
def test_they_are_those_of_a_dense_decomposition(n_users, n_items):
    user_items = make_interactions(n_users, n_items, 400, random_state=0).user_items
    matrix = normalised_interactions(user_items).toarray()
    found = singular(user_items, 20)
    assert found.dtype == np.float32
    assert found.shape == (n_items, 20)
    np.testing.assert_allclose(found.T @ found, np.eye(20), atol=1e-5)
    lengths = np.linalg.norm(matrix @ found, axis=0)
    np.testing.assert_allclose(lengths, np.linalg.svd(matrix)[1][:20], rtol=2e-3)
    assert (np.diff(lengths) < 1e-6).all()


def test_the_leading_ones_of_a_large_matrix():
    user_items = make_interactions(900, 700, 12_000, random_state=0).user_items
    expected = np.linalg.svd(normalised_interactions(user_items).toarray(), compute_uv=False)[:40]
    lengths = np.linalg.norm(normalised_interactions(user_items) @ singular(user_items, 40), axis=0)
    # Ten groups stand out of a bulk of noise, in which one direction is as good as the next.
    np.testing.assert_allclose(lengths[:10], expected[:10], rtol=2e-3)
    np.testing.assert_allclose(lengths, expected, rtol=0.06)
    assert (lengths <= expected + 1e-5).all()


def test_there_are_no_more_than_the_rank():
    groups = sparse.csr_array(np.kron(np.eye(3), np.ones((5, 4))).astype(np.float32))
    found = singular(groups, 10)
    assert found.shape == (12, 3)
    np.testing.assert_allclose(found @ found.T, np.kron(np.eye(3), np.full((4, 4), 0.25)), atol=1e-5)


def test_nothing_is_found_where_nobody_has_anything():
    assert singular(sparse.csr_array((6, 4), dtype=np.float32), 3).shape == (4, 0)


def test_the_same_bits_at_any_number_of_threads():
    user_items = make_interactions(900, 700, 12_000, random_state=0).user_items
    assert singular(user_items, 40).tobytes() == singular(user_items, 40, n_jobs=3).tobytes()


@given(seed=st.integers(0, 2**32), n=st.integers(1, 60), d=st.integers(1, 20), rank=st.integers(1, 20))
@settings(max_examples=50, deadline=None)
def test_orthonormal_columns_of_the_same_span(seed, n, d, rank):
    rng = np.random.default_rng(seed)
    columns = (rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))).astype(np.float32)
    columns *= 10.0 ** rng.integers(-4, 5, size=d)
    with Workers(2) as workers:
        found = orthonormal(columns.copy(), workers)
    np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-3)
    missed = columns - found @ (found.T @ columns)
    assert (np.linalg.norm(missed, axis=0) <= 0.01 * np.linalg.norm(columns, axis=0)).all()
