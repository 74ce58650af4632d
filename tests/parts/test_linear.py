import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sparserec_np.data import make_interactions
from sparserec_np.kernels.workers import Workers
from sparserec_np.parts import linear
from sparserec_np.parts.linear import fit_item_weights


def fit(user_items, n_entries=None, n_jobs=1, **settings):
    with Workers(n_jobs) as workers:
        return fit_item_weights(user_items, n_entries, workers=workers, **settings)


@pytest.fixture(scope="module")
def user_items():
    return make_interactions(300, 80, 3000, random_state=0).user_items


def by_hand(user_items, regularization, user_power, supports):
    """Weights (history item, scored item) of the ridge regressions on boolean supports, all dense."""
    X = (user_items.toarray() > 0).astype(float)
    G = X.T @ (X * np.maximum(X.sum(1), 1)[:, None] ** -user_power)
    penalty = regularization * np.sqrt(np.diag(G).sum() / X.sum())
    weights = np.zeros_like(G)
    for j in range(len(G)):
        S = np.flatnonzero(supports[:, j])
        system = G[np.ix_(S, S)] + penalty * np.diag(np.sqrt(np.diag(G)[S]))
        weights[S, j] = np.linalg.solve(system, G[S, j])
    return G, weights


def strongest(strength, n, rows):
    """Mark the ``n`` largest positive numbers of each column."""
    out = np.zeros(strength.shape, dtype=bool)
    for j in range(strength.shape[1]):
        best = np.lexsort((rows, -strength[:, j]))[:n]
        out[best, j] = strength[best, j] > 0
    return out


def support_of(G, X, support, power):
    strength = G * np.maximum(X.sum(0), 1)[:, None] ** -power
    np.fill_diagonal(strength, 0)
    ranks = np.empty(len(G))
    ranks[np.argsort(-X.sum(0), kind="stable")] = np.arange(len(G))
    return strongest(strength, support, ranks)


def test_the_weights_of_whole_supports_are_the_ridge_regressions(user_items):
    X = user_items.toarray() > 0
    everything = ~np.eye(80, dtype=bool)
    G, weights = by_hand(user_items, 5.0, 0.5, everything)
    found = fit(user_items, regularization=5.0, support=80).to_scipy().toarray().T
    np.testing.assert_allclose(found[G > 0], (weights * everything)[G > 0], atol=0.05)
    supports = support_of(G, X, 12, 0.35)
    _, weights = by_hand(user_items, 5.0, 0.5, supports)
    found = fit(user_items, regularization=5.0, support=12).to_scipy().toarray().T
    np.testing.assert_array_equal(found != 0, supports)
    np.testing.assert_allclose(found, weights, atol=1e-5)


def test_the_strongest_weights_are_kept_and_fitted_again(user_items):
    X = user_items.toarray() > 0
    whole = fit(user_items, support=12).to_scipy().toarray().T
    strength = np.abs(whole) * X.sum(0)[:, None] ** 0.3
    limit = np.sort(strength.reshape(-1))[-300]
    found = fit(user_items, 300, support=12).to_scipy().toarray().T
    np.testing.assert_array_equal(found != 0, strength >= limit)
    _, weights = by_hand(user_items, 30.0, 0.5, strength >= limit)
    np.testing.assert_allclose(found, weights, atol=1e-5)
    assert np.abs(found - np.where(strength >= limit, whole, 0)).max() > 1e-3


def test_a_pair_bought_together_recommends_each_other():
    rows = np.repeat(np.arange(60), 2)
    columns = np.stack([np.arange(60) % 6 * 2, np.arange(60) % 6 * 2 + 1], axis=1).reshape(-1)
    user_items = sparse.csr_array((np.ones(120), (rows, columns)), shape=(60, 12))
    weights = fit(user_items, 12, regularization=1.0).to_scipy().toarray()
    assert (weights.argmax(axis=1) == np.arange(12) ^ 1).all()
    assert ((weights > 0).sum(axis=1) == 1).all()


@pytest.mark.parametrize(("pairs", "block"), [(0, 1 << 23), (300, 1 << 23), (1 << 25, 100), (300, 1)])
@pytest.mark.parametrize("n_entries", [None, 200])
def test_memory_limits_change_no_bit(user_items, monkeypatch, pairs, block, n_entries):
    whole = fit(user_items, n_entries, support=20)
    monkeypatch.setattr(linear, "PAIR_LIMIT", pairs)
    monkeypatch.setattr(linear, "BLOCK_SIZE", block)
    limited = fit(user_items, n_entries, support=20)
    for one, other in zip(whole.arrays, limited.arrays, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n_entries", [None, 500])
def test_threads_change_no_bit(user_items, n_entries):
    alone = fit(user_items, n_entries)
    for n_jobs in (2, 3):
        for one, other in zip(alone.arrays, fit(user_items, n_entries, n_jobs).arrays, strict=True):
            np.testing.assert_array_equal(one, other)


def test_interactions_are_left_alone_and_only_their_pattern_counts(user_items):
    weighted = user_items.copy()
    weighted.data = np.random.default_rng(0).uniform(1, 5, weighted.nnz).astype(np.float32)
    before = [array.copy() for array in (weighted.indptr, weighted.indices, weighted.data)]
    one, other = fit(weighted, 200), fit(user_items, 200)
    np.testing.assert_array_equal(one.data, other.data)
    for array, kept in zip((weighted.indptr, weighted.indices, weighted.data), before, strict=True):
        np.testing.assert_array_equal(array, kept)


@settings(max_examples=60)
@given(st.data())
def test_the_number_of_weights_is_exact(data):
    n_users, n_items = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    cells = data.draw(st.lists(st.booleans(), min_size=n_users * n_items, max_size=n_users * n_items))
    user_items = sparse.csr_array(np.array(cells, dtype=np.float32).reshape(n_users, n_items))
    support = data.draw(st.integers(1, 14))
    available = fit(user_items, None, support=support).nnz
    X = user_items.toarray()
    together = (X.T @ X > 0) & ~np.eye(n_items, dtype=bool)
    assert available == np.minimum(together.sum(axis=0), support).sum()
    n = data.draw(st.integers(0, available + 3))
    power = data.draw(st.sampled_from([0.0, 0.15]))
    table = fit(user_items, n, support=support, keep_power=power)
    table.check()
    assert table.shape == (n_items, n_items)
    assert table.nnz == min(n, available)
    assert table.data.dtype == np.float32
    assert np.isfinite(table.data).all()
    assert not table.to_scipy().diagonal().any()


def test_identical_items_do_not_break_the_regression():
    # Every support is singular but for the penalty.
    X = np.repeat(np.random.default_rng(0).random((40, 3)) < 0.4, 5, axis=1)
    table = fit(sparse.csr_array(X.astype(np.float32)), regularization=1e-9)
    assert np.isfinite(table.data).all()
    scores = X @ table.to_scipy().toarray().T
    assert np.abs(scores - X).max() < 0.05
