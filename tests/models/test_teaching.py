"""Fitting with a teacher: what it changes, what it sees, and what is stored of it."""

import numpy as np
import pytest
from sklearn.base import clone

from sparserec_np import SparseBPR, SparseGraph, SparseMF, load
from sparserec_np.autograd import log_sigmoid, maximum, total
from sparserec_np.data import make_interactions
from sparserec_np.errors import SettingError
from sparserec_np.runtime import load_model
from sparserec_np.teachers import SpectralTeacher, affordable_teacher

QUICK = {"dim": 12, "density": 0.25, "epochs": 3, "batch_size": 512, "negatives": 8, "random_state": 0}


def hinge(scores, weights):
    return total(maximum(1 - scores[:, :1] + scores[:, 1:], 0))


def positives_alone(scores, weights):
    return -total(log_sigmoid(scores[:, 0]))


def small_spectral(user_items, *, rng, workers):
    return SpectralTeacher(user_items, rng=rng, workers=workers, ranks=(4,))


TEACHING = ["spectral", "ease", "als", "als+ease", small_spectral, SparseGraph(density=1.0, dim=8, epochs=1)]


@pytest.mark.parametrize("teacher", TEACHING)
@pytest.mark.parametrize("estimator", [SparseBPR, SparseGraph, SparseMF])
def test_a_teacher_changes_the_values_and_not_the_size(estimator, teacher, tastes, tmp_path):
    alone = estimator(**QUICK, early_stopping=0, teacher="none").fit(tastes)
    taught = estimator(**QUICK, early_stopping=0, teacher=teacher).fit(tastes)
    assert taught.items_.data.tobytes() != alone.items_.data.tobytes()
    assert taught.nnz_ == alone.nnz_
    sizes = []
    for name, model in (("alone", alone), ("taught", taught)):
        model.save(tmp_path / name)
        sizes.append(sum(a.nbytes for a in _tensors(tmp_path / name)))
    assert sizes[0] == sizes[1]


def test_little_data_has_a_teacher_unless_none_is_wanted(tastes):
    def values(**settings):
        model = SparseGraph(**QUICK | {"early_stopping": 0} | settings).fit(tastes)
        assert model.amount_ == "few"
        return model.items_.data.tobytes()

    assert values() == values(teacher="als+ease", teacher_weight=1.0)
    assert values() != values(teacher="none")
    # Nothing to tell from the positive, so nothing that a teacher could say.
    few = {"loss": positives_alone, "negatives": 0}
    assert values(**few) == values(**few, teacher="none")


def test_the_catalogue_decides_who_is_the_affordable_teacher(tastes):
    assert [affordable_teacher(n) for n in (2, 4000, 4001)] == ["als+ease", "als+ease", "spectral"]
    model = SparseBPR(**QUICK, teacher="auto").fit(tastes)
    assert model.settings_["teacher"] == "als+ease"
    assert model.get_params()["teacher"] == "auto"


def _tensors(path):
    from sparserec_np.runtime.format import read_tensors

    return [array for name, array in read_tensors(path)[0].items() if name.startswith(("users.", "items."))]


@pytest.mark.parametrize(
    ("teacher", "name"),
    [("ease", "ease"), (small_spectral, "small_spectral"), (None, None)],
)
def test_a_file_tells_the_teacher_by_its_name(teacher, name, tastes, tmp_path):
    SparseBPR(**QUICK, teacher=teacher).fit(tastes).save(tmp_path / "model.srec")
    model = load(tmp_path / "model.srec")
    assert model.teacher == name
    assert model.recommender.data.info["settings"]["teacher_weight"] == model.teacher_weight


def test_a_file_tells_the_settings_of_an_estimator_that_is_the_teacher(tastes, tmp_path):
    teacher = TEACHING[-1]
    SparseBPR(**QUICK, teacher=teacher).fit(tastes).save(tmp_path / "model.srec")
    told = load_model(tmp_path / "model.srec").info["settings"]["teacher"]
    assert told["estimator"] == "SparseGraph"
    assert told["settings"]["dim"] == teacher.dim
    loaded = load(tmp_path / "model.srec").teacher
    assert isinstance(loaded, SparseGraph)
    assert loaded.get_params() == teacher.get_params() | {"n_jobs": None, "verbose": False}


@pytest.mark.parametrize("teacher", ["spectral", "ease", "als+ease", SparseBPR(dim=6, density=1.0, epochs=1)])
def test_the_same_seed_gives_the_same_file_at_any_number_of_threads(teacher, tmp_path):
    many = make_interactions(400, 300, 9000, random_state=0)
    settings = QUICK | {"batch_size": 2048, "teacher": teacher}
    files = []
    for change in ({}, {"n_jobs": 2}, {"n_jobs": 3}, {"random_state": 1}):
        SparseBPR(**settings | {"n_jobs": 1} | change).fit(many).save(tmp_path / "model.srec")
        files.append((tmp_path / "model.srec").read_bytes())
    assert files[0] == files[1] == files[2]
    assert files[0] != files[3]


def test_a_teacher_never_sees_what_is_held_out(tastes):
    seen = []

    def spy(user_items, *, rng, workers):
        seen.append(user_items.nnz)
        return small_spectral(user_items, rng=rng, workers=workers)

    SparseBPR(**QUICK, teacher=spy).fit(tastes)
    assert len(seen) == 2
    assert seen[0] < seen[1] == tastes.n_interactions
    seen.clear()
    SparseBPR(**QUICK, teacher=spy, early_stopping=0).fit(tastes)
    assert seen == [tastes.n_interactions]


def test_a_fitted_estimator_teaches_by_a_copy_and_stays_as_it_is(tastes):
    teacher = SparseGraph(density=1.0, dim=8, epochs=2, random_state=3).fit(tastes)
    before = teacher.items_.data.copy()
    by_fitted = SparseBPR(**QUICK, teacher=teacher).fit(tastes)
    by_recipe = SparseBPR(**QUICK, teacher=clone(teacher)).fit(tastes)
    assert by_fitted.items_.data.tobytes() == by_recipe.items_.data.tobytes()
    np.testing.assert_array_equal(teacher.items_.data, before)


def test_any_loss_may_be_taught(tastes):
    alone = SparseBPR(**QUICK, loss=hinge).fit(tastes)
    taught = SparseBPR(**QUICK, loss=hinge, teacher="ease").fit(tastes)
    assert taught.items_.data.tobytes() != alone.items_.data.tobytes()


def test_a_student_of_a_strong_weight_says_what_the_teacher_says(tastes):
    """Its probabilities come nearer to the teacher's than those of a student on its own."""
    from sparserec_np.calibration import sample_examples
    from sparserec_np.kernels.workers import Workers
    from sparserec_np.models.teaching import make_distillation
    from sparserec_np.sampling import NegativeSampler

    settings = QUICK | {"epochs": 15, "early_stopping": 0, "teacher": "ease", "teacher_weight": 20.0}
    models = [SparseBPR(**settings | change).fit(tastes) for change in ({}, {"teacher": None})]
    with Workers(1) as workers:
        distillation = make_distillation(models[0].get_params(), tastes, np.random.SeedSequence(0), workers)
        sampler = NegativeSampler(tastes.user_items, 0.0, 9, workers)
        users, items = sample_examples(tastes.user_items, sampler, 8, np.random.default_rng(0))
    away = []
    for model in models:
        people, rows = model.users_.to_scipy().toarray(), model.items_.to_scipy().toarray()
        scores = np.einsum("ed,emd->em", people[users], rows[items]).astype(np.float32)
        away.append(float(distillation.loss(_variable(scores), users, items).value))
    assert away[0] < 0.7 * away[1]


def _variable(scores):
    from sparserec_np.autograd import Tape

    return Tape().variable(scores)


def test_ease_names_its_limit(monkeypatch, tastes):
    monkeypatch.setattr("sparserec_np.teachers.ease.EASE_LIMIT", 50)
    with pytest.raises(SettingError, match="there are 80 items; expected at most 50"):
        SparseBPR(**QUICK, teacher="ease").fit(tastes)
