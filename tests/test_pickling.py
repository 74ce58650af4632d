"""Estimators, recommenders and interactions as pickles and copies: the same answers afterwards."""

import copy
import io
import pickle
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
from pickled_work import (
    KINDS,
    QUICK,
    answers,
    by_length_of_history,
    fit_on_a_folder_that_goes_away,
    fit_one,
    share_of_history_found,
)
from sklearn.model_selection import cross_validate
from sklearn.utils.validation import check_is_fitted

from sparserec_np import Interactions, Recommender, SparseBPR, load
from sparserec_np.data import make_interactions
from sparserec_np.runtime import IdMap, load_model


def by_joblib(thing):
    file = io.BytesIO()
    joblib.dump(thing, file)
    file.seek(0)
    return joblib.load(file)


WAYS = {
    **{
        f"pickle {protocol}": lambda thing, protocol=protocol: pickle.loads(pickle.dumps(thing, protocol))
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "joblib": by_joblib,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.fixture(scope="module")
def data():
    made = make_interactions(120, 80, 2400, ratings=True, random_state=0)
    pairs = made.user_items.tocoo()
    users, items = ([f"{kind}-{n}" for n in rows] for kind, rows in (("u", pairs.row), ("i", pairs.col)))
    return Interactions.from_arrays(users, items, pairs.data)


@pytest.fixture(scope="module", params=KINDS)
def fitted(request, data):
    estimator, settings = KINDS[request.param]
    return estimator(**QUICK | settings).fit(data)


@pytest.fixture(params=["fitted", "float32", "float16", "int8"])
def model(request, fitted, tmp_path):
    """A fitted estimator, or one that was loaded."""
    if request.param == "fitted":
        return fitted
    fitted.save(tmp_path / "model.srec", request.param)
    return load(tmp_path / "model.srec")


@pytest.fixture(params=WAYS)
def again(request):
    return WAYS[request.param]


# ---- models --------------------------------------------------------------------------------------------


def test_a_model_answers_the_same(model, again, tmp_path):
    before = answers(model)
    other = again(model)
    assert type(other) is type(model)
    assert other.get_params() == model.get_params()
    check_is_fitted(other)
    assert answers(other) == before
    assert answers(model) == before
    for name in ("n_epochs_", "validation_", "baseline_", "history_", "settings_", "amount_"):
        assert getattr(other, name) == getattr(model, name)
    model.save(tmp_path / "one.srec")
    other.save(tmp_path / "two.srec")
    assert (tmp_path / "one.srec").read_bytes() == (tmp_path / "two.srec").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_fitted_stays_so(kind, again, data, tmp_path):
    estimator, settings = KINDS[kind]
    model = again(estimator(**QUICK | settings))
    assert model.get_params() == estimator(**QUICK | settings).get_params()
    assert not model.__sklearn_is_fitted__()
    assert answers(model.fit(data)) == answers(estimator(**QUICK | settings).fit(data))


def test_a_copy_is_fitted_without_touching_what_it_was_copied_from(fitted, again, data):
    before = answers(fitted)
    other = again(fitted).set_params(random_state=5).fit(data)
    assert answers(fitted) == before
    assert answers(other) != before


def test_a_pickle_stands_on_its_own(fitted, data, tmp_path):
    """Another process, in which no file of the model is left, gives the same answers."""
    path = tmp_path / "model.srec"
    fitted.save(path)
    loaded = load(path)
    expected = answers(loaded)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(loaded))
    path.unlink()
    program = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    model = pickle.load(file)
ids, scores = model.recommend(sys.argv[2], k=7)
print(list(ids), scores.tobytes().hex())
"""
    user = by_length_of_history(fitted.recommender)[3]
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "model.pickle", user], capture_output=True, text=True
    )
    assert done.stderr == ""
    ids, scores = expected[0][0]
    assert done.stdout.split("\n")[0] == f"{ids} {scores.hex()}"


# ---- recommenders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("accelerate", [False, True])
def test_a_recommender_keeps_what_it_was_told(fitted, again, accelerate, tmp_path):
    fitted.save(tmp_path / "model.srec")
    recommender = Recommender.load(tmp_path / "model.srec", accelerate=accelerate)
    user, items = by_length_of_history(recommender)[3], recommender.item_ids.ids()
    untold = answers(recommender)
    recommender.update(user, items[10:14])
    recommender.update("somebody new", items[20:24], [1, 2, 3, 4])
    told = answers(recommender)
    assert told != untold
    other = again(recommender)
    assert answers(other) == told
    assert type(other._items) is type(recommender._items)
    assert (other.recommend("somebody new").ids) == (recommender.recommend("somebody new").ids)
    # Each goes its own way from here.
    other.update(user, items[30:50])
    assert answers(recommender) == told
    assert answers(other) != told
    recommender.save_state(tmp_path / "state")
    other.load_state(tmp_path / "state")
    assert answers(other) == told


def test_a_recommender_is_pickled_while_others_tell_it_of_interactions(fitted):
    recommender = copy.deepcopy(fitted.recommender)
    items = recommender.item_ids.ids()
    stop = threading.Event()

    def tell():
        number = 0
        while not stop.is_set():
            recommender.update(f"new {number % 500}", [items[number % len(items)]])
            number += 1

    threads = [threading.Thread(target=tell) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            other = pickle.loads(pickle.dumps(recommender))
            other.update("new 0", items[:2])
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_what_is_derived_does_not_swell_a_pickle(fitted, precision, tmp_path):
    fitted.save(tmp_path / "model.srec", precision)
    recommender = Recommender.load(tmp_path / "model.srec", accelerate=True)
    before = len(pickle.dumps(recommender))
    answers(recommender)
    assert recommender._items.norms is not None
    assert len(pickle.dumps(recommender)) <= before + 64
    fresh = len(pickle.dumps(fitted))
    answers(fitted)
    assert len(pickle.dumps(fitted)) <= fresh + 64


def test_a_pickle_needs_numba_only_where_it_was_accelerated(fitted, monkeypatch):
    from sparserec_np.errors import MissingPackageError

    plain = pickle.dumps(fitted.recommender)
    accelerated = pickle.dumps(Recommender(fitted.recommender.data, accelerate=True))
    monkeypatch.setitem(sys.modules, "sparserec_np.runtime.accelerated", None)
    pickle.loads(plain)
    with pytest.raises(MissingPackageError, match="numba"):
        pickle.loads(accelerated)


# ---- data ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_a_folder", [False, True])
def test_interactions_stay_what_they_are(data, again, in_a_folder, tmp_path):
    given = data
    if in_a_folder:
        data.to_dir(tmp_path / "folder")
        given = Interactions.from_dir(tmp_path / "folder")
    other = again(given)
    assert type(other) is Interactions
    assert other.users == data.users
    assert other.items == data.items
    assert other.weighted == data.weighted
    assert other.summary == given.summary
    for name in ("indptr", "indices", "data"):
        one, two = getattr(other.user_items, name), getattr(data.user_items, name)
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    assert other.user_items.has_canonical_format
    assert answers(SparseBPR(**QUICK).fit(other)) == answers(SparseBPR(**QUICK).fit(data))


@pytest.mark.parametrize("make", [lambda: range(7), lambda: [3, 5, 9], lambda: ["a", "bc", "é"], list])
def test_id_maps_stay_what_they_are(make, again):
    ids = IdMap.from_ids(list(make()), entity="user")
    other = again(ids)
    assert other == ids
    assert (other.kind, other.entity, other.encoding) == (ids.kind, ids.entity, ids.encoding)
    assert list(other.ids()) == list(make())


def test_model_data_stay_what_they_are(fitted, again, tmp_path):
    fitted.save(tmp_path / "model.srec", "int8")
    one = load_model(tmp_path / "model.srec")
    other = again(one)
    other.check()
    assert other.info == one.info
    np.testing.assert_array_equal(other.items.values, one.items.values)
    np.testing.assert_array_equal(other.seen.indices, one.seen.indices)
    assert answers(Recommender(other)) == answers(Recommender(one))


# ---- worker processes ----------------------------------------------------------------------------------


def test_ten_fitted_models_come_out_of_loky_workers(data, tmp_path):
    """Also from a folder of interactions, and with what a hand-written loss is."""
    data.to_dir(tmp_path / "folder")
    given = [data, Interactions.from_dir(tmp_path / "folder")]
    tasks = [(("bpr", "graph", "ratings")[n % 3], n, given[n % 2]) for n in range(10)]
    models = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(fit_one)(*task) for task in tasks)
    assert len(models) == 10
    for model, task in zip(models, tasks, strict=True):
        assert answers(model) == answers(fit_one(*task))
    # What was fitted here may go there, too.
    found = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(answers)(model) for model in models)
    assert found == [answers(model) for model in models]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_outlives_the_folder_that_it_was_fitted_to(kind, data, tmp_path):
    task = joblib.delayed(fit_on_a_folder_that_goes_away)(kind, data, tmp_path / "folder")
    (model,) = joblib.Parallel(n_jobs=2, backend="loky")([task])
    assert answers(model) == answers(fit_one(kind, 0, data))


@pytest.mark.parametrize("kind", ["bpr", "graph"])
def test_scikit_learns_cross_validation_returns_the_estimators(kind):
    matrix = make_interactions(300, 60, 6000, n_tastes=4, random_state=0).user_items
    estimator, settings = KINDS[kind]
    model = estimator(**QUICK | settings | {"epochs": 5})
    found = {
        n_jobs: cross_validate(
            model,
            matrix,
            cv=3,
            scoring=share_of_history_found,
            return_estimator=True,
            n_jobs=n_jobs,
            error_score="raise",
        )
        for n_jobs in (1, 2)
    }
    np.testing.assert_array_equal(found[1]["test_score"], found[2]["test_score"])
    assert (found[2]["test_score"] > 0.35).all()
    assert len(found[2]["estimator"]) == 3
    for here, there in zip(found[1]["estimator"], found[2]["estimator"], strict=True):
        check_is_fitted(there)
        assert answers(here) == answers(there)
    assert not model.__sklearn_is_fitted__()
