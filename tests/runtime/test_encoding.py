"""Encoders against their objectives."""

from __future__ import annotations

import numpy as np
import pytest
from runtime_models import densify, random_model

from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.runtime.encoding import ENCODERS, check_encoder, encode
from sparserec_np.runtime.scoring import TableScorer

ROWS = np.array([3, 7, 7, 20])
WEIGHTS = np.array([1.0, 2.0, 0.5, 4.0])


def encoded(model, rows=ROWS, weights=WEIGHTS):
    return encode(TableScorer(model.items), model, rows, weights)


def is_minimum(objective, point, rng):
    """No direction leads downhill: the central differences of the objective are zero."""
    step = 1e-4
    for direction in rng.normal(size=(10, len(point))):
        slope = (objective(point + step * direction) - objective(point - step * direction)) / (2 * step)
        assert abs(slope) < 1e-4


def test_ridge_minimises_its_objective():
    model = random_model(encoder="ridge", encoder_settings={"alpha": 0.3, "regularization": 0.7})
    V = densify(model.items).astype(np.float64)
    scale = np.mean(np.sum(V**2, axis=1))

    def objective(u):
        fit = np.sum(WEIGHTS * (1 - V[ROWS] @ u) ** 2)
        return fit + 0.3 * np.sum((V @ u) ** 2) + 0.7 * scale * u @ u

    is_minimum(objective, encoded(model).vector.astype(np.float64), np.random.default_rng(0))
    assert encoded(model).bias == 0.0


@pytest.mark.parametrize("user_bias", [True, False])
def test_ratings_minimises_its_objective(user_bias):
    model = random_model(biases=True, encoder="ratings", encoder_settings={"regularization": 0.7})
    if not user_bias:
        model = random_model(
            biases=True, user_bias=None, encoder="ratings", encoder_settings={"regularization": 0.7}
        )
    V = densify(model.items).astype(np.float64)
    scale = np.mean(np.sum(V**2, axis=1))

    def objective(point):
        u, b = point[:-1], point[-1] if user_bias else 0.0
        errors = WEIGHTS - model.offset - model.item_bias[ROWS] - b - V[ROWS] @ u
        return errors @ errors + 0.7 * (scale * u @ u + b * b)

    person = encoded(model)
    is_minimum(objective, np.append(person.vector, person.bias).astype(np.float64), np.random.default_rng(0))
    assert (person.bias != 0.0) == user_bias


@pytest.mark.parametrize(("item_power", "length_power"), [(0.5, 0.5), (0.0, 1.0), (1.2, 0.0)])
def test_degree_weighted_sum(item_power, length_power):
    powers = {"item_power": item_power, "length_power": length_power}
    model = random_model(encoder="sum", encoder_settings=powers)
    V = densify(model.items)
    expected = sum(
        weight * V[row] * max(model.popularity[row], 1) ** -item_power / len(ROWS) ** length_power
        for row, weight in zip(ROWS, WEIGHTS, strict=True)
    )
    np.testing.assert_allclose(encoded(model).vector, expected, rtol=1e-5, atol=1e-7)
    if item_power == 0.5:
        np.testing.assert_array_equal(encoded(model).vector, encoded(random_model(encoder="sum")).vector)


@pytest.mark.parametrize("name", ["ridge", "sum"])
def test_norm_sets_the_length(name):
    model = random_model(encoder=name, encoder_settings={"norm": 2.5})
    assert np.linalg.norm(encoded(model).vector) == pytest.approx(2.5)
    plain = random_model(encoder=name)
    vectors = [encoded(one).vector / np.linalg.norm(encoded(one).vector) for one in (model, plain)]
    np.testing.assert_allclose(*vectors, rtol=1e-5)


@pytest.mark.parametrize("name", ["ridge", "sum"])
def test_no_weights_are_weights_of_one(name):
    model = random_model(encoder=name)
    np.testing.assert_allclose(
        encoded(model, weights=None).vector, encoded(model, weights=np.ones(len(ROWS))).vector, rtol=1e-6
    )


def test_a_history_without_ratings_needs_an_assumed_one():
    with pytest.raises(SettingError, match="give those of the history as weights"):
        encoded(random_model(encoder="ratings"), weights=None)
    model = random_model(encoder="ratings", encoder_settings={"assumed_rating": 4})
    np.testing.assert_array_equal(
        encoded(model, weights=None).vector, encoded(model, weights=np.full(len(ROWS), 4.0)).vector
    )


@pytest.mark.parametrize("name", list(ENCODERS))
def test_a_table_without_entries_encodes_to_nothing(name):
    model = random_model(encoder=name)
    empty = type(model.items)(np.zeros(31, int), np.zeros(0, int), np.zeros(0, np.float32), 8)
    assert not encode(TableScorer(empty), model, ROWS, WEIGHTS).vector.any()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("magic", {}, "encoder is 'magic'; expected one of ridge, sum, ratings"),
        ("ridge", {"gamma": 1}, "holds 'gamma'; encoder 'ridge' takes alpha, regularization, norm"),
        ("ridge", {"regularization": 0.0}, "regularization is 0.0; expected 1e-06"),
        ("ridge", {"alpha": float("nan")}, "alpha is nan"),
        ("ridge", {"alpha": True}, "alpha is True"),
        ("sum", {"item_power": -1}, "item_power is -1; expected 0 to 4"),
        ("ratings", {"assumed_rating": "4"}, "assumed_rating is '4'"),
    ],
)
def test_wrong_settings_are_refused(name, settings, message):
    with pytest.raises(ModelFormatError, match=message):
        check_encoder(name, settings)
