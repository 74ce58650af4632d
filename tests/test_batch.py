"""`recommend_all` gives everybody what `Recommender.recommend` gives them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparserec_np import SparseBPR, SparseGraph
from sparserec_np.batch import recommend_all
from sparserec_np.data import make_interactions
from sparserec_np.errors import SettingError, UnknownIdError
from sparserec_np.ranking import Ranker
from sparserec_np.runtime import IdMap, ModelData, Recommender, SeenItems, TableData


def table(rng, n_rows, dim, density):
    """A table with ties, empty rows among them."""
    dense = rng.integers(1, 4, (n_rows, dim)) * (rng.random((n_rows, dim)) < density)
    dense *= rng.choice([-1, 1], (n_rows, dim))
    return TableData(
        np.append(0, np.cumsum((dense != 0).sum(axis=1))),
        np.nonzero(dense)[1].astype(np.uint8),
        dense[dense != 0].astype(np.float32) / 7,
        dim,
    )


def random_model(seed, kind="rows", ids="int", n_users=150, n_items=40, dim=6) -> ModelData:
    rng = np.random.default_rng(seed)
    seen = rng.random((n_users, n_items)) < rng.random((n_users, 1)) * rng.integers(0, 2, (n_users, 1))
    encoders = {
        "rows": {},
        "biases": {
            "item_bias": rng.integers(-2, 3, n_items).astype(np.float32),
            "user_bias": rng.random(n_users).astype(np.float32),
            "offset": 3.5,
        },
        "sum": {"encoder": "sum", "encoder_settings": {"item_power": 0.6, "length_power": 0.3}},
        "normed sum": {"encoder": "sum", "encoder_settings": {"norm": 2.0}},
        "ridge": {"encoder": "ridge"},
        "ratings": {"encoder": "ratings", "encoder_settings": {"assumed_rating": 4.0}, "offset": 3.0},
    }
    has_rows = kind in ("rows", "biases")
    names = {
        "int": lambda n, step: [step * i for i in range(n)],
        "str": lambda n, step: sorted(f"{step}·{i}" for i in range(n)),
    }[ids]
    return ModelData(
        items=table(rng, n_items, dim, 0.4),
        users=table(rng, n_users, dim, 0.4) if has_rows else None,
        item_ids=IdMap.from_ids(names(n_items, 2)),
        user_ids=IdMap.from_ids(names(n_users, 3), entity="user"),
        seen=SeenItems(np.append(0, np.cumsum(seen.sum(axis=1))), np.nonzero(seen)[1]),
        popularity=seen.sum(axis=0),
        **encoders[kind],
    )


def check(model, k, **arguments):
    """Compare all users' lists with those that the recommender gives."""
    recommender = Recommender(model)
    answered = 0
    per_user = {name: value for name, value in arguments.items() if name not in ("users", "n_jobs")}
    for block in recommend_all(model, k, **arguments):
        ends = np.cumsum(block.counts)
        for user, end, count in zip(block.users, ends, block.counts, strict=True):
            expected = recommender.recommend(user if isinstance(user, str) else int(user), k=k, **per_user)
            part = slice(end - count, end)
            assert list(block.items[part]) == list(expected.ids)
            np.testing.assert_array_equal(block.scores[part], expected.scores)
            np.testing.assert_array_equal(block.ranks[part], np.arange(1, count + 1))
            answered += 1
    return answered


@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**16),
    kind=st.sampled_from(["rows", "biases", "sum"]),
    k=st.integers(1, 45),
    filter_seen=st.booleans(),
)
def test_everybody_gets_what_the_recommender_gives(seed, kind, k, filter_seen):
    model = random_model(seed, kind)
    assert check(model, k, filter_seen=filter_seen) == model.n_users


@pytest.mark.parametrize("kind", ["rows", "biases", "sum"])
@pytest.mark.parametrize("k", [1, 7])
def test_what_is_passed_over_would_not_have_been_there(kind, k):
    model = random_model(7, kind, n_items=2500)
    assert check(model, k) == model.n_users


@pytest.mark.parametrize("kind", ["normed sum", "ridge", "ratings"])
def test_other_encoders(kind):
    assert check(random_model(1, kind), 7) == 150


@pytest.mark.parametrize("kind", ["rows", "sum"])
def test_exclude_and_candidates(kind):
    model = random_model(2, kind)
    check(model, 5, exclude=[0, 8, 14])
    check(model, 5, candidates=[0, 8, 14, 30, 32, 34, 60])
    check(model, 5, candidates=[0, 8, 14, 30], exclude=[8], filter_seen=False)
    blocks = list(recommend_all(model, 5, candidates=[4], exclude=[4]))
    assert sum(block.counts.sum() for block in blocks) == 0


def test_string_ids_and_some_users_in_their_order():
    model = random_model(3, ids="str")
    wanted = [model.user_ids[row] for row in (7, 3, 140, 3)]
    (block,) = recommend_all(model, 4, users=wanted)
    assert block.users == wanted
    assert check(model, 4, users=wanted) == 4


@pytest.mark.parametrize("kind", ["rows", "sum"])
def test_neither_threads_nor_blocks_matter(kind, monkeypatch):
    model = random_model(4, kind)
    (expected,) = recommend_all(model, 6, n_jobs=1)
    for block_size, n_jobs in ((64, 1), (70, 3), (10**6, 2)):
        monkeypatch.setattr(Ranker, "block_size", lambda *_, size=block_size: size)
        blocks = list(recommend_all(model, 6, n_jobs=n_jobs))
        assert len(blocks) == -(-150 // block_size)
        for name in ("users", "counts", "items", "scores"):
            together = np.concatenate([getattr(block, name) for block in blocks])
            np.testing.assert_array_equal(together, getattr(expected, name))


def test_a_model_without_seen_items():
    model = replace(random_model(5), seen=None)
    assert check(model, 5) == 150


def test_what_cannot_be_answered_is_refused_at_once():
    model = random_model(6)
    with pytest.raises(SettingError, match="k is 0"):
        recommend_all(model, 0)
    with pytest.raises(UnknownIdError, match="unknown user 1;"):
        recommend_all(model, users=[1])
    with pytest.raises(UnknownIdError, match="unknown item 1;"):
        recommend_all(model, exclude=[1])
    nobody = replace(model, users=None, seen=None, user_ids=IdMap.range(0, entity="user"))
    with pytest.raises(SettingError, match="no users"):
        recommend_all(nobody)


@pytest.mark.parametrize("estimator", [SparseGraph, SparseBPR])
def test_estimators_recommend_to_all(estimator):
    interactions = make_interactions(80, 50, 1500, random_state=0)
    model = estimator(dim=16, epochs=2, random_state=0).fit(interactions)
    lists = {}
    for block in model.recommend_all(k=5):
        for user, items in zip(
            block.users.tolist(), np.split(block.items, np.cumsum(block.counts)[:-1]), strict=True
        ):
            lists[user] = items.tolist()
    assert len(lists) == 80
    for user in interactions.users.ids().tolist():
        assert lists[user] == model.recommend(user, k=5).ids.tolist()
