"""Models without a user table: users are what they have seen."""

import dataclasses

import numpy as np
import pytest
from runtime_models import random_model

from sparserec_np.errors import SettingError
from sparserec_np.runtime import Recommender, load_model, save_model
from sparserec_np.runtime.ids import IdMap


@pytest.fixture
def data():
    model = random_model(0)
    return dataclasses.replace(model, users=None, user_bias=None, encoder="sum", encoder_settings={})


def test_a_user_is_encoded_from_what_was_seen(data):
    recommender = Recommender(data)
    for row in range(data.n_users):
        seen = data.seen.indices[data.seen.indptr[row] : data.seen.indptr[row + 1]]
        history = [data.item_ids[int(item)] for item in seen]
        by_user = recommender.recommend(data.user_ids[row], k=5)
        by_history = recommender.recommend(history=history, k=5)
        np.testing.assert_array_equal(by_user.ids, by_history.ids)
        np.testing.assert_array_equal(by_user.scores, by_history.scores)


def test_the_file_keeps_them(data, tmp_path):
    save_model(tmp_path / "m.srec", data)
    loaded = load_model(tmp_path / "m.srec")
    assert loaded.users is None
    assert loaded.n_users == data.n_users
    one, two = Recommender(data), Recommender(loaded)
    users = list(data.user_ids.ids())
    for a, b in zip(one.recommend(users, k=4), two.recommend(users, k=4), strict=True):
        np.testing.assert_array_equal(a.ids, b.ids)


def test_predict_agrees_with_score(data):
    recommender = Recommender(data)
    users = [data.user_ids[0], data.user_ids[1], data.user_ids[0]]
    items = [data.item_ids[2], data.item_ids[0], data.item_ids[1]]
    expected = [recommender.score([item], user=user)[0] for user, item in zip(users, items, strict=True)]
    np.testing.assert_allclose(recommender.predict(users, items), expected, rtol=1e-6)


def test_similar_users_are_compared_by_their_histories(data):
    ids, cosines = Recommender(data).similar_users(data.user_ids[0], k=3)
    assert data.user_ids[0] not in list(ids)
    assert (np.abs(cosines) <= 1 + 1e-6).all()


def test_without_histories_there_are_no_users(data):
    nobody = dataclasses.replace(data, seen=None, user_ids=IdMap.range(0, entity="user"))
    with pytest.raises(SettingError, match="holds no users"):
        Recommender(nobody).recommend(0)
