from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from sparserec_np import Interactions, SparseBPR, SparseMF, metrics
from sparserec_np.autograd import maximum, square, total
from sparserec_np.data import make_interactions, split_random

ML_100K = Path(__file__).parents[2] / "../shared/data/ml-100k/u.data.gz"


def hinge(scores, weights):
    """A loss that the library does not have: negatives must stay one below the positive."""
    return total(square(maximum(1 - scores[:, :1] + scores[:, 1:], 0)))


def ndcg(model, train, test, k=20):
    found = metrics.evaluate(
        model.users_.to_scipy(), model.items_.to_scipy(), train.user_items, test.user_items, k
    )
    return found[f"ndcg@{k}"]


def popular_ndcg(train, test, k=20):
    popularity = np.bincount(train.user_items.indices, minlength=train.n_items)
    return metrics.evaluate_popularity(popularity, train.user_items, test.user_items, k)[f"ndcg@{k}"]


@pytest.mark.parametrize(
    ("estimator", "loss", "mask_init"),
    [
        (SparseBPR, "softmax", "nmf"),
        (SparseBPR, "softmax", "random"),
        (SparseBPR, "bpr", "nmf"),
        (SparseBPR, "bpr", "random"),
        (SparseBPR, hinge, "nmf"),
        (SparseMF, "logistic", "nmf"),
        (SparseMF, "logistic", "random"),
    ],
)
def test_checkerboard(estimator, loss, mask_init):
    """Users of a parity like the items of that parity; what was held out must come back first."""
    n_users, n_items = 60, 40
    board = (np.arange(n_users)[:, None] + np.arange(n_items)) % 2 == 0
    held_out = np.zeros(board.shape, dtype=bool)
    rng = np.random.default_rng(0)
    for user in range(n_users):
        held_out[user, rng.choice(np.flatnonzero(board[user]))] = True
    # Held-out items are sampled as negatives; the penalty keeps them from being learnt by heart.
    model = estimator(
        loss=loss, density=0.5, dim=8, epochs=30, batch_size=128, negatives=4, regularization=0.2,
        mask_init=mask_init, early_stopping=0, random_state=0,
    )  # fmt: skip
    model.fit(sparse.csr_array((board & ~held_out).astype(np.float32)))
    for user in range(n_users):
        ids, _ = model.recommend(user, k=1)
        assert list(ids) == list(np.flatnonzero(held_out[user]))
    # Rows of one parity point the same way.
    for item in range(n_items):
        ids, _ = model.similar_items(item, k=10)
        assert (np.asarray(ids) % 2 == item % 2).all()


@pytest.fixture(scope="module")
def planted():
    interactions = make_interactions(500, 250, 10_000, n_tastes=8, random_state=0)
    return split_random(interactions, 0.2, random_state=1)


@pytest.mark.parametrize(
    ("estimator", "settings"),
    [
        (SparseBPR, {}),
        (SparseBPR, {"loss": "bpr"}),
        (SparseBPR, {"optimizer": "adam", "learning_rate": 0.01}),
        (SparseMF, {}),
    ],
)
def test_the_quality_floor_on_planted_tastes(estimator, settings, planted):
    train, test = planted
    model = estimator(density=0.1, random_state=0, **settings).fit(train)
    floor = popular_ndcg(train, test)
    assert ndcg(model, train, test) > 1.5 * floor
    assert model.validation_["ndcg@20"] > 1.5 * model.baseline_["ndcg@20"]


def test_the_squared_loss_predicts_ratings_better_than_biases_do():
    ratings = make_interactions(600, 300, 30_000, n_tastes=4, ratings=True, random_state=0)
    train, test = split_random(ratings, 0.2, random_state=1)
    model = SparseMF(loss="squared", density=0.25, dim=16, random_state=0).fit(train)
    users, items = test.user_items.nonzero()
    expected = test.user_items.data
    baseline = metrics.rmse(expected, model.rating_baseline_.predict(test))
    found = metrics.rmse(expected, model.predict(users, items))
    assert found < 0.95 * baseline
    assert "rmse" in model.history_[0]
    assert model.validation_["rmse"] < baseline


@pytest.mark.skipif(not ML_100K.exists(), reason=f"MovieLens 100K is not at {ML_100K}")
def test_the_quality_floor_on_movielens():
    interactions = Interactions.from_csv(ML_100K, min_rating=4)
    train, test = split_random(interactions, 0.2, random_state=0)
    model = SparseBPR(density=0.1, random_state=0).fit(train)
    assert model.users_.nnz + model.items_.nnz == round(0.1 * (train.n_users + train.n_items) * 64)
    assert ndcg(model, train, test) > 1.5 * popular_ndcg(train, test)
