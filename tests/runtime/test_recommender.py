"""The recommender against dense computations and full sorts."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from runtime_models import column_sums, densify, random_csr, random_model, ranked

from sparserec_np.errors import SettingError, UnknownIdError
from sparserec_np.runtime import IdMap, Recommender, SeenItems, TableData, save_model


@pytest.fixture(params=["range", "int", "str"])
def ids(request):
    return request.param


def seen_rows(model, row):
    return set(model.seen.indices[model.seen.indptr[row] : model.seen.indptr[row + 1]].tolist())


def expected_scores(model, row):
    vector = densify(model.users)[row]
    if not (vector.any() or model.has_bias):
        return model.popularity.astype(np.float32)
    scores = column_sums(densify(model.items), vector)
    if model.item_bias is not None:
        scores = scores + model.item_bias
    if model.user_bias is not None:
        scores = scores + (np.float32(model.offset) + model.user_bias[row])
    return scores


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("k", [1, 7, 30, 1000])
@pytest.mark.parametrize("filter_seen", [True, False])
def test_recommend_is_the_exact_ranking(ids, biases, k, filter_seen):
    model = random_model(levels=2, ids=ids, biases=biases)
    recommender = Recommender(model)
    for row, user in enumerate(model.user_ids):
        scores = expected_scores(model, row)
        allowed = set(range(30)) - (seen_rows(model, row) if filter_seen else set())
        best = ranked(scores, allowed, k, model.popularity)
        found = recommender.recommend(user, k=k, filter_seen=filter_seen)
        assert list(found.ids) == list(model.item_ids.ids(best))
        np.testing.assert_array_equal(found.scores, scores[best])
        assert found.scores.dtype == np.float32


@pytest.mark.parametrize("filter_seen", [True, False])
def test_exclude_and_candidates(ids, filter_seen):
    model = random_model(levels=2, ids=ids)
    recommender = Recommender(model)
    exclude, candidates = [3, 3, 20], [4, 20, 1, 3, 4, 17, 9]
    for row, user in enumerate(model.user_ids):
        scores = expected_scores(model, row)
        seen = seen_rows(model, row) if filter_seen else set()
        for out, among in (([], candidates), (exclude, range(30)), (exclude, candidates)):
            best = ranked(scores, set(among) - set(out) - seen, 4, model.popularity)
            found, _ = recommender.recommend(
                user,
                k=4,
                filter_seen=filter_seen,
                exclude=model.item_ids.ids(out) if out else None,
                candidates=model.item_ids.ids(among) if among is candidates else None,
            )
            assert list(found) == list(model.item_ids.ids(best))


def test_nothing_qualifies():
    recommender = Recommender(random_model(ids="str"))
    for nothing in ({"candidates": []}, {"exclude": recommender.item_ids.ids()}):
        found, scores = recommender.recommend(recommender.user_ids[0], **nothing)
        assert found == []
        assert scores.shape == (0,)


def test_several_users_get_a_list_of_answers(ids):
    recommender = Recommender(random_model(ids=ids))
    users = [recommender.user_ids[row] for row in (4, 0, 4)]
    for given in (users, tuple(users), np.array(users)):
        answers = recommender.recommend(given, k=5)
        assert len(answers) == 3
        for user, answer in zip(users, answers, strict=True):
            alone = recommender.recommend(user, k=5)
            assert list(answer.ids) == list(alone.ids)
            np.testing.assert_array_equal(answer.scores, alone.scores)
    assert recommender.recommend([]) == []


def test_a_file_without_seen_items_filters_nothing():
    model = random_model(seen=None)
    assert len(Recommender(model).recommend(0, k=100).ids) == 30


def test_history_is_scored_as_its_encoding_and_left_out(ids):
    model = random_model(ids=ids, encoder="sum")
    recommender = Recommender(model)
    history = model.item_ids.ids([2, 5, 9])
    found, scores = recommender.recommend(history=history, weights=[1, 2, 1], k=100)
    assert set(found) == set(model.item_ids.ids()) - set(history)
    again = recommender.score(found, history=history, weights=[1, 2, 1])
    np.testing.assert_array_equal(again, scores)
    assert set(recommender.recommend(history=history, k=100, filter_seen=False).ids) >= set(history)
    one = recommender.recommend(history=history, weights=[0, 0, 3], k=100, filter_seen=False)
    other = recommender.recommend(history=history[2:], k=100, filter_seen=False)
    assert list(one.ids) == list(other.ids)


def test_a_history_finds_its_neighbours():
    # Items 0-4 share one direction and 5-9 another; who likes some of a group is shown its rest.
    rows = np.repeat([0, 1], 5)
    items = TableData(np.arange(11), rows, np.ones(10, np.float32), 2)
    for encoder in ("ridge", "sum"):
        model = random_model(
            n_items=10, n_users=0, items=items, users=None, seen=None, encoder=encoder,
            user_ids=IdMap.range(0, entity="user"), popularity=np.ones(10, np.uint8),
        )  # fmt: skip
        assert Recommender(model).recommend(history=[6, 8], k=3).ids.tolist() == [5, 7, 9]


@pytest.mark.parametrize("history", [[], [3], [3, 3]])
def test_a_history_that_says_nothing_falls_back_to_popularity(history):
    model = random_model()
    indptr = model.items.indptr.copy()
    empty = slice(int(indptr[3]), int(indptr[4]))
    indptr[4:] -= empty.stop - empty.start
    items = TableData(indptr, np.delete(model.items.indices, empty), np.delete(model.items.values, empty), 8)
    recommender = Recommender(random_model(items=items))
    found, scores = recommender.recommend(history=history, k=6)
    assert found.tolist() == ranked(model.popularity, set(range(30)) - set(history), 6)
    assert scores.tolist() == model.popularity[found].tolist()


def test_a_rating_model_without_assumed_rating_asks_for_ratings():
    recommender = Recommender(random_model(biases=True, encoder="ratings"))
    with pytest.raises(SettingError, match="trained on ratings"):
        recommender.recommend(history=[1])
    low = recommender.score([1], history=[1, 2], weights=[-1.0, 3.0])
    high = recommender.score([1], history=[1, 2], weights=[5.0, 3.0])
    assert high > low


@pytest.mark.parametrize("biases", [False, True])
def test_predict_and_score_agree_to_the_bit(ids, biases):
    model = random_model(ids=ids, biases=biases, seed=5)
    recommender = Recommender(model)
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 12, 300), rng.integers(0, 30, 300)
    predicted = recommender.predict(model.user_ids.ids(users), model.item_ids.ids(items))
    expected = [expected_scores(model, user)[item] for user, item in zip(users, items, strict=True)]
    assert predicted.tolist() == expected
    scored = recommender.score(model.item_ids.ids(items[:5]), user=model.user_ids[int(users[0])])
    assert scored.tolist() == expected_scores(model, users[0])[items[:5]].tolist()
    assert recommender.predict([], []).shape == (0,)


def test_predict_in_blocks_changes_nothing(monkeypatch):
    recommender = Recommender(random_model())
    users, items = np.repeat(np.arange(12), 30), np.tile(np.arange(30), 12)
    whole = recommender.predict(users, items)
    monkeypatch.setattr("sparserec_np.runtime.recommender._BLOCK_ENTRIES", 56)
    np.testing.assert_array_equal(recommender.predict(users, items), whole)


@pytest.mark.parametrize("entity", ["items", "users"])
def test_similar_is_the_cosine(ids, entity):
    model = random_model(ids=ids, n_users=25)
    table, id_map = densify(getattr(model, entity)), getattr(model, f"{entity[:-1]}_ids")
    norms = np.linalg.norm(table, axis=1)
    similar = getattr(Recommender(model), f"similar_{entity}")
    for row, id in enumerate(id_map):
        found, cosines = similar(id, k=100)
        if norms[row] == 0:
            assert len(found) == 0
            continue
        rows = id_map.rows(found)
        assert set(rows.tolist()) == set(np.flatnonzero(norms).tolist()) - {row}
        np.testing.assert_allclose(cosines, table[rows] @ table[row] / (norms[rows] * norms[row]), atol=1e-6)
        assert (np.diff(cosines) <= 0).all()
    answers = similar(list(id_map)[:3], k=2)
    assert [list(answer.ids) for answer in answers] == [list(similar(id, 2).ids) for id in list(id_map)[:3]]


def test_gram_in_blocks(monkeypatch):
    model = random_model()
    monkeypatch.setattr("sparserec_np.runtime.regression._BLOCK", 56)
    table = densify(model.items).astype(np.float64)
    np.testing.assert_allclose(Recommender(model)._items.gram.dense, table.T @ table, rtol=1e-6, atol=1e-9)


def test_unknown_ids_name_the_closest():
    recommender = Recommender(random_model(ids="str"))
    with pytest.raises(UnknownIdError, match="unknown user 'user é00012'; the closest known: user é0000"):
        recommender.recommend("user é00012")
    for arguments in (
        {"history": ["x"]},
        {"user": "user é000000", "exclude": ["x"]},
        {"history": [], "candidates": ["x"]},
    ):
        with pytest.raises(UnknownIdError, match="unknown item 'x'"):
            recommender.recommend(**arguments)
    for method in (recommender.similar_items, lambda id: recommender.score([id], history=[])):
        with pytest.raises(UnknownIdError, match="unknown item 'x'"):
            method("x")
    with pytest.raises(UnknownIdError, match="unknown user 'x'"):
        recommender.predict(["x"], ["item é000000"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user": 1, "k": 0}, "k is 0; expected an integer of at least 1"),
        ({"user": 1, "k": 2.0}, "k is 2.0"),
        ({}, "neither of user and history is given"),
        ({"user": 1, "history": [1]}, "both of user and history is given"),
        ({"user": [1], "history": [1]}, "both of user and history is given"),
        ({"user": 1, "weights": [1]}, "weights are given without a history"),
        ({"history": [1], "weights": [1, 2]}, r"weights have shape \(2,\); expected one for each of 1 items"),
        ({"history": [1], "weights": [-1.0]}, "weights hold -1.0; expected a finite number of at least 0"),
        ({"history": [1], "weights": [float("nan")]}, "weights hold nan"),
        ({"history": "abc"}, "history is 'abc'; expected several item ids"),
        ({"history": 3}, "history is 3; expected several item ids"),
        ({"user": 1, "candidates": 3}, "candidates is 3; expected several"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(SettingError, match=message):
        Recommender(random_model()).recommend(**arguments)


def test_predict_needs_pairs():
    with pytest.raises(SettingError, match="users has length 2 and items 1"):
        Recommender(random_model()).predict([1, 2], [1])


def test_a_model_without_users_says_so():
    recommender = Recommender(random_model(users=None, seen=None, user_ids=IdMap.range(0, entity="user")))
    for ask in (
        recommender.recommend,
        recommender.similar_users,
        lambda user: recommender.predict([user], [1]),
    ):
        with pytest.raises(SettingError, match=r"holds no users; recommend by history=\[item, ...\] instead"):
            ask(1)
    assert len(recommender.recommend(history=[1, 2]).ids) == 10


def test_nothing_given_is_changed():
    model = random_model(biases=True)
    arrays = [model.popularity, model.item_bias, model.items.values, model.seen.indices]
    before = [array.copy() for array in arrays]
    exclude, candidates, weights = np.array([5, 1]), np.array([9, 2, 2]), np.array([2.0, 1.0])
    recommender = Recommender(model)
    recommender.recommend(0, exclude=exclude, candidates=candidates)
    recommender.recommend(history=[], exclude=exclude)
    recommender.recommend(history=np.array([3, 4]), weights=weights)
    recommender.similar_items(3)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert (exclude.tolist(), candidates.tolist(), weights.tolist()) == ([5, 1], [9, 2, 2], [2.0, 1.0])


def test_a_loaded_model_answers_as_the_one_in_memory(tmp_path, ids):
    model = random_model(ids=ids, biases=True, encoder="sum")
    save_model(tmp_path / "m.srec", model)
    loaded, direct = Recommender.load(tmp_path / "m.srec"), Recommender(model)
    assert loaded.info == model.info
    history = list(model.item_ids.ids([1, 2, 3]))
    for ask in (
        lambda r: [r.recommend(user, k=8) for user in model.user_ids],
        lambda r: [r.recommend(history=history), r.recommend(history=[])],
        lambda r: [r.similar_items(history[0]), r.similar_users(model.user_ids[3])],
    ):
        for one, other in zip(ask(loaded), ask(direct), strict=True):
            assert list(one.ids) == list(other.ids)
            np.testing.assert_array_equal(one.scores, other.scores)


def test_threads_share_a_recommender():
    model = random_model(n_users=50, n_items=3000, dim=16)
    expected = Recommender(model).recommend(list(range(50)), k=20)
    for _ in range(5):
        recommender, answers = Recommender(model), [None] * 8
        barrier = threading.Barrier(8)

        def work(number, recommender=recommender, answers=answers, barrier=barrier):
            barrier.wait()
            recommender.recommend(history=[number], k=5)
            answers[number] = recommender.recommend(list(range(50)), k=20)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for answer in answers:
            for one, other in zip(answer, expected, strict=True):
                np.testing.assert_array_equal(one.ids, other.ids)
                np.testing.assert_array_equal(one.scores, other.scores)


def test_many_items_take_the_grouped_top_k():
    rng = np.random.default_rng(1)
    model = random_model(n_items=6000, dim=16, levels=2, seen=SeenItems(*random_csr(rng, 12, 6000, 0.1)))
    for row in range(12):
        allowed = set(range(6000)) - seen_rows(model, row)
        best = ranked(expected_scores(model, row), allowed, 25, model.popularity)
        assert Recommender(model).recommend(row, k=25).ids.tolist() == best


def test_no_items_at_all():
    model = random_model(n_items=0, seen=None)
    recommender = Recommender(model)
    assert len(recommender.recommend(0).ids) == 0
    assert len(recommender.recommend(history=[]).ids) == 0
