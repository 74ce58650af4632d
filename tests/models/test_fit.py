from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sparserec_np import Interactions, SparseBPR, SparseGraph, SparseMF, load
from sparserec_np.autograd import maximum, total
from sparserec_np.data import make_interactions
from sparserec_np.errors import DataError, NotFittedError, SettingError
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import softmax
from sparserec_np.models import fitting, run
from sparserec_np.models.run import Run
from sparserec_np.tables import SparseTable

ESTIMATORS = [SparseBPR, SparseGraph, SparseMF]
QUICK = {
    "dim": 12,
    "density": 0.25,
    "epochs": 4,
    "batch_size": 256,
    "negatives": 4,
    "random_state": 0,
    "n_jobs": 1,
}


def hinge(scores, weights):
    """A loss that the library does not have."""
    return total(maximum(1 - scores[:, :1] + scores[:, 1:], 0))


def same_tables(one, two):
    return all(
        np.array_equal(a.indptr, b.indptr)
        and np.array_equal(a.indices, b.indices)
        and a.data.tobytes() == b.data.tobytes()
        for a, b in ((one.users_, two.users_), (one.items_, two.items_))
        if a is not None
    )


# ---- what fit takes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_interactions_and_matrices_of_any_class_give_the_same_model(estimator, tastes):
    matrix = tastes.user_items
    models = [
        estimator(**QUICK).fit(data)
        for data in (tastes, matrix, sparse.csr_matrix(matrix), matrix.tocoo(), matrix.astype(np.int64))
    ]
    for other in models[1:]:
        assert same_tables(models[0], other)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_input_is_not_modified(estimator, tastes):
    matrix = tastes.user_items.copy()
    # Columns out of order, as implicit would sort in place.
    matrix.indices[:2] = matrix.indices[1::-1].copy()
    matrix.has_sorted_indices = False
    before = matrix.copy()
    estimator(**QUICK).fit(matrix)
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(matrix, name), getattr(before, name))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.eye(3), "ndarray"),
        ([[1, 0]], "list"),
        ("data.csv", "str"),
        (None, "NoneType"),
        (sparse.csr_array((4, 4)), "nothing but 0"),
        (sparse.csr_array(-np.eye(3)), "-1"),
        (sparse.csr_array(np.eye(3) * np.nan), "nan"),
        (sparse.csr_array(np.ones((4, 1))), "there is 1 item; ranking needs at least 2"),
        (sparse.csr_array(np.ones((4, 5))), "every one of the 4 users has every one of the 5 items"),
        (sparse.csr_array(np.full((4, 5), 3.0)), "every one of the 4 users has every one of the 5 items"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        SparseBPR(**QUICK).fit(data)


def test_ratings_of_everything_by_everybody_can_be_learnt_from():
    ratings = sparse.csr_array(np.random.default_rng(0).integers(1, 6, (12, 9)).astype(float))
    model = SparseMF(**QUICK | {"loss": "squared"}).fit(ratings)
    assert model.predict([0], [0]).shape == (1,)


def test_a_density_that_leaves_a_table_empty_is_refused(tastes):
    with pytest.raises(SettingError, match=r"density is 0\.0001, which leaves no entry in the user table"):
        SparseBPR(density=0.0001, dim=4).fit(tastes)


# ---- what comes out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask_init", ["nmf", "spectral", "random"])
@pytest.mark.parametrize("density", [0.05, 0.1, 0.33, 1.0])
@pytest.mark.parametrize("estimator", [SparseBPR, SparseMF])
def test_the_number_of_entries_is_exact(estimator, density, mask_init, tastes):
    model = estimator(**QUICK | {"density": density, "mask_init": mask_init}).fit(tastes)
    expected = round(density * 200 * 12)
    assert model.users_.nnz + model.items_.nnz == expected
    assert model.density_ == pytest.approx(expected / 2400)
    assert all(record["nnz"] == expected for record in model.history_)
    for table, n_rows in ((model.users_, 120), (model.items_, 80)):
        table.check()
        assert table.shape == (n_rows, 12)
        assert table.data.dtype == np.float32


def test_fit_returns_self(tastes):
    model = SparseBPR(**QUICK)
    assert model.fit(tastes) is model


@pytest.mark.parametrize("grow_by", ["accumulated", "last_batch", "none"])
def test_the_history_tells_of_every_epoch(grow_by, tastes):
    model = SparseBPR(**QUICK | {"grow_by": grow_by, "early_stopping": 4, "refit": False}).fit(tastes)
    assert [record["epoch"] for record in model.history_] == [1, 2, 3, 4]
    for record in model.history_:
        assert {"epochs", "loss", "nnz", "n_pruned", "n_grown", "seconds", "ndcg@20", "recall@20"} <= set(
            record
        )
        assert record["epochs"] == 4
        assert record["n_pruned"] == record["n_grown"]
        assert record["seconds"] > 0
    replaced = [record["n_pruned"] for record in model.history_]
    if grow_by == "none":
        assert replaced == [0, 0, 0, 0]
    else:
        assert replaced[0] > replaced[1] > 0  # along the cosine
        assert replaced[3] == 0  # the last stretch leaves the mask alone
    assert model.history_[-1]["loss"] < model.history_[0]["loss"]


def test_update_every_sets_the_pace(tastes):
    often = SparseBPR(**QUICK | {"update_every": 2, "early_stopping": 0}).fit(tastes)
    seldom = SparseBPR(**QUICK | {"update_every": 1000, "early_stopping": 0}).fit(tastes)
    assert often.history_[0]["n_pruned"] > 0
    assert all(record["n_pruned"] == 0 for record in seldom.history_)


def test_the_callback_sees_every_record_and_may_stop(tastes):
    seen = []
    model = SparseBPR(**QUICK).fit(tastes, callback=seen.append)
    assert seen == model.history_

    def interrupt(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SparseBPR(**QUICK).fit(tastes, callback=interrupt)


def test_verbose_prints_a_line_per_epoch_to_standard_error(tastes, capsys):
    SparseBPR(**QUICK | {"verbose": True, "refit": False}).fit(tastes)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("epoch 1/4  loss ")
    SparseBPR(**QUICK).fit(tastes)
    assert capsys.readouterr().err == ""


# ---- early stopping ------------------------------------------------------------------------------------


def test_early_stopping_keeps_the_best_epoch(tastes, monkeypatch):
    monkeypatch.setattr("sparserec_np.models.run._TELLING_USERS", 0)
    settings = QUICK | {"epochs": 40, "learning_rate": 0.5, "early_stopping": 2, "refit": False, "width": 12}
    model = SparseBPR(**settings).fit(tastes)
    scores = [record["ndcg@20"] for record in model.history_]
    best = int(np.argmax(scores)) + 1
    assert len(scores) < 40
    assert model.n_epochs_ == best
    assert len(scores) == best + 2
    assert model.validation_["ndcg@20"] == max(scores)
    assert model.validation_ == {name: model.history_[best - 1][name] for name in model.validation_}
    assert set(model.baseline_) == set(model.validation_)

    # The tables are those of that epoch: stopping there by hand gives the same.
    def stop(record):
        if record["epoch"] == best:
            raise StopIteration

    again = clone(model)
    saved = []
    original = again._validate
    again._validate = lambda represent, items, *rest: (
        saved.append((represent.args[0].copy(), items.copy())),
        original(represent, items, *rest),
    )[1]
    with pytest.raises(StopIteration):
        again.fit(tastes, callback=stop)
    users, items = saved[best]  # before them, the start
    assert users.data.tobytes() == model.users_.data.tobytes()
    assert items.data.tobytes() == model.items_.data.tobytes()


def test_refit_trains_on_everything_for_as_many_epochs(tastes):
    model = SparseBPR(**QUICK | {"refit": True}).fit(tastes)
    validated = [record for record in model.history_ if "ndcg@20" in record]
    refitted = model.history_[len(validated) :]
    assert [record["epoch"] for record in validated] == [1, 2, 3, 4]
    assert [record["epoch"] for record in refitted] == list(range(1, model.n_epochs_ + 1))
    assert model.validation_  # still known
    plain = SparseBPR(**QUICK | {"refit": False}).fit(tastes)
    assert not same_tables(model, plain)


def test_no_table_is_copied_where_everything_is_trained_on_again(tastes, monkeypatch):
    expected = SparseBPR(**QUICK | {"refit": True}).fit(tastes)
    monkeypatch.setattr(SparseTable, "copy", lambda table: pytest.fail("a table was copied"))
    assert same_tables(expected, SparseBPR(**QUICK | {"refit": True}).fit(tastes))


def test_smaller_steps_are_tried_from_the_same_start(tastes, monkeypatch):
    tried = []
    train = Run._train_once

    def no_epoch_helps(self, *rest):
        start = rest[-1]
        tried.append((self.settings["learning_rate"], [table.data.tobytes() for table in start]))
        outcome = train(self, *rest)
        outcome.epoch = 0
        return outcome

    monkeypatch.setattr(Run, "_train_once", no_epoch_helps)
    SparseBPR(**QUICK | {"refit": False, "learning_rate": 0.4, "width": None}).fit(tastes)
    assert [rate for rate, _ in tried] == [0.4, 0.1, 0.025]
    assert tried[0][1] == tried[1][1] == tried[2][1]


def test_the_width_is_the_same_where_no_two_starts_have_room(tastes, monkeypatch):
    settings = QUICK | {"dim": 4, "density": 0.3, "width": None}
    monkeypatch.setattr(
        SparseBPR, "_validate", lambda self, represent, items, *rest: {"goodness": -abs(items.dim - 8.0)}
    )
    usual = SparseBPR(**settings).fit(tastes)
    monkeypatch.setattr(run, "is_large", lambda shape, width: True)
    large = SparseBPR(**settings).fit(tastes)
    assert usual.width_ == large.width_ == 8
    assert usual.nnz_ == large.nnz_


@pytest.mark.parametrize("weighted", [False, True])
def test_interactions_held_out_are_not_written_to(tastes, weighted):
    matrix = tastes.user_items.copy()
    if weighted:
        matrix.data[:] = 1 + np.arange(matrix.nnz) % 3
    data = Interactions.from_matrix(matrix)
    data.user_items.data.flags.writeable = False
    model = SparseBPR(**QUICK | {"early_stopping": 2})
    model.settings_ = model.settings_for("few")
    with Workers(1) as workers:
        train, held_out = Run(model, data, softmax, workers, print)._split(np.random.SeedSequence(0))
    assert np.shares_memory(train.user_items.data, data.user_items.data) == (not weighted)
    together = train.user_items + held_out.user_items
    assert (together != data.user_items).nnz == 0
    model.fit(data)


def test_rows_occur_in_a_batch_as_often_however_many_there_are():
    def size(n_interactions, negatives, n_rows=100_000, nnz=640_000):
        halves = [SimpleNamespace(nnz=nnz // 2, n_rows=n_rows // 2)] * 2
        return fitting._batch_size(n_interactions, negatives, halves)

    assert [size(n, 1) for n in (1_000, 320_000, 3_200_000)] == [1024, 10_000, 100_000]
    assert size(320_000, 2) == 5_000
    assert size(10**9, 1) == 1 << 17  # a million entries, of eight in a row or fewer
    assert size(10**9, 1, nnz=6_400_000) == (1 << 20) // 64
    assert [size(10**9, negatives) for negatives in (2, 32, 64)] == [8192] * 3


def test_without_early_stopping_everything_is_trained_on_for_all_epochs(tastes):
    model = SparseBPR(**QUICK | {"early_stopping": 0}).fit(tastes)
    assert model.n_epochs_ == 4
    assert len(model.history_) == 4
    assert model.validation_ == model.baseline_ == {}


def test_seen_items_are_those_of_all_interactions(tastes):
    model = SparseBPR(**QUICK | {"refit": False}).fit(tastes)
    for user in (0, 7, 119):
        seen = tastes.user_items[[user]].indices
        ids, scores = model.recommend(user, k=80)
        assert len(ids) == 80 - len(seen)
        assert not np.isin(ids, seen).any()
        assert (np.diff(scores) <= 0).all()
        ids, _ = model.recommend(user, k=80, filter_seen=False)
        assert len(ids) == 80


def test_a_training_that_diverges_says_so(tastes):
    settings = QUICK | {"optimizer": "sgd", "learning_rate": 1e6, "epochs": 20}
    with (
        np.errstate(all="ignore"),
        pytest.raises(SettingError, match=r"diverged in epoch \d+.*learning_rate"),
    ):
        SparseMF(loss="logistic", **settings).fit(tastes)


# ---- seeds and threads ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many():
    # Batches must be large enough for two threads to get a share.
    return make_interactions(400, 300, 9000, random_state=0)


@pytest.mark.parametrize(
    ("estimator", "settings"),
    [
        (SparseBPR, {}),
        (SparseBPR, {"popularity_power": 0.5, "optimizer": "adam", "mask_init": "random"}),
        (SparseBPR, {"loss": hinge, "grow_by": "last_batch", "optimizer": "sgd"}),
        (SparseMF, {"loss": "logistic"}),
        (SparseMF, {"loss": "squared"}),
    ],
)
def test_the_same_seed_gives_the_same_file_at_any_number_of_threads(estimator, settings, many, tmp_path):
    settings = QUICK | {"batch_size": 2048, "epochs": 3} | settings
    data = (
        make_interactions(400, 300, 9000, ratings=True, random_state=0)
        if "squared" in settings.values()
        else many
    )
    files = []
    for number, change in enumerate(({}, {}, {"n_jobs": 2}, {"n_jobs": 3}, {"random_state": 1})):
        path = tmp_path / f"{number}.srec"
        estimator(**settings | change).fit(data).save(path)
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2] == files[3]
    assert files[0] != files[4]


def test_no_seed_gives_different_models(tastes):
    one, two = (SparseBPR(**QUICK | {"random_state": None}).fit(tastes) for _ in range(2))
    assert not same_tables(one, two)


def test_a_generator_may_be_the_seed(tastes):
    one, two = (SparseBPR(**QUICK | {"random_state": np.random.default_rng(3)}).fit(tastes) for _ in range(2))
    assert same_tables(one, two)


def test_fitting_twice_gives_the_same_model(tastes):
    model = SparseBPR(**QUICK).fit(tastes)
    first = model.users_.data.copy()
    model.fit(tastes)
    np.testing.assert_array_equal(model.users_.data, first)


# ---- saving and loading --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "settings"),
    [(SparseBPR, {}), (SparseMF, {}), (SparseMF, {"loss": "squared"}), (SparseBPR, {"loss": hinge})],
)
def test_a_loaded_model_is_the_saved_one(estimator, settings, tmp_path):
    data = make_interactions(120, 80, 2400, ratings=True, random_state=0)
    model = estimator(**QUICK | settings).fit(data)
    path = tmp_path / "model.srec"
    model.save(path)
    loaded = load(path)
    assert type(loaded) is estimator
    assert same_tables(model, loaded)
    for attribute in ("n_epochs_", "validation_", "baseline_"):
        assert getattr(loaded, attribute) == getattr(model, attribute)
    expected = model.get_params() | {"n_jobs": None}
    expected["loss"] = getattr(model.loss, "__name__", model.loss)
    assert loaded.get_params() == expected

    for user in (0, 60, 119):
        ids, scores = model.recommend(user, k=15)
        again, scores_again = loaded.recommend(user, k=15)
        np.testing.assert_array_equal(ids, again)
        assert scores.tobytes() == scores_again.tobytes()
    users, items = np.arange(50), np.arange(50)
    assert model.predict(users, items).tobytes() == loaded.predict(users, items).tobytes()
    for ask in (
        lambda m: m.recommend_from_history([1, 5, 9], k=7, weights=[5, 3, 4]),
        lambda m: m.similar_items(3, k=5),
        lambda m: m.similar_users(3, k=5),
    ):
        np.testing.assert_array_equal(ask(model).ids, ask(loaded).ids)
    loaded.save(tmp_path / "again.srec")
    assert (tmp_path / "again.srec").read_bytes() == path.read_bytes()


def test_a_loss_of_ones_own_is_saved_by_its_name_and_must_be_given_again(tastes, tmp_path):
    SparseBPR(**QUICK | {"loss": hinge}).fit(tastes).save(tmp_path / "model.srec")
    loaded = load(tmp_path / "model.srec")
    assert loaded.loss == "hinge"
    with pytest.raises(SettingError, match="loss is 'hinge'; expected one of softmax, bpr, or a function"):
        loaded.fit(tastes)
    loaded.set_params(loss=hinge).fit(tastes)


def test_numpy_numbers_as_settings_are_saved_as_numbers(tastes, tmp_path):
    settings = QUICK | {"dim": np.int64(12), "density": np.float64(0.25), "random_state": np.int32(0)}
    SparseBPR(**settings).fit(tastes).save(tmp_path / "model.srec")
    loaded = load(tmp_path / "model.srec")
    assert (loaded.dim, loaded.density, loaded.random_state) == (12, 0.25, 0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_model_that_is_not_fitted_says_so(estimator, tmp_path):
    model = estimator()
    for ask in (
        lambda: model.recommend(0),
        lambda: model.recommend_from_history([0]),
        lambda: model.similar_items(0),
        lambda: model.similar_users(0),
        lambda: model.predict([0], [0]),
        lambda: model.save(tmp_path / "model.srec"),
        lambda: model.density_,
    ):
        with pytest.raises(NotFittedError, match=r"is not fitted yet; call fit\(interactions\) first"):
            ask()
    assert not hasattr(model, "users_")


def test_ids_of_people_come_back():
    rng = np.random.default_rng(0)
    users = [f"user-{n}" for n in rng.integers(40, size=600)]
    items = [f"item-{n}" for n in rng.integers(30, size=600)]
    model = SparseBPR(**QUICK).fit(Interactions.from_arrays(users, items))
    ids, _ = model.recommend("user-3", k=5)
    assert all(isinstance(item, str) and item.startswith("item-") for item in ids)
    assert len(model.recommend(["user-3", "user-4"], k=5)) == 2
    ids, _ = model.recommend_from_history(["item-1", "item-2"], k=5, exclude=["item-3"])
    assert not {"item-1", "item-2", "item-3"} & set(ids)


# ---- tiny and odd data ---------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("density", [0.1, 1.0])
@pytest.mark.parametrize(
    "dense",
    [
        [[1, 0], [0, 1]],
        [[1, 0], [1, 0]],
        [[1, 0, 1, 0, 1]],
        [[1], [0]] * 1 + [[0]],
        [[1, 1, 1], [1, 1, 0]],
        [[1, 1], [1, 0], [0, 0]],
    ],
    ids=["two by two", "one item", "one user", "one column", "a user with every item", "a user without any"],
)
def test_tiny_data(estimator, density, dense):
    data = sparse.csr_array(np.array(dense, dtype=float))
    model = estimator(density=density, epochs=3, random_state=0)
    if data.shape[1] == 1:
        with pytest.raises(DataError, match="ranking needs at least 2"):
            model.fit(data)
        return
    model.fit(data)
    budget = round(density * sum(data.shape) * 64)
    assert model.nnz_ == (budget if model.users_ is not None else min(budget, data.shape[1] * 64))
    for user in range(data.shape[0]):
        ids, scores = model.recommend(user)
        assert len(ids) == np.count_nonzero(np.array(dense[user]) == 0)
        assert np.isfinite(scores).all()
