"""New interactions: remembered, encoded, written and read."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_models import random_model

from sparserec_np.errors import ModelFormatError, SettingError, UnknownIdError
from sparserec_np.runtime import IdMap, Recommender, TableData, save_model
from sparserec_np.runtime.format import read_tensors, write_tensors
from sparserec_np.runtime.state import read_state


def seen_ids(model, row):
    return list(model.item_ids.ids(model.seen.indices[model.seen.indptr[row] : model.seen.indptr[row + 1]]))


def assert_same(one, other):
    assert list(one.ids) == list(other.ids)
    np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("ids", ["range", "int", "str"])
def test_someone_new_is_answered_by_what_was_told(ids):
    model = random_model(ids=ids)
    recommender = Recommender(model)
    someone = "someone" if ids == "str" else 10**6
    with pytest.raises(UnknownIdError):
        recommender.recommend(someone)
    items = list(model.item_ids.ids([4, 2, 17]))
    recommender.update(someone, items[:1])
    recommender.update(someone, items[1:])
    assert_same(recommender.recommend(someone, k=8), recommender.recommend(history=items, k=8))
    scores = recommender.score(items, history=items)
    np.testing.assert_array_equal(recommender.score(items, user=someone), scores)
    known = model.user_ids[3]
    stored = recommender.predict([known], items[:1])
    paired = recommender.predict([someone, known, someone], [items[0], items[0], items[2]])
    assert paired.tolist() == [scores[0], stored[0], scores[2]]
    several = recommender.recommend([known, someone], k=8)
    assert_same(several[0], recommender.recommend(known, k=8))
    assert_same(several[1], recommender.recommend(someone, k=8))
    found, _ = recommender.similar_users(someone, k=3)
    assert len(found) == 3


def test_a_known_user_is_encoded_from_old_and_new_items():
    model = random_model(encoder="sum")
    recommender = Recommender(model)
    old = seen_ids(model, 5)
    assert old
    new = [item for item in range(30) if item not in old][:2]
    before = recommender.recommend(5, k=30)
    recommender.update(5, [*new, old[0]], weights=[1.0, 3.0, 1.0])
    expected = recommender.recommend(history=[*old, *new], weights=[1.0] * len(old) + [1.0, 3.0], k=30)
    found = recommender.recommend(5, k=30)
    assert list(found.ids) == list(expected.ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    assert not set(found.ids) & {*old, *new}
    assert list(before.ids) != list(found.ids)
    assert 5 not in recommender.similar_users(5, k=30).ids
    assert_same(recommender.recommend(4), Recommender(model).recommend(4))


def test_told_again_an_item_has_the_last_weight():
    recommender = Recommender(random_model(encoder="sum"))
    recommender.update(99, [1, 2, 1], [9.0, 2.0, 4.0])
    recommender.update(99, [2], [5.0])
    assert_same(recommender.recommend(99), recommender.recommend(history=[1, 2], weights=[4.0, 5.0]))


def test_nothing_told_is_popularity():
    recommender = Recommender(random_model())
    recommender.update(99, [])
    assert_same(recommender.recommend(99), recommender.recommend(history=[]))
    assert len(recommender.similar_users(99).ids) == 0


def test_a_rating_model_keeps_the_taste_of_a_known_user():
    model = random_model(biases=True, encoder="ratings", encoder_settings={"regularization": 1e-6})
    recommender = Recommender(model)
    old = seen_ids(model, 5)
    before = recommender.score(old, user=5)
    with pytest.raises(SettingError, match="trained on ratings; give those of the items"):
        recommender.update(5, [9])
    new = next(item for item in range(30) if item not in old)
    recommender.update(5, [new], [5.0])
    # The old ratings count as what the model says they are, so that a solution exists near the old one.
    assert np.abs(recommender.score(old, user=5) - before).mean() < 0.5 * np.abs(before).mean()
    assumed = Recommender(replace(model, encoder_settings={"assumed_rating": 4}))
    assumed.update(99, [1])
    assert_same(assumed.recommend(99), assumed.recommend(history=[1]))


def test_a_model_without_users_takes_new_ones_of_one_kind():
    model = random_model(users=None, seen=None, user_ids=IdMap.range(0, entity="user"), ids="str")
    recommender = Recommender(model)
    items = list(model.item_ids.ids([1, 2]))
    recommender.update("ann", items)
    assert_same(recommender.recommend("ann"), recommender.recommend(history=items))
    with pytest.raises(SettingError, match="user is 7; expected a string, as the others are"):
        recommender.update(7, items)
    with pytest.raises(SettingError, match="holds no users"):
        recommender.recommend("bob")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("x", [1]), SettingError, "user is 'x'; expected an integer, as the others are"),
        ((1.5, [1]), SettingError, "user is 1.5; expected an integer or a string"),
        ((1.0, [1]), SettingError, "user is 1.0; expected an integer or a string"),
        ((True, [1]), SettingError, "user is True; expected an integer or a string"),
        ((np.True_, [1]), SettingError, "user is .*True.*; expected an integer or a string"),
        ((None, [1]), SettingError, "user is None; expected an integer or a string"),
        ((b"x", [1]), SettingError, "user is b'x'; expected an integer or a string"),
        (([1], [1]), SettingError, r"user is \[1\]; expected an integer or a string"),
        ((2**63, [1]), SettingError, "user is 9223372036854775808; expected an integer of 64 bits"),
        ((-(2**63) - 1, [1]), SettingError, "user is -9223372036854775809; expected an integer of 64 bits"),
        ((np.uint64(2**63), [1]), SettingError, "user is 9223372036854775808; expected an integer of 64"),
        ((10**5000, [1]), SettingError, "user is an integer of thousands of digits; expected"),
        (("\ud800", [1]), SettingError, r"user is '\\ud800', which is not valid Unicode"),
        ((1, [2**63]), UnknownIdError, "unknown item 9223372036854775808"),
        ((1, [True]), UnknownIdError, "unknown item True"),
        ((1, [None]), UnknownIdError, "unknown item None"),
        ((1, ["\ud800"]), UnknownIdError, "unknown item"),
        ((1, [[1], [1, 2]]), SettingError, "item ids are nested"),
        ((1, [1], [np.nan]), SettingError, "weights hold nan; expected a finite number of at least 0"),
        (
            (1, [1, 2], [1, 1e13]),
            SettingError,
            r"hold 10000000000000.0; .* 1e\+12 at position 1",
        ),
        ((1, [1], [10**5000]), SettingError, "weights are .*; expected a number"),
        ((1, [1], ["1"]), SettingError, r"weights are \['1'\]; expected a number for each item"),
        ((1, [1], [True]), SettingError, r"weights are \[True\]; expected a number"),
        ((1, [1], [[1.0]]), SettingError, "weights have shape"),
        ((1, [1, 2], [[1.0], 2]), SettingError, "weights are"),
        ((1, [1], [None]), SettingError, "weights hold nan; .* at position 0"),
        ((1, [1], 3), SettingError, "weights are 3; expected a number for each item"),
        ((1, [999]), UnknownIdError, "unknown item 999"),
        ((1, [1], [1, 2]), SettingError, "weights have shape"),
        ((1, [1], [-1]), SettingError, "weights hold -1.0"),
        ((1, 5), SettingError, "items is 5; expected several item ids"),
    ],
)
def test_wrong_news_change_nothing(tmp_path, arguments, error, message):
    recommender = Recommender(random_model())
    before = recommender.recommend(1)
    with pytest.raises(error, match=message):
        recommender.update(*arguments)
    assert_same(recommender.recommend(1), before)
    # Nothing is found to be wrong when everybody's state is written.
    recommender.update(np.int64(2**63 - 1), [1], [1e12])
    recommender.update(-(2**63), [1])
    recommender.save_state(tmp_path / "state")
    assert set(read_state(tmp_path / "state")) == {-(2**63), 2**63 - 1}


@pytest.mark.parametrize("user", ["\ud800", b"ann", None, 1.0])
def test_wrong_strings_are_refused_at_once(tmp_path, user):
    recommender = Recommender(random_model(ids="str"))
    item = recommender.item_ids[0]
    with pytest.raises(SettingError, match="user is"):
        recommender.update(user, [item])
    recommender.update(np.str_("ann"), [item])
    recommender.update("", [item])
    recommender.save_state(tmp_path / "state")
    assert set(read_state(tmp_path / "state")) == {"", "ann"}
    assert all(type(name) is str for name in read_state(tmp_path / "state"))


def test_what_only_equals_an_id_is_nobody():
    recommender = Recommender(random_model())
    recommender.update(1, [3])
    for user in (True, 1.0, np.float32(1), [1, 2.0], [True]):
        with pytest.raises(UnknownIdError):
            recommender.recommend(user)
        with pytest.raises(UnknownIdError):
            recommender.predict([1, user[-1] if isinstance(user, list) else user], [0, 0])
    told = recommender.recommend(1)
    for user in (np.int8(1), np.uint64(1)):
        assert_same(recommender.recommend(user), told)
        assert_same(recommender.recommend(np.array([user]))[0], told)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1.0, 1e12])
@pytest.mark.parametrize(
    ("encoder", "encoder_settings", "parts"),
    [
        ("sum", {}, {}),
        ("sum", {"norm": 3.0}, {}),
        ("ridge", {}, {}),
        ("ridge", {"regularization": 1e-6, "alpha": 0.0}, {}),
        ("ratings", {"assumed_rating": 4.0}, {"biases": True}),
        ("ratings", {"regularization": 1e-6, "assumed_rating": 4.0}, {"biases": True}),
    ],
)
def test_scores_are_finite_or_the_weights_refused(tmp_path, encoder, encoder_settings, parts, scale):
    """The largest weights, with tables as large and as small as a file may hold."""
    model = random_model(encoder=encoder, encoder_settings=encoder_settings, **parts)
    tables = {
        name: TableData(
            *table.by_row[:2], np.clip(table.by_row.values * scale, -1e12, 1e12).astype(np.float32), table.dim
        )
        for name, table in (("items", model.items), ("users", model.users))
    }
    recommender = Recommender(replace(model, **tables))
    mixed = [1e12, 0, 1, 1e6, 3, 0, 1e9, 1, 1]
    refused = set()
    for n, weights in enumerate(([1e12] * 9, [1e12, *[1e-30] * 8], [0.0] * 9, mixed)):
        for user in (5, 100 + n):
            recommender.update(user, range(9), weights)
            try:
                found = recommender.recommend(user)
                again = recommender.recommend(history=range(9), weights=weights)
                predicted = recommender.predict([user], [3])
                recommender.similar_users(user)
            except (SettingError, ModelFormatError) as error:
                refused.add(str(error).split()[0])
                continue
            for scores in (found.scores, again.scores, predicted):
                assert np.isfinite(scores).all()
    assert not refused or scale != 1.0
    assert refused <= {"weights"}
    recommender.save_state(tmp_path / "state")
    recommender.load_state(tmp_path / "state")


def test_a_state_may_be_of_another_kind_than_what_it_replaces(tmp_path):
    nobody = {"users": None, "seen": None, "user_ids": IdMap.range(0, entity="user")}
    names, numbers = (Recommender(random_model(**nobody)) for _ in range(2))
    names.update("ann", [1])
    names.save_state(tmp_path / "state")
    numbers.update(7, [2])
    numbers.load_state(tmp_path / "state")
    assert_same(numbers.recommend("ann"), names.recommend("ann"))


@pytest.mark.parametrize("ids", ["range", "int", "str"])
def test_state_round_trip(tmp_path, ids):
    model = random_model(ids=ids)
    save_model(tmp_path / "m.srec", model)
    content = (tmp_path / "m.srec").read_bytes()
    recommender = Recommender.load(tmp_path / "m.srec")
    known, someone = model.user_ids[4], "someone" if ids == "str" else 10**6
    recommender.update(known, model.item_ids.ids([7, 3]), [0.5, 2.0])
    recommender.update(someone, model.item_ids.ids([0, 29]))
    recommender.update(model.user_ids[0], [])
    recommender.save_state(tmp_path / "s.state")
    assert (tmp_path / "m.srec").read_bytes() == content
    again = Recommender.load(tmp_path / "m.srec")
    again.update(model.user_ids[9], model.item_ids.ids([1]))
    again.load_state(tmp_path / "s.state")
    for user in [*model.user_ids, someone]:
        assert_same(again.recommend(user), recommender.recommend(user))
    again.save_state(tmp_path / "again.state")
    assert (tmp_path / "again.state").read_bytes() == (tmp_path / "s.state").read_bytes()
    Recommender(model).save_state(tmp_path / "empty.state")
    again.load_state(tmp_path / "empty.state")
    assert_same(again.recommend(known), Recommender(model).recommend(known))


def test_state_outlives_the_model(tmp_path):
    """Ids are kept, not rows: in the next model, rows mean other items, and some items are gone."""
    old = random_model(item_ids=IdMap.from_ids([f"i{n:02d}" for n in range(30)]))
    recommender = Recommender(old)
    recommender.update(99, ["i03", "i07", "i20"])
    recommender.save_state(tmp_path / "s")
    names = [f"i{n:02d}" for n in range(31) if n != 7]
    new = Recommender(random_model(seed=1, item_ids=IdMap.from_ids(names)))
    new.load_state(tmp_path / "s")
    assert_same(new.recommend(99), new.recommend(history=["i03", "i20"]))


def test_a_model_file_is_no_state_and_a_state_of_other_people_is_refused(tmp_path):
    save_model(tmp_path / "m", random_model())
    recommender = Recommender(random_model())
    with pytest.raises(ModelFormatError, match="m: format is 'srec'; expected 'srec-state'"):
        recommender.load_state(tmp_path / "m")
    names = Recommender(random_model(ids="str"))
    names.update("ann", names.item_ids.ids([1]))
    names.save_state(tmp_path / "s")
    with pytest.raises(ModelFormatError, match="s: user is 'ann'; expected an integer"):
        recommender.load_state(tmp_path / "s")


@pytest.mark.filterwarnings("error")
@settings(max_examples=int(os.environ.get("SPARSEREC_MUTATIONS", "200")), deadline=None)
@given(data=st.data(), ids=st.sampled_from(["int", "str"]), in_tensors=st.booleans())
def test_mutated_states_do_no_harm(tmp_path_factory, data, ids, in_tensors):
    path = tmp_path_factory.getbasetemp() / "mutated.state"
    recommender = Recommender(random_model(ids=ids))
    for row, items in ((2, [3, 4]), (5, [9]), (7, [])):
        recommender.update(recommender.user_ids[row], recommender.item_ids.ids(items))
    recommender.save_state(path)
    if in_tensors:
        tensors, metadata = read_tensors(path)
        name = data.draw(st.sampled_from(sorted(tensors)))
        content = bytearray(tensors[name].tobytes())
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        write_tensors(path, tensors | {name: np.frombuffer(content, tensors[name].dtype)}, metadata)
    else:
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
    try:
        people = read_state(path)
        recommender.load_state(path)
    except ModelFormatError:
        return
    for user in people:
        assert np.isfinite(recommender.recommend(user).scores).all()


def test_threads_tell_and_ask(tmp_path):
    model = random_model(n_users=20, n_items=200, encoder="sum")
    recommender = Recommender(model)
    failures = []

    def work(number):
        try:
            for item in range(number, 200, 8):
                recommender.update(number, [item])
                recommender.update(77, [item])
                recommender.recommend([number, 77, 19], k=5)
                recommender.save_state(tmp_path / f"{number}")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    recommender.save_state(tmp_path / "all")
    assert set(read_state(tmp_path / "all")[77]) == set(range(200))
