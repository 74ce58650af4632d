"""A fit that fails or is interrupted leaves the estimator as it was."""

import contextlib
import signal
import threading

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import check_is_fitted

from sparserec_np import SparseBPR, SparseGraph, SparseMF
from sparserec_np.data import make_interactions
from sparserec_np.errors import DataError, NotFittedError, SettingError
from sparserec_np.models import base, stored

ESTIMATORS = [SparseBPR, SparseGraph, SparseMF]
QUICK = {
    "dim": 8,
    "density": 0.25,
    "epochs": 3,
    "batch_size": 256,
    "negatives": 4,
    "random_state": 0,
    "n_jobs": 1,
}


@pytest.fixture(scope="module")
def others():
    """Interactions of another shape than those the estimators know already."""
    return make_interactions(60, 50, 900, random_state=5)


def interrupting(at):
    """A callback that is interrupted at a call, counted from 1."""
    calls = []

    def callback(record):
        calls.append(record)
        if len(calls) == at:
            raise KeyboardInterrupt

    return callback


def failing_teacher(user_items, *, rng, workers):
    raise RuntimeError("the teacher failed")


def no_memory(*_, **__):
    raise MemoryError


class MeasuringError(Exception):
    pass


def bad_data(model, data, monkeypatch):
    with pytest.raises(DataError):
        model.fit(sparse.csr_array(np.ones((4, 5))))


def a_wrong_setting(model, data, monkeypatch):
    model.set_params(density=7)
    with pytest.raises(SettingError):
        model.fit(data)
    model.set_params(density=QUICK["density"])


def an_empty_table(model, data, monkeypatch):
    model.set_params(density=1e-6)
    with pytest.raises(SettingError, match="leaves no entry"):
        model.fit(data)
    model.set_params(density=QUICK["density"])


def a_diverging_loss(model, data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("sparserec_np.training.Trainer.run_epoch", lambda trainer: np.nan)
        with pytest.raises(SettingError, match="diverged in epoch 1"):
            model.fit(data)


def an_interruption_after_an_epoch(model, data, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        model.fit(data, callback=interrupting(2))


def an_interruption_of_the_second_training(model, data, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        model.fit(data, callback=interrupting(4))


def a_failing_validation(model, data, monkeypatch):
    def fail(*_, **__):
        raise MeasuringError

    with monkeypatch.context() as patch:
        patch.setattr("sparserec_np.metrics.evaluate", fail)
        with pytest.raises(MeasuringError):
            model.fit(data)


def a_failing_teacher(model, data, monkeypatch):
    model.set_params(teacher=failing_teacher)
    with pytest.raises(RuntimeError, match="the teacher failed"):
        model.fit(data)
    model.set_params(teacher=None)


def no_memory_for_the_model_data(model, data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(stored, "ModelData", no_memory)
        with pytest.raises(MemoryError):
            model.fit(data)


def no_memory_for_the_recommender(model, data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(base, "Recommender", no_memory)
        with pytest.raises(MemoryError):
            model.fit(data)


FAILURES = [
    bad_data,
    a_wrong_setting,
    an_empty_table,
    a_diverging_loss,
    an_interruption_after_an_epoch,
    an_interruption_of_the_second_training,
    a_failing_validation,
    a_failing_teacher,
    no_memory_for_the_model_data,
    no_memory_for_the_recommender,
]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_was_not_fitted_is_not_fitted_after_a_failure(estimator, failure, others, monkeypatch):
    model = estimator(**QUICK)
    before = dict(vars(model))
    failure(model, others, monkeypatch)
    assert vars(model) == before
    with pytest.raises(SklearnNotFittedError):
        check_is_fitted(model)
    with pytest.raises(NotFittedError):
        model.recommend(0)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(
    ("estimator", "settings"), [(SparseBPR, {}), (SparseGraph, {}), (SparseMF, {"loss": "squared"})]
)
def test_what_was_fitted_keeps_all_it_had(estimator, settings, failure, others, monkeypatch, tmp_path):
    if settings and failure is a_failing_teacher:
        pytest.skip("the squared loss takes no teacher")
    ratings = make_interactions(120, 80, 2400, ratings=True, random_state=0)
    model = estimator(**QUICK | settings).fit(ratings)
    before = dict(vars(model))
    model.save(tmp_path / "before.srec")
    answer = model.recommend(7)
    failure(model, others, monkeypatch)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items() if name.endswith("_"))
    check_is_fitted(model)
    np.testing.assert_array_equal(model.recommend(7).ids, answer.ids)
    assert model.recommend(7).scores.tobytes() == answer.scores.tobytes()
    model.save(tmp_path / "after.srec")
    assert (tmp_path / "after.srec").read_bytes() == (tmp_path / "before.srec").read_bytes()
    # It can still be fitted, to something else.
    assert model.fit(others).items_.n_rows == others.n_items


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
def test_ctrl_c_at_any_moment_leaves_the_old_model_or_the_new_one(tastes, others):
    assert threading.current_thread() is threading.main_thread()
    model = SparseBPR(**QUICK).fit(tastes)

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    outcomes = set()
    try:
        for number in range(40):
            model.fit(tastes)
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 1e-4 + number * 2e-3)
                try:
                    model.fit(others)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            n_items = model.items_.n_rows
            assert n_items in (tastes.n_items, others.n_items)
            assert len(model.recommender.item_ids) == n_items
            assert model.history_
            outcomes.add(n_items)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert tastes.n_items in outcomes


def test_what_an_earlier_fit_left_is_gone_after_the_next(others):
    ratings = make_interactions(120, 80, 2400, ratings=True, random_state=0)
    model = SparseMF(**QUICK | {"loss": "squared"}).fit(ratings)
    assert model.rating_baseline_.offset > 0
    model.set_params(loss="logistic").fit(others)
    assert not hasattr(model, "rating_baseline_")


def test_what_was_loaded_keeps_all_it_had(tastes, others, tmp_path):
    from sparserec_np import load

    SparseBPR(**QUICK).fit(tastes).save(tmp_path / "model.srec")
    model = load(tmp_path / "model.srec")
    check_is_fitted(model)
    answer = model.recommend(7)
    with pytest.raises(KeyboardInterrupt):
        model.fit(others, callback=interrupting(1))
    np.testing.assert_array_equal(model.recommend(7).ids, answer.ids)
    assert model.items_.n_rows == tastes.n_items
