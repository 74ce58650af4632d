import inspect
import re
from typing import get_type_hints

import numpy as np
import pytest
from sklearn.base import clone

from sparserec_np import SparseBPR, SparseGraph, SparseMF
from sparserec_np.errors import SettingError

ESTIMATORS = [SparseBPR, SparseGraph, SparseMF]

WRONG = {
    "density": [0, -0.1, 1.1, np.nan, "0.1", None, True],
    "dim": [0, -1, 2.5, 65537, "64", None],
    "loss": ["hinge", None, 3],
    "learning_rate": [0, -1, np.inf, np.nan],
    "regularization": [-0.1, np.nan],
    "epochs": [0, 1.5, None],
    "batch_size": [0, 1.5],
    "negatives": [-1, 0.5],
    "popularity_power": [-0.1, np.inf],
    "mask_init": ["svd", None],
    "init_scale": [0, -1],
    "update_every": [0, 1.5],
    "prune_fraction": [-0.1, 1.1],
    "grow_by": ["gradient", None],
    "probe_fraction": [0, 1.1],
    "optimizer": ["lamb", None],
    "teacher": ["svd", 3, SparseGraph, SparseMF(loss="squared")],
    "teacher_weight": [0, -1, np.inf, None],
    "teacher_temperature": [0, -1, np.nan, None],
    "early_stopping": [-1, 0.5, None],
    "validation_fraction": [0, 1, 1.5],
    "refit": ["yes", None],
    "n_jobs": [0, -2, 1.5, "2"],
    "verbose": ["yes", None],
    "random_state": [-1, 1.5, "seed", np.random.RandomState(0)],
    "user_share": [0, 1, 1.5, None],
    "width": [0, 1.5, 65537],
    "item_power": [-0.1, np.nan],
    "length_power": [-0.1, np.nan],
    "history_dropout": [-0.1, 1.0, np.nan],
}
# Settings that not all estimators have, by those that do.
ONLY_OF = {
    "user_share": (SparseMF, SparseBPR),
    "width": (SparseGraph, SparseBPR),
    "item_power": (SparseGraph,),
    "length_power": (SparseGraph,),
    "history_dropout": (SparseGraph,),
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_a_setting_out_of_range_is_refused_by_name(estimator, name, value, tastes):
    if estimator not in ONLY_OF.get(name, ESTIMATORS):
        pytest.skip("no setting of this estimator")
    if value is None and name in estimator.by_amount:
        pytest.skip("left to the amount of data")
    with pytest.raises(SettingError, match=rf"^{name} is {re.escape(repr(value))}; expected "):
        estimator(**{name: value}).fit(tastes)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_setting_has_a_range(estimator):
    others = {name for name, estimators in ONLY_OF.items() if estimator not in estimators}
    assert set(WRONG) - others == set(estimator().get_params())


ACCEPTED = {
    "density": [1, 1.0, 1e-9, np.float32(0.5)],
    "dim": [1, 65536, np.int64(64)],
    "learning_rate": [1, 1e-9],
    "regularization": [0],
    "teacher": ["none", None],
    "update_every": [None, 1],
    "prune_fraction": [0, 1],
    "probe_fraction": [1],
    "early_stopping": [0],
    "n_jobs": [None, -1, 1, 7],
    "refit": [True, False, np.True_],
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in ACCEPTED.items() for v in values])
def test_the_ends_of_the_ranges_are_accepted(estimator, name, value):
    estimator(**{name: value}).check_settings()


@pytest.mark.parametrize(
    ("estimator", "loss"), [(SparseBPR, "bpr"), (SparseBPR, "softmax"), (SparseMF, "logistic")]
)
def test_losses_that_compare_need_negatives(estimator, loss, tastes):
    with pytest.raises(SettingError, match=f"negatives is 0; expected at least 1, since the loss '{loss}'"):
        estimator(loss=loss, negatives=0).fit(tastes)


def test_losses_belong_to_their_estimators(tastes):
    with pytest.raises(SettingError, match="loss is 'squared'; expected one of softmax, bpr, or a function"):
        SparseBPR(loss="squared").fit(tastes)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_init_only_stores(estimator):
    # Even what is wrong: it is refused by fit.
    settings = {name: object() for name in estimator().get_params()}
    model = estimator(**settings)
    assert model.get_params() == settings
    assert vars(model) == settings


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_sklearn_contract(estimator):
    model = estimator(density=0.3, dim=8)
    assert model.get_params()["density"] == 0.3
    assert model.set_params(density=0.2, epochs=3) is model
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    with pytest.raises(ValueError, match="sparsity"):
        model.set_params(sparsity=0.9)
    assert repr(model) == f"{estimator.__name__}(density=0.2, dim=8, epochs=3)"


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_settings_are_given_by_name(estimator):
    with pytest.raises(TypeError):
        estimator(0.1)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_docstring_explains_every_setting_and_nothing_else(estimator):
    doc = inspect.getdoc(estimator)
    section = doc.split("Parameters\n----------\n")[1].split("\n\nAttributes\n")[0]
    assert re.findall(r"^(\w+) : ", section, re.MULTILINE) == list(inspect.signature(estimator).parameters)
    for loss in estimator.losses:
        assert f'"{loss}"' in section


@pytest.mark.parametrize(
    ("estimator", "settings", "message"),
    [
        (SparseMF, {"loss": "squared"}, "teacher is 'ease'; expected None with the loss 'squared'"),
        (SparseBPR, {"loss": lambda scores, weights: scores, "negatives": 0}, "negatives is 0; .* a teacher"),
    ],
)
def test_a_teacher_needs_items_to_compare(estimator, settings, message, tastes):
    with pytest.raises(SettingError, match=message):
        estimator(teacher="ease", **settings).fit(tastes)


def test_settings_left_to_the_data_follow_from_how_much_there_is(tastes, monkeypatch):
    quick = {"dim": 8, "epochs": 1, "learning_rate": 0.03, "random_state": 0}
    per_item = tastes.n_interactions / tastes.n_items
    fitted = {}
    for amount, many, thin in (
        ("few", 200_000, 1),
        ("thin", 200_000, per_item + 1),
        ("many", 1, per_item + 1),
    ):
        monkeypatch.setattr("sparserec_np.models.amounts._MANY_INTERACTIONS", many)
        monkeypatch.setattr("sparserec_np.models.amounts._THIN_PER_ITEM", thin)
        model = fitted[amount] = SparseGraph(**quick).fit(tastes)
        assert model.amount_ == amount
        for name, choices in SparseGraph.by_amount.items():
            expected = quick.get(name, choices[("thin", "few", "many").index(amount)])
            assert model.settings_[name] == ("als+ease" if expected == "auto" else expected)
            assert getattr(model, name) == quick.get(name)
    assert fitted["few"].settings_["history_dropout"] > fitted["many"].settings_["history_dropout"]
    assert fitted["thin"].width_ == 32


def test_a_width_is_kept_where_data_is_thin(tastes, monkeypatch):
    monkeypatch.setattr("sparserec_np.models.amounts._THIN_PER_ITEM", tastes.n_interactions)
    assert SparseGraph(dim=8, width=16, epochs=1, random_state=0).fit(tastes).width_ == 16


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_type_checkers_know_every_setting_as_an_attribute(estimator):
    arguments = get_type_hints(estimator.__init__)
    del arguments["return"]
    attributes = get_type_hints(estimator)
    assert {name: attributes.get(name) for name in arguments} == arguments
