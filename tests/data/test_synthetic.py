"""Synthetic interactions: as many as asked for, repeatable, and with tastes to be learnt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparserec_np.data import make_interactions, split_random
from sparserec_np.errors import SettingError


@settings(deadline=None)
@given(st.data())
def test_counts_are_exact(data):
    n_users, n_items = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))
    n_interactions = data.draw(st.integers(n_users, n_users * n_items))
    interactions = make_interactions(
        n_users,
        n_items,
        n_interactions,
        n_tastes=data.draw(st.integers(1, 40)),
        noise=data.draw(st.floats(0, 1)),
        popularity_exponent=data.draw(st.floats(0, 3)),
        activity_exponent=data.draw(st.floats(0, 3)),
        random_state=data.draw(st.integers(0, 9)),
    )
    matrix = interactions.user_items
    assert matrix.shape == (n_users, n_items)
    assert interactions.n_interactions == n_interactions
    assert (np.diff(matrix.indptr) >= 1).all()
    copy = matrix.copy()
    copy.has_canonical_format = False
    copy.sum_duplicates()
    assert np.array_equal(copy.indices, matrix.indices)
    assert (matrix.data == 1).all()


def test_same_seed_same_interactions():
    first, second = (
        make_interactions(100, 80, 900, ratings=True, times=True, random_state=3) for _ in range(2)
    )
    assert np.array_equal(first.user_items.indices, second.user_items.indices)
    assert np.array_equal(first.user_items.data, second.user_items.data)
    assert np.array_equal(first.times, second.times)
    other = make_interactions(100, 80, 900, random_state=4)
    assert not np.array_equal(first.user_items.indices, other.user_items.indices)


def test_ratings_and_times():
    interactions = make_interactions(300, 200, 9000, ratings=True, times=True, random_state=0)
    assert interactions.weighted
    assert set(np.unique(interactions.user_items.data)) == {1, 2, 3, 4, 5}
    assert interactions.times.shape == (9000,)


def test_long_tail():
    interactions = make_interactions(2000, 1000, 40000, random_state=0)
    counts = np.sort(np.bincount(interactions.user_items.indices, minlength=1000))[::-1]
    assert counts[:100].sum() > 40000 / 3
    assert counts[-500:].sum() < 40000 / 4
    activity = np.sort(np.diff(interactions.user_items.indptr))[::-1]
    assert activity[:200].sum() > 2 * activity[-200:].sum()


def test_tastes_beat_popularity():
    interactions = make_interactions(500, 300, 12000, random_state=0)
    train, held_out = split_random(interactions, 0.2, random_state=0)
    seen = train.user_items.toarray()
    left, strength, right = np.linalg.svd(seen / np.sqrt(1 + seen.sum(axis=0)), full_matrices=False)
    popularity = np.broadcast_to(seen.sum(axis=0), seen.shape)
    recalls = []
    for scores in (popularity, (left[:, :10] * strength[:10]) @ right[:10]):
        top = np.argsort(-np.where(seen > 0, -np.inf, scores), axis=1)[:, :20]
        hits = np.take_along_axis(held_out.user_items.toarray(), top, axis=1).sum()
        recalls.append(hits / held_out.n_interactions)
    assert recalls[1] > 1.5 * recalls[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5, 5), "n_users is 0"),
        ((5, 0, 5), "n_items is 0"),
        ((5, 5, 4), "n_interactions is 4; expected from 5"),
        ((5, 5, 26), "to 25"),
    ],
)
def test_impossible_sizes(arguments, message):
    with pytest.raises(SettingError, match=message):
        make_interactions(*arguments)


@pytest.mark.parametrize(
    "setting",
    [{"n_tastes": 0}, {"noise": 1.1}, {"popularity_exponent": -1}, {"activity_exponent": float("nan")}],
)
def test_impossible_settings(setting):
    with pytest.raises(SettingError, match=next(iter(setting))):
        make_interactions(5, 5, 10, **setting)
