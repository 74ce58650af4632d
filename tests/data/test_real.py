"""Real files, where they are at hand."""

from pathlib import Path

import pytest

from sparserec_np.data import Interactions, split_last, split_random

DATA = Path(__file__).parents[3] / "shared" / "data"


def real(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no {name} in ../shared/data")
    return path


def test_movielens_100k():
    path = real("ml-100k/u.data.gz")
    interactions = Interactions.from_csv(path)
    assert interactions.user_items.shape == (943, 1682)
    assert interactions.n_interactions == interactions.summary.n_rows == 100_000
    assert set(interactions.user_items.data) == {1, 2, 3, 4, 5}
    assert interactions.users.ids().tolist() == list(range(1, 944))
    assert interactions.times.min() > 8e8
    train, held_out = split_last(interactions)
    assert held_out.n_interactions <= 943
    assert train.n_interactions + held_out.n_interactions == 100_000

    liked = Interactions.from_csv(path, min_rating=4)
    assert liked.n_interactions == 55_375
    assert liked.summary.dropped == {"rating below 4": 44_625}


def test_gowalla():
    interactions = Interactions.from_csv(real("gowalla/train.csv.gz"))
    assert interactions.user_items.shape == (29_858, 40_981)
    assert interactions.n_interactions == 810_128
    assert interactions.summary.header
    train, held_out = split_random(interactions, 0.1, random_state=0)
    assert train.n_interactions + held_out.n_interactions == 810_128
    assert 70_000 < held_out.n_interactions < 85_000
