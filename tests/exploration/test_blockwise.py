import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparserec_np.data import make_interactions
from sparserec_np.exploration import blockwise, nmf_tables, spectral_tables, split_budget
from sparserec_np.exploration.blockwise import strongest_table
from sparserec_np.exploration.masks import strongest_entries
from sparserec_np.kernels.workers import Workers


@pytest.fixture
def everything_is_large(monkeypatch):
    monkeypatch.setattr(blockwise, "DENSE_LIMIT", 0)
    monkeypatch.setattr(blockwise, "CORE_SIZE", 16 * 120)
    monkeypatch.setattr(blockwise, "BLOCK_SIZE", 16 * 30)


@st.composite
def score_arrays(draw):
    """Non-negative scores, many of them equal, 0 or so near to each other that they share a bin."""
    n_rows, dim = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["equal", "close", "wide"]))
    if kind == "equal":
        scores = rng.integers(0, 4, (n_rows, dim))
    elif kind == "close":
        scores = (1 + 1e-4 * rng.random((n_rows, dim))) * (rng.random((n_rows, dim)) < 0.8)
    else:
        scores = np.exp(rng.uniform(-100, 50, (n_rows, dim)))
    return scores.astype(np.float32), rng.random(n_rows) < draw(st.sampled_from([0, 0.5, 1]))


@settings(max_examples=300)
@given(score_arrays(), st.floats(0, 1), st.integers(1, 40))
def test_what_stays_is_what_would_stay_if_all_scores_were_seen_at_once(offered, share, block_size):
    scores, needed = offered
    n = round(share * scores.size)
    values = np.arange(1, scores.size + 1, dtype=np.float32).reshape(scores.shape)
    size, blockwise.BLOCK_SIZE = blockwise.BLOCK_SIZE, block_size
    try:
        table = strongest_table(
            lambda start, stop: (values[start:stop].copy(), scores[start:stop].copy()),
            scores.shape,
            n,
            needed,
            np.random.default_rng(0),
        )
    finally:
        blockwise.BLOCK_SIZE = size
    table.check()
    assert table.nnz == n
    np.testing.assert_array_equal(table.data, values.reshape(-1)[table.positions()])
    best = strongest_entries(scores, n, needed, np.random.default_rng(0))
    got = scores.reshape(-1)[table.positions()]
    np.testing.assert_array_equal(np.sort(got), np.sort(scores.reshape(-1)[best]))
    if np.count_nonzero(got) == n and not (needed & (scores.max(axis=1) == 0)).any():
        np.testing.assert_array_equal(table.positions(), best)  # nothing was left to chance
    if n >= np.count_nonzero(needed):
        assert (np.diff(table.indptr)[needed] > 0).all()


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("make", [nmf_tables, spectral_tables])
@pytest.mark.parametrize("density", [0.01, 0.1, 0.5, 1.0])
def test_folded_tables_have_the_budget_and_are_the_same_at_any_number_of_threads(make, density):
    user_items = make_interactions(300, 200, 4000, random_state=0).user_items
    budget = split_budget(density, 300, 200, 16, 0.6)
    made = []
    for n_jobs in (1, 2):
        with Workers(n_jobs) as workers:
            made.append(make(user_items, 16, budget, rng=np.random.default_rng(3), workers=workers))
    for one, two, n in zip(*made, budget, strict=True):
        one.check()
        assert one.nnz == n
        assert np.isfinite(one.data).all()
        np.testing.assert_array_equal(one.indptr, two.indptr)
        np.testing.assert_array_equal(one.indices, two.indices)
        assert one.data.tobytes() == two.data.tobytes()


@pytest.mark.usefixtures("everything_is_large")
def test_a_folded_graph_start_spends_nothing_on_users():
    user_items = make_interactions(300, 200, 4000, random_state=0).user_items
    with Workers(1) as workers:
        users, items = spectral_tables(
            user_items, 16, (0, 800), rng=np.random.default_rng(0), workers=workers
        )
    assert users.shape == (300, 16)
    assert (users.nnz, items.nnz) == (0, 800)


@pytest.mark.usefixtures("everything_is_large")
def test_people_and_items_of_a_taste_meet_in_folded_tables():
    data = make_interactions(300, 200, 4000, n_tastes=4, noise=0, random_state=0).user_items
    with Workers(1) as workers:
        users, items = nmf_tables(
            data, 16, split_budget(0.3, 300, 200, 16, 0.6), rng=np.random.default_rng(0), workers=workers
        )
    scores = (users.to_scipy() @ items.to_scipy().T).toarray()
    seen = data.toarray() > 0
    assert scores[seen].mean() > 1.5 * scores[~seen].mean()
