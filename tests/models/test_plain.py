"""A loaded model can be fitted again, or says what has to be set for it."""

import json

import numpy as np
import pytest
from sklearn.base import clone

from sparserec_np import SparseBPR, SparseGraph, SparseMF, load
from sparserec_np.autograd import maximum, total
from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.losses import softmax
from sparserec_np.models.plain import LeftOut, settings_from_plain, settings_to_plain
from sparserec_np.runtime import load_model, save_model
from sparserec_np.teachers import EaseTeacher

QUICK = {
    "dim": 8,
    "density": 0.25,
    "epochs": 2,
    "batch_size": 512,
    "negatives": 4,
    "random_state": 0,
    "n_jobs": 1,
}


def hinge(scores, weights):
    """A loss that the library does not have."""
    return total(maximum(1 - scores[:, :1] + scores[:, 1:], 0))


def my_teacher(user_items, *, rng, workers):
    return EaseTeacher(user_items, rng=rng, workers=workers)


def saved(model, data, path):
    model.fit(data).save(path)
    return load(path)


def written(model, path):
    model.save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("estimator", "settings"),
    [
        (SparseBPR, {}),
        (SparseGraph, {}),
        (SparseGraph, {"teacher": "ease", "width": 16}),
        (SparseMF, {"density": np.float32(0.25), "dim": np.int64(8)}),
        (SparseBPR, {"loss": softmax}),
        (SparseBPR, {"teacher": EaseTeacher}),
        (SparseBPR, {"teacher": SparseGraph(density=1, dim=8, epochs=1, random_state=3)}),
        (SparseBPR, {"teacher": SparseGraph(dim=8, epochs=1, teacher=SparseBPR(dim=8, epochs=1))}),
        (SparseBPR, {"random_state": np.random.default_rng(3)}),
    ],
)
def test_a_clone_of_a_loaded_model_gives_the_same_model_again(estimator, settings, tastes, tmp_path):
    loaded = saved(estimator(**QUICK | settings), tastes, tmp_path / "model.srec")
    again = clone(loaded).fit(tastes)
    for name in ("users_", "items_"):
        one, two = getattr(loaded, name), getattr(again, name)
        assert (one is None) == (two is None)
        if one is not None:
            assert one.data.tobytes() == two.data.tobytes()
    # What is written is the same, too: a generator stands as the number that was drawn from it.
    assert written(again, tmp_path / "again.srec") == (tmp_path / "model.srec").read_bytes()


def test_an_estimator_that_is_a_teacher_is_made_again(tastes, tmp_path):
    teacher = SparseGraph(density=1, dim=8, epochs=1, teacher=SparseBPR(dim=4, epochs=1), n_jobs=1)
    loaded = saved(SparseBPR(**QUICK, teacher=teacher), tastes, tmp_path / "model.srec")
    assert isinstance(loaded.teacher, SparseGraph)
    assert isinstance(loaded.teacher.teacher, SparseBPR)
    assert repr(loaded.teacher) == repr(teacher.set_params(n_jobs=None))


@pytest.mark.parametrize(
    ("settings", "message", "mended"),
    [
        (
            {"loss": hinge},
            r"loss is 'hinge'; expected one of softmax, bpr, or a function; the model was fitted with the "
            r"function hinge of the module .*test_plain, which a model file cannot hold: set it again with "
            r"set_params\(loss=...\)",
            {"loss": hinge},
        ),
        (
            {"teacher": my_teacher},
            r"teacher is 'my_teacher'; expected .*; the model was fitted with the function my_teacher of the "
            r"module .*: set it again with set_params\(teacher=...\)",
            {"teacher": my_teacher},
        ),
        (
            {"teacher": SparseBPR(dim=8, epochs=1, loss=hinge)},
            r"teacher is SparseBPR\(dim=8, epochs=1, loss='hinge'\); expected an estimator whose loss is "
            r"known; .*: set it again with set_params\(teacher=...\)",
            {"teacher": SparseBPR(dim=8, epochs=1, loss=hinge)},
        ),
        (
            {"teacher": SparseBPR(dim=8, epochs=1, random_state=np.random.default_rng(3))},
            r"expected an estimator whose random_state is known; the model was fitted with a generator, .*: "
            r"set it again with set_params\(teacher=...\)",
            {"teacher": "ease"},
        ),
    ],
    ids=["loss", "teacher", "loss of a teacher", "seed of a teacher"],
)
def test_what_a_file_cannot_hold_is_named_by_fit(settings, message, mended, tastes, tmp_path):
    loaded = saved(SparseBPR(**QUICK | settings), tastes, tmp_path / "model.srec")
    before = loaded.recommend(3)
    for model in (loaded, clone(loaded)):
        with pytest.raises(SettingError, match=message):
            model.fit(tastes)
    np.testing.assert_array_equal(loaded.recommend(3).ids, before.ids)
    clone(loaded).set_params(**mended).fit(tastes)


@pytest.mark.parametrize("name", ["softmax", "none"])
def test_a_function_is_not_taken_for_what_the_library_calls_so(name, tastes, tmp_path):
    def loss(scores, weights):
        return hinge(scores, weights)

    loss.__name__ = name
    loaded = saved(SparseBPR(**QUICK | {"loss": loss}), tastes, tmp_path / "model.srec")
    with pytest.raises(SettingError, match=f"loss is '{name}'.* the function {name} of the module"):
        clone(loaded).fit(tastes)

    def teacher(user_items, **rest):
        return my_teacher(user_items, **rest)

    teacher.__name__ = name
    loaded = saved(SparseBPR(**QUICK | {"teacher": teacher}), tastes, tmp_path / "model.srec")
    with pytest.raises(SettingError, match=f"teacher is '{name}'.* the function {name} of the module"):
        clone(loaded).fit(tastes)


def test_an_estimator_of_ones_own_is_named(tastes, tmp_path):
    class Mine(SparseGraph):
        pass

    teacher = Mine(dim=8, epochs=1)
    loaded = saved(SparseBPR(**QUICK | {"teacher": teacher}), tastes, tmp_path / "model.srec")
    with pytest.raises(SettingError, match=r"teacher is 'Mine'; .* an estimator of the class Mine, which"):
        clone(loaded).fit(tastes)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("loss", "hinge", "loss is 'hinge'; .* the function hinge, which .* set_params"),
        ("teacher", "SparseGraph", "teacher is 'SparseGraph'; .* a function or an estimator, SparseGraph,"),
        ("random_state", "Generator", "random_state is 'Generator'; .* a generator, which"),
    ],
)
def test_files_of_earlier_versions_still_open(name, value, message, tastes, tmp_path):
    """They held the bare name of a function, of an estimator's class or of a generator's."""
    SparseBPR(**QUICK).fit(tastes).save(tmp_path / "model.srec")
    data = load_model(tmp_path / "model.srec")
    data.info["settings"][name] = value
    save_model(tmp_path / "earlier.srec", data)
    loaded = load(tmp_path / "earlier.srec")
    assert loaded.get_params()[name] == value
    assert len(loaded.recommend(3).ids)
    with pytest.raises(SettingError, match=message):
        clone(loaded).fit(tastes)


def nested(depth):
    plain = {"dim": 4}
    for _ in range(depth):
        plain = {"teacher": {"estimator": "SparseBPR", "settings": plain}}
    return plain


@pytest.mark.parametrize(
    "settings",
    [
        5,
        None,
        [],
        {"loss": []},
        {"loss": {}},
        {"loss": {"function": 3}},
        {"teacher": {"estimator": "SparseBPR", "settings": 3}},
        {"teacher": {"estimator": "SparseBPR"}},
        {"teacher": {"estimator": ["SparseBPR"]}},
        {"random_state": {"generator": None}},
        {"dim": {"odd": 1}},
        nested(20),
        nested(400),
    ],
    ids=lambda settings: str(settings)[:40],
)
def test_settings_that_no_version_wrote_are_refused(settings, tastes, tmp_path):
    with pytest.raises(ModelFormatError, match="settings"):
        settings_from_plain(SparseBPR, settings)


def test_what_is_written_is_json_and_comes_back():
    settings = {"loss": hinge, "teacher": SparseGraph(loss=hinge), "random_state": np.random.default_rng(0)}
    plain = json.loads(json.dumps(settings_to_plain(SparseBPR(**settings).get_params())))
    assert "n_jobs" not in plain
    assert "n_jobs" not in plain["teacher"]["settings"]
    again = settings_from_plain(SparseBPR, plain)
    assert isinstance(again["loss"], LeftOut)
    assert isinstance(again["teacher"].loss, LeftOut)
    assert isinstance(again["random_state"], LeftOut)
    assert clone(again["teacher"]).loss.what == again["teacher"].loss.what
