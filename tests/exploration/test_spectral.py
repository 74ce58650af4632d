import numpy as np
import pytest

from sparserec_np.data import make_interactions
from sparserec_np.exploration import spectral_factors, spectral_tables, varimax
from sparserec_np.exploration.singular import singular_items
from sparserec_np.kernels.workers import Workers


def criterion(loadings):
    """What varimax makes large: the variance of the squared loadings, summed over the columns."""
    return (loadings**2).var(axis=0).sum()


def test_varimax_finds_a_hidden_simple_structure():
    rng = np.random.default_rng(0)
    simple = np.zeros((300, 5))
    simple[np.arange(300), rng.integers(5, size=300)] = rng.uniform(0.5, 1.5, 300)
    turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    with Workers(1) as workers:
        rotation = varimax((simple @ turn).astype(np.float32), rounds=100, tolerance=1e-7, workers=workers)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(5), atol=1e-5)
    found = simple @ turn @ rotation
    assert criterion(found) == pytest.approx(criterion(simple), rel=1e-3)
    assert criterion(found) > 2 * criterion(simple @ turn)


def test_the_factors_are_orthonormal_and_empty_beyond_the_rank():
    user_items = make_interactions(40, 25, 300, random_state=0).user_items
    with Workers(1) as workers:
        factors = spectral_factors(user_items, 30, np.random.default_rng(0), workers)
    assert factors.shape == (25, 30)
    np.testing.assert_allclose(factors[:, :25].T @ factors[:, :25], np.eye(25), atol=1e-4)
    assert not factors[:, 25:].any()


@pytest.mark.parametrize("n", [40, 200, 25 * 8])
def test_the_number_of_entries_is_exact_and_no_item_goes_without(n):
    user_items = make_interactions(60, 25, 400, random_state=0).user_items
    with Workers(1) as workers:
        users, items = spectral_tables(user_items, 8, (0, n), rng=np.random.default_rng(0), workers=workers)
    assert users.nnz == 0
    assert items.nnz == n
    items.check()
    assert (np.diff(items.indptr) > 0).all()


@pytest.mark.parametrize("n_users", [70, 240])
def test_users_are_what_their_items_propagate_to_them(n_users):
    user_items = make_interactions(60, 25, 400, random_state=0).user_items
    with Workers(1) as workers:
        users, items = spectral_tables(
            user_items, 8, (n_users, 25 * 8), rng=np.random.default_rng(0), workers=workers
        )
    assert users.nnz == n_users
    users.check()
    assert (np.diff(users.indptr) > 0).all()
    # A full item table holds the factors times a power of the popularity, from which users can be made anew.
    X = (user_items.toarray() > 0).astype(float)
    factors = items.to_scipy().toarray() * X.sum(0)[:, None] ** -0.4
    people = X @ (factors * X.sum(0)[:, None] ** -0.5)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    pattern = users.to_scipy().toarray()
    np.testing.assert_allclose(pattern[pattern != 0], people[pattern != 0], atol=1e-5)
    assert np.abs(people[pattern == 0]).max() <= np.abs(people[pattern != 0]).max()


def test_wider_singular_vectors_than_needed_serve_as_well():
    user_items = make_interactions(60, 25, 400, random_state=0).user_items
    with Workers(1) as workers:
        wide = singular_items(user_items, 20, np.random.default_rng(0), workers)
        given, made = (
            spectral_factors(user_items, 6, np.random.default_rng(0), workers, vectors)
            for vectors in (wide, None)
        )
    np.testing.assert_allclose(given @ given.T, made @ made.T, atol=5e-3)
