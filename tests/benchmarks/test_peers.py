from dataclasses import replace

import numpy as np
import peers
import pytest
import quality
from methods import METHODS, settings_on
from results import Results

from sparserec_np import SparseGraph
from sparserec_np.data import make_interactions, split_random


@pytest.fixture(scope="module")
def parts():
    return split_random(make_interactions(120, 80, 3000, random_state=0), 0.2, 0)


def ndcg(fitted, parts, precision="float32"):
    train, test = parts
    return fitted.evaluate(precision, train.user_items, test.user_items)["ndcg@20"]


@pytest.mark.parametrize(("n_neighbours", "shrinkage"), [(5, 0.0), (20, 3.0), (500, 10.0)])
def test_item_neighbours(parts, n_neighbours, shrinkage):
    dense = (parts[0].user_items.toarray() > 0).astype(float)
    both = dense.T @ dense
    counts = np.maximum(np.diag(both), 1)
    with np.errstate(invalid="ignore"):
        wanted = np.nan_to_num(both / np.sqrt(np.outer(counts, counts)) * both / (both + shrinkage))
    np.fill_diagonal(wanted, 0)
    for row in wanted:
        row[np.argsort(-row, kind="stable")[n_neighbours:]] = 0
    found = peers.item_neighbours(parts[0].user_items, 0, n_neighbours=n_neighbours, shrinkage=shrinkage)
    similarities = found._similarities.toarray().T
    assert np.allclose(np.sort(similarities, axis=1), np.sort(wanted, axis=1), atol=1e-6)
    assert found.nnz == np.count_nonzero(wanted)
    assert ndcg(found, parts) > ndcg(peers.most_popular(parts[0].user_items, 0), parts)


def test_ease_is_the_regression_without_a_diagonal(parts):
    """Each column solves its own ridge regression on all other items."""
    dense = (parts[0].user_items.toarray() > 0).astype(float)
    found = peers.ease(parts[0].user_items, 0, regularization=30.0)._similarities
    for item in (0, 7, 41):
        others = np.arange(dense.shape[1]) != item
        X = dense[:, others]
        wanted = np.linalg.solve(X.T @ X + 30 * np.eye(X.shape[1]), X.T @ dense[:, item])
        assert found[others, item] == pytest.approx(wanted, abs=1e-5)
        assert found[item, item] == 0


def test_popularity(parts):
    train, _ = parts
    found = peers.most_popular(train.user_items, 0)
    assert found.nnz == train.n_items
    assert 0 < ndcg(found, parts) < 1


def test_implicit_factors_rank_and_shrink(parts):
    pytest.importorskip("implicit")
    n_rows = parts[0].n_users + parts[0].n_items
    als = peers.implicit_als(parts[0].user_items, 0, alpha=10, regularization=10, factors=8)
    assert als.nnz == 8 * n_rows
    assert [als.n_bytes(p) for p in als.precisions] == [32 * n_rows, 12 * n_rows]
    assert ndcg(als, parts, "int8") == pytest.approx(ndcg(als, parts), abs=0.02)
    bpr = peers.implicit_bpr(
        parts[0].user_items, 0, learning_rate=0.05, regularization=0.01, iterations=30, factors=8
    )
    assert bpr.nnz == 9 * n_rows
    popular = ndcg(peers.most_popular(parts[0].user_items, 0), parts)
    assert min(ndcg(als, parts), ndcg(bpr, parts)) > popular


def test_settings_under_which_a_peer_diverges_are_the_worst_in_tuning(parts, monkeypatch):
    pytest.importorskip("implicit")
    train, _ = parts
    with pytest.raises(peers.DivergedError, match="implicit: NaN"):
        peers.implicit_bpr(train.user_items, 0, learning_rate=1e30, regularization=0.01, factors=8)

    tried = []

    def fit(train, seed, *, learning_rate, **settings):
        tried.append(learning_rate)
        if learning_rate > 0.5:
            raise peers.DivergedError
        return peers.most_popular(train.user_items, seed)

    method = replace(METHODS["implicit-bpr"], fit=fit, tune={"learning_rate": 0.5}, factors=(2,))
    monkeypatch.setitem(METHODS, "implicit-bpr", method)
    monkeypatch.setattr(quality, "train_and_test", lambda data, seed: (train, None))
    found = quality.tune("synthetic", "implicit-bpr", 0)
    assert max(tried) == 1
    assert found["best"] == {"learning_rate": 0.5}
    assert found["ndcg@20"] > 0


def test_tuned_on_the_validation_split_and_once(parts, tmp_path, monkeypatch):
    train, _ = parts
    asked = []

    def here(function, *args):
        asked.append(args)
        return function(*args)

    monkeypatch.setattr(quality, "in_fresh_process", here)
    # The test part is of no use to the tuning: it may not even be there.
    monkeypatch.setattr(quality, "train_and_test", lambda data, seed: (train, None))
    results = Results(tmp_path / "results.json")
    settings = quality.tuned_settings(results, "thin-10", "knn", 0)
    assert set(settings) == set(METHODS["knn"].tune)
    assert quality.tuned_settings(results, "thin-10", "knn", 2) == settings
    assert asked == [("thin-10", "knn", 0)]
    quality.tuned_settings(results, "movielens", "knn", 2)
    assert asked[1:] == [("movielens", "knn", 2)]
    assert quality.tuned_settings(results, "thin-10", "popular", 0) == {}

    monkeypatch.setattr(quality, "train_and_test", lambda data, seed: parts)
    found = quality.measure("thin-10", "knn", 0, settings)
    assert found["stored"]["float32"]["ndcg@20"] > 0.1
    assert found["nnz"] > 0
    assert "NDCG@20" in quality.describe(results.keep("runs", "thin-10", "knn", 0, settings, found))


def test_what_is_asked_for():
    everything = quality.wanted(None, None)
    assert ("gowalla", "pruned") in everything
    assert ("gowalla", "ease") not in everything
    assert ("steam", "ease") in everything
    assert quality.wanted(["als-*"], ["thin-5"]) == [
        ("thin-5", "als-256"),
        ("thin-5", "als-64"),
        ("thin-5", "als-8"),
    ]
    assert [where for where, _ in quality.wanted(["ease"], None)] == [
        "movielens", "synthetic", "steam", "citeulike", "book-crossing",
    ]  # fmt: skip
    assert quality.wanted(["ease"], ["gowalla"]) == [("gowalla", "ease")]
    with pytest.raises(SystemExit, match="no method is called"):
        quality.wanted(["als64"], None)


def test_settings_of_an_estimator_are_those_that_the_amount_of_data_decides():
    method = METHODS["graph-0.1"]
    few, many = settings_on(method, "few"), settings_on(method, "many")
    assert few["estimator"] == many["estimator"] == "SparseGraph"
    assert few["epochs"] == SparseGraph.by_amount["epochs"][1]
    assert many["epochs"] == SparseGraph.by_amount["epochs"][2]
    assert set(few) == set(many) == set(method.settings)


def test_rp3beta_is_a_walk_of_three_steps(parts):
    dense = (parts[0].user_items.toarray() > 0).astype(float)
    of_users, of_items = np.maximum(dense.sum(1), 1), np.maximum(dense.sum(0), 1)
    to_users = (dense / of_items).T ** 0.7
    to_items = (dense / of_users[:, None]) ** 0.7
    wanted = to_users @ to_items / of_items**0.3
    found = peers.rp3beta(parts[0].user_items, 0, power=0.7, popularity=0.3)
    assert np.allclose(found._similarities.toarray(), wanted, rtol=1e-4)
    assert ndcg(found, parts) > ndcg(peers.most_popular(parts[0].user_items, 0), parts)


def test_slim_has_no_weight_below_zero_and_none_of_an_item_for_itself(parts):
    dense = (parts[0].user_items.toarray() > 0).astype(float)
    found = peers.slim(parts[0].user_items, 0, l1=0.5, l2=10.0, n_neighbours=100)
    weights = found._similarities.toarray()
    assert weights.min() >= 0
    assert not np.diag(weights).any()
    # Where a weight is above 0, the gradient of the squared error and both penalties is 0.
    gradient = dense.T @ (dense @ weights - dense) + 10 * weights + 0.5
    assert np.abs(gradient[weights > 0]).max() < 0.5
    assert ndcg(found, parts) > ndcg(peers.most_popular(parts[0].user_items, 0), parts)


def test_sansa_stores_as_many_numbers(parts):
    pytest.importorskip("sansa")
    train = parts[0].user_items
    found = peers.sansa(train, 0, regularization=20.0)
    assert found.nnz == pytest.approx(6.4 * sum(train.shape), rel=0.1)
    assert ndcg(found, parts) > ndcg(peers.most_popular(train, 0), parts)
