import inspect
import re

import numpy as np
import pytest
from sklearn.base import clone

from sparserec_np import SparseALS, SparseBlend, SparseLinear, load
from sparserec_np.data import make_interactions, split_random
from sparserec_np.errors import SettingError
from sparserec_np.models import blend

MODELS = {"linear": SparseLinear, "ials": SparseALS}


@pytest.fixture(scope="module")
def interactions():
    return make_interactions(120, 90, 2400, random_state=0)


@pytest.mark.parametrize(("part", "estimator"), MODELS.items())
@pytest.mark.parametrize("neighbours", [False, True])
def test_they_are_the_blend_of_that_part(part, estimator, neighbours, interactions):
    parts = f"{part}+neighbours" if neighbours else part
    one = estimator(dim=16, neighbours=neighbours, random_state=0).fit(interactions)
    blended = SparseBlend(dim=16, parts=parts, random_state=0).fit(interactions)
    assert one.chosen_ == blended.chosen_ == parts
    assert one.parts_ == blended.parts_
    assert one.candidates_ == blended.candidates_
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(one.items_, name), getattr(blended.items_, name))
    assert one.recommend_from_history([3, 14], k=5)[0].tolist()


@pytest.mark.parametrize("estimator", MODELS.values())
def test_saved_and_loaded_it_is_the_same(estimator, interactions, tmp_path):
    model = estimator(dim=16, density=0.2, random_state=3).fit(interactions)
    model.save(tmp_path / "m.srec")
    again = load(tmp_path / "m.srec")
    assert type(again) is estimator
    assert again.get_params() == model.get_params()
    assert again.recommend(0, k=5)[0].tolist() == model.recommend(0, k=5)[0].tolist()
    once_more = clone(again).fit(interactions)
    np.testing.assert_array_equal(once_more.items_.data, model.items_.data)


def test_given_settings_are_the_only_ones_tried(interactions):
    model = SparseLinear(penalty=12.5, target_power=0.1, random_state=0).fit(interactions)
    [only] = model.candidates_
    assert (only["regularization"], only["target_power"]) == (12.5, 0.1)
    model = SparseALS(dim=16, penalty=2.0, unobserved=0.1, epochs=3, prune_fraction=0.2, random_state=0)
    [only] = model.fit(interactions).candidates_
    assert only["epochs"] == 3
    assert (only["regularization"], only["unobserved"], only["prune_fraction"]) == (2.0, 0.1, 0.2)
    some = SparseALS(dim=16, epochs=3, random_state=0).fit(interactions).candidates_
    assert {one["epochs"] for one in some} == {3}
    assert len(some) == 3


@pytest.mark.parametrize("estimator", MODELS.values())
def test_the_entries_are_those_of_the_budget(estimator, interactions):
    for density in (0.05, 0.2):
        model = estimator(dim=16, density=density, random_state=0).fit(interactions)
        assert model.items_.nnz == round(density * (120 + 90) * 16)


def test_it_is_far_above_the_most_popular():
    train, test = split_random(make_interactions(400, 200, 12_000, random_state=1), 0.2, 0)
    assert test.n_interactions
    for estimator in MODELS.values():
        model = estimator(random_state=0).fit(train)
        assert model.validation_["ndcg@20"] > 1.5 * model.baseline_["ndcg@20"]


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [
        (SparseLinear, "penalty", 0),
        (SparseLinear, "target_power", -0.1),
        (SparseLinear, "neighbours", "yes"),
        (SparseLinear, "density", 0),
        (SparseALS, "unobserved", 0),
        (SparseALS, "penalty", np.nan),
        (SparseALS, "epochs", 0),
        (SparseALS, "prune_fraction", 1.5),
        (SparseALS, "n_jobs", 0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(estimator, name, value, interactions):
    with pytest.raises(SettingError, match=rf"^{name} is {re.escape(repr(value))}; expected "):
        estimator(**{name: value}).fit(interactions)


@pytest.mark.parametrize("estimator", MODELS.values())
def test_every_setting_is_described(estimator):
    for name in inspect.signature(estimator).parameters:
        assert re.search(rf"^ *{name} : ", inspect.getdoc(estimator), re.M), name


def test_too_many_users_for_a_factorization_are_refused(interactions, monkeypatch):
    monkeypatch.setattr(blend, "_MOST_NUMBERS", 120 * 8)
    with pytest.raises(SettingError, match=r"^dim is 16; expected at most 8, to factorize all pairs of 120"):
        SparseALS(dim=16).fit(interactions)
    model = SparseBlend(dim=16, parts="ials,linear", random_state=0).fit(interactions)
    assert model.chosen_ == "linear"
