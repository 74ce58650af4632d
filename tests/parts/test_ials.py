import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sparserec_np.data import make_interactions
from sparserec_np.errors import SettingError
from sparserec_np.exploration import blockwise
from sparserec_np.kernels.alternating import judge_entries
from sparserec_np.kernels.workers import Workers
from sparserec_np.models.stored import table_data
from sparserec_np.parts.ials import _Alternation, fit_ials
from sparserec_np.runtime.encoding import ridge
from sparserec_np.runtime.scoring import TableScorer
from sparserec_np.tables import SparseTable

UNOBSERVED, PENALTY = 0.05, 0.8


@pytest.fixture(scope="module")
def user_items():
    """Histories of 0, of 3 and of more items."""
    whole = make_interactions(120, 50, 1500, random_state=0).user_items.tolil()
    for user in range(30):
        whole[user, whole.rows[user][3 if user else 0 :]] = 0
    return sparse.csr_array(whole)


def fit(user_items, n_entries=120, dim=8, n_jobs=1, seed=0, **settings):
    with Workers(n_jobs) as workers:
        return fit_ials(
            user_items, n_entries, dim, rng=np.random.default_rng(seed), workers=workers, **settings
        )


def random_table(shape, n, seed=0):
    rng = np.random.default_rng(seed)
    positions = np.sort(rng.choice(shape[0] * shape[1], n, replace=False))
    table = SparseTable.from_positions(positions, shape)
    table.data[:] = rng.standard_normal(n) * 0.3
    return table


@pytest.fixture
def model(user_items):
    with Workers(1) as workers:
        yield _Alternation(user_items, random_table((50, 8), 120), UNOBSERVED, PENALTY, 0.5, workers)


def objective(user_items, people, items, penalties):
    X = (user_items.toarray() > 0).astype(float)
    scores = people.astype(float) @ items.astype(float).T
    return (
        (X * (1 - scores) ** 2).sum()
        + UNOBSERVED * (scores**2).sum()
        + PENALTY * (people.astype(float) ** 2).sum()
        + (penalties[:, None] * items.astype(float) ** 2).sum()
    )


def test_each_solution_lowers_the_objective(user_items, model):
    def now():
        return objective(user_items, model.people, model.items.to_scipy().toarray(), model._penalties)

    model.solve_users()
    values = [now()]
    for _ in range(4):
        model.solve_items()
        values.append(now())
        model.solve_users()
        values.append(now())
    assert (np.diff(values) < 1e-3).all()
    assert values[-1] < 0.9 * values[0]


def test_users_are_ridge_regressions_on_their_items(user_items, model):
    # Some histories are longer than half of the width and some are not: both ways to solve are taken.
    lengths = np.diff(user_items.indptr)
    assert (lengths > 4).any()
    assert (lengths <= 4).any()
    model.solve_users()
    V = model.items.to_scipy().toarray().astype(float)
    base = UNOBSERVED * V.T @ V + PENALTY * np.eye(8)
    for user in range(120):
        rows = V[user_items.indices[user_items.indptr[user] : user_items.indptr[user + 1]]]
        expected = np.linalg.solve(base + rows.T @ rows, rows.sum(axis=0))
        np.testing.assert_allclose(model.people[user], expected, atol=1e-5)


def test_items_are_ridge_regressions_on_their_stored_columns(user_items, model):
    model.solve_users()
    pattern = model.items.positions().copy()
    model.solve_items()
    np.testing.assert_array_equal(model.items.positions(), pattern)
    U, X = model.people.astype(float), user_items.toarray() > 0
    for item in range(50):
        begin, end = model.items.indptr[item : item + 2]
        columns = model.items.indices[begin:end]
        rows, everybody = U[X[:, item]][:, columns], U[:, columns]
        system = rows.T @ rows + UNOBSERVED * everybody.T @ everybody
        system += model._penalties[item] * np.eye(len(columns))
        expected = np.linalg.solve(system, rows.sum(axis=0))
        np.testing.assert_allclose(model.items.data[begin:end], expected, atol=1e-5)


def test_the_penalties_grow_with_popularity_around_the_same_mean(user_items):
    with Workers(1) as workers:
        flat, steep = (
            _Alternation(user_items, random_table((50, 8), 120), UNOBSERVED, PENALTY, power, workers)
            for power in (0.0, 1.0)
        )
    degrees = np.bincount(user_items.indices, minlength=50)
    np.testing.assert_allclose(flat._penalties, PENALTY)
    np.testing.assert_allclose(steep._penalties.mean(), PENALTY)
    np.testing.assert_allclose(steep._penalties / steep._penalties[0], (degrees + 6) / (degrees[0] + 6))


def test_gains_and_losses_are_what_the_objective_changes_by(user_items, model):
    model.solve_users()
    model.solve_items()
    table = model.items
    gains, losses = np.empty((50, 8), dtype=np.float32), np.empty(table.nnz, dtype=np.float32)
    judge_entries(0, 50, 0, *model._all_pairs(), *table.arrays, gains, losses)
    V = table.to_scipy().toarray().astype(float)
    value = objective(user_items, model.people, V, model._penalties)
    assert (gains.reshape(-1)[table.positions()] == 0).all()
    for e, position in enumerate(table.positions()[::7]):
        without = V.copy()
        without.reshape(-1)[position] = 0
        rise = objective(user_items, model.people, without, model._penalties) - value
        assert rise == pytest.approx(losses[7 * e], rel=1e-2, abs=1e-4)
    for position in np.flatnonzero(gains.reshape(-1))[::11]:
        # The objective is a parabola of the entry: three points tell its lowest one.
        at = []
        for step in (-1.0, 1.0):
            other = V.copy()
            other.reshape(-1)[position] += step
            at.append(objective(user_items, model.people, other, model._penalties))
        slope, curve = (at[1] - at[0]) / 2, (at[1] + at[0]) / 2 - value
        assert slope**2 / (4 * curve) == pytest.approx(gains.reshape(-1)[position], rel=1e-3, abs=1e-4)


def test_a_replacement_takes_the_entries_of_greatest_gain_and_leaves_those_of_least_loss(user_items, model):
    model.solve_users()
    model.solve_items()
    before = model.items.copy()
    gains, losses = np.empty((50, 8), dtype=np.float32), np.empty(before.nnz, dtype=np.float32)
    judge_entries(0, 50, 0, *model._all_pairs(), *before.arrays, gains, losses)
    model.replace(0.2)
    old, new = before.positions(), model.items.positions()
    assert len(new) == len(old)
    grown = np.setdiff1d(new, old)
    assert len(grown) == 24
    assert set(grown) == set(np.argsort(-gains.reshape(-1))[:24])
    np.testing.assert_array_equal(model.items.data[np.isin(new, grown)], 0)
    kept = np.isin(old, new)
    np.testing.assert_array_equal(model.items.data[~np.isin(new, grown)], before.data[kept])
    rows = old // 8
    for e in np.flatnonzero(~kept):
        assert losses[e] < losses[rows == rows[e]].max()
    removable = [e for e in range(120) if losses[e] < losses[rows == rows[e]].max()]
    assert losses[~kept].max() <= np.sort(losses[removable])[23]
    assert (np.diff(model.items.indptr)[np.diff(before.indptr) > 0] > 0).all()


def test_exploration_makes_good_for_a_random_start(user_items):
    def final(prune_fraction, start):
        result = fit(
            user_items, unobserved=UNOBSERVED, regularization=PENALTY, epochs=10,
            prune_fraction=prune_fraction, start=start,
        )  # fmt: skip
        with Workers(1) as workers:
            model = _Alternation(user_items, result.items, UNOBSERVED, PENALTY, 0.0, workers)
            model.solve_users()
            return objective(user_items, model.people, result.items.to_scipy().toarray(), model._penalties)

    assert final(0.5, "random") < 0.97 * final(0.0, "random")
    assert final(0.3, "spectral") <= final(0.0, "spectral")


def test_the_encoder_solves_for_the_users_of_training(user_items, model):
    model.solve_users()
    scorer = TableScorer(table_data(model.items))
    for user in (1, 60):
        rows = user_items.indices[user_items.indptr[user] : user_items.indptr[user + 1]]
        person = ridge(scorer, None, rows, None, **model.encoder_settings())
        np.testing.assert_allclose(person.vector, model.people[user], atol=1e-5)


@pytest.mark.parametrize("start", ["spectral", "random"])
def test_neither_threads_nor_blocks_change_a_bit(user_items, monkeypatch, start):
    def result(n_jobs):
        return fit(user_items, start=start, n_jobs=n_jobs, epochs=4, prune_fraction=0.4)

    alone = result(1)
    others = [result(2), result(3)]
    monkeypatch.setattr(blockwise, "BLOCK_SIZE", 40)
    others.append(result(1))
    for other in others:
        assert other.encoder_settings == alone.encoder_settings
        for one, two in zip(alone.items.arrays, other.items.arrays, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_given_start_is_copied_and_checked(user_items):
    start = random_table((50, 8), 120)
    values = start.data.copy()
    result = fit(user_items, start=start, epochs=3, prune_fraction=0.3)
    np.testing.assert_array_equal(start.data, values)
    assert (result.items.positions() != start.positions()).any()
    with pytest.raises(SettingError, match=r"start has 120 entries in shape \(50, 8\); expected 119"):
        fit(user_items, 119, start=start)
    with pytest.raises(SettingError, match="start is 'nmf'; expected"):
        fit(user_items, start="nmf")
    with pytest.raises(SettingError, match="n_entries is 401; expected at most 400"):
        fit(user_items, 401)


@settings(max_examples=50)
@given(st.data())
def test_the_number_of_entries_is_exact(data):
    n_users, n_items = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    dim = data.draw(st.integers(1, 6))
    cells = data.draw(st.lists(st.booleans(), min_size=n_users * n_items, max_size=n_users * n_items))
    user_items = sparse.csr_array(np.array(cells, dtype=np.float32).reshape(n_users, n_items))
    n = data.draw(st.integers(0, n_items * dim))
    start = data.draw(st.sampled_from(["spectral", "random"]))
    fraction = data.draw(st.sampled_from([0.0, 0.3, 1.0]))
    epochs = data.draw(st.integers(1, 5))
    result = fit(user_items, n, dim, start=start, prune_fraction=fraction, epochs=epochs)
    result.items.check()
    assert result.items.nnz == n
    assert result.items.shape == (n_items, dim)
    assert result.items.data.dtype == np.float32
    assert np.isfinite(result.items.data).all()
    assert result.encoder_settings["regularization"] > 0
