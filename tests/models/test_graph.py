"""What is particular to the graph model: no user rows, a width of its own, people by their history."""

import numpy as np
import pytest

from sparserec_np import SparseGraph, load
from sparserec_np.data import make_interactions, split_random
from sparserec_np.metrics import evaluate, evaluate_popularity

QUICK = {"dim": 12, "density": 0.25, "epochs": 3, "batch_size": 256, "negatives": 4, "random_state": 0}


@pytest.mark.parametrize("mask_init", ["spectral", "nmf", "random"])
@pytest.mark.parametrize("width", [12, 30])
def test_the_whole_budget_goes_to_the_items(tastes, mask_init, width):
    model = SparseGraph(**QUICK, mask_init=mask_init, width=width).fit(tastes)
    assert model.users_ is None
    assert model.items_.shape == (tastes.n_items, width)
    assert model.items_.nnz == round(0.25 * (tastes.n_users + tastes.n_items) * 12)
    model.items_.check()
    assert {record["nnz"] for record in model.history_} == {model.items_.nnz}


def test_more_than_the_table_holds_is_a_full_table(tastes):
    model = SparseGraph(**QUICK | {"density": 1.0}, width=12).fit(tastes)
    assert model.items_.nnz == tastes.n_items * 12


def test_a_user_gets_what_their_history_gets(tastes):
    model = SparseGraph(**QUICK).fit(tastes)
    matrix = tastes.user_items
    for row in (0, 7, 33):
        items = [tastes.items[int(i)] for i in matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]]
        by_user, by_history = model.recommend(tastes.users[row]), model.recommend_from_history(items)
        np.testing.assert_array_equal(by_user.ids, by_history.ids)


def test_the_recommender_ranks_as_training_validates(tastes):
    model = SparseGraph(**QUICK).fit(tastes)
    scorer = model._scorer(tastes)
    rows = np.arange(tastes.n_users)
    trained = scorer.represent(None, model.items_, rows).toarray()
    np.testing.assert_allclose(model.recommender.user_vectors(rows), trained, rtol=2e-5, atol=1e-6)


def test_the_width_is_chosen_on_the_hold_out():
    """Few plain tastes need no width; the choice is told, and saved."""
    interactions = make_interactions(300, 200, 6000, n_tastes=4, random_state=0)
    model = SparseGraph(dim=16, density=0.2, epochs=2, random_state=0).fit(interactions)
    assert model.width_ in (16, 32, 64, 128)
    assert model.items_.dim == model.width_
    assert model.items_.nnz == round(0.2 * 500 * 16)


def test_saving_and_loading(tastes, tmp_path):
    model = SparseGraph(**QUICK).fit(tastes)
    model.save(tmp_path / "m.srec")
    loaded = load(tmp_path / "m.srec")
    assert loaded.users_ is None
    assert loaded.width_ == model.width_
    assert loaded.get_params()["item_power"] == model.item_power
    user = tastes.users[5]
    np.testing.assert_array_equal(loaded.recommend(user).ids, model.recommend(user).ids)


def test_it_beats_the_most_popular_by_far():
    interactions = make_interactions(800, 500, 24_000, random_state=1)
    train, test = split_random(interactions, 0.2, random_state=0)
    model = SparseGraph(random_state=0).fit(train)
    scorer = model._scorer(train)
    found = evaluate(
        lambda rows: scorer.represent(None, model.items_, rows),
        model.items_.to_scipy(),
        train.user_items,
        test.user_items,
    )
    popularity = np.bincount(train.user_items.indices, minlength=train.n_items)
    popular = evaluate_popularity(popularity, train.user_items, test.user_items)
    assert found["ndcg@20"] > 2 * popular["ndcg@20"]
