"""Neighbour scores against the formula, and the kernel against NumPy, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sparserec_np.errors import ModelFormatError
from sparserec_np.kernels.workers import Workers
from sparserec_np.runtime import SeenItems, neighbours
from sparserec_np.runtime.neighbour_kernel import score_histories
from sparserec_np.runtime.neighbours import NeighbourFilter, NeighbourSettings


def _matrix(seed, n_users=40, n_items=30, density=0.15):
    matrix = sparse.random_array((n_users, n_items), density=density, format="csr", rng=seed)
    matrix.data[:] = 1
    matrix.sort_indices()
    return matrix


def _filter(matrix, *powers):
    return NeighbourFilter(
        SeenItems(matrix.indptr, matrix.indices), matrix.shape[1], NeighbourSettings(*powers)
    )


@given(
    st.integers(0, 10_000), st.tuples(*[st.sampled_from([0.0, 0.4, 1.0])] * 3), st.sampled_from([0.5, 2.0])
)
def test_scores_are_those_of_the_formula(seed, powers, weight):
    matrix = _matrix(seed)
    dense = matrix.toarray()
    of_items = np.maximum(dense.sum(axis=0), 1.0)
    of_users = np.maximum(dense.sum(axis=1), 1.0)
    history = np.random.default_rng(seed).choice(30, 5, replace=False)
    given_weights = np.random.default_rng(seed).random(5)
    x = np.zeros(30)
    x[history] = given_weights
    a, c, b = powers
    expected = weight * ((((x * of_items**-a) @ dense.T) * of_users**-c) @ dense) * of_items**-b
    found = _filter(matrix, *powers, weight).scores(history, given_weights)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@given(st.integers(0, 10_000), st.sampled_from([3, 7, 1000]), st.sampled_from([1, 2]))
def test_the_kernel_gives_the_bits_of_numpy(seed, most, n_jobs):
    matrix = _matrix(seed)
    one = _filter(matrix, 0.6, 0.6, 0.3, 1.7)
    with pytest.MonkeyPatch.context() as patch, Workers(n_jobs) as workers:
        patch.setattr(neighbours, "MOST_USERS", most)
        patch.setattr("sparserec_np.runtime.neighbour_kernel.MOST_USERS", most)
        together = score_histories(
            one, matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), workers
        )
        for row in range(matrix.shape[0]):
            history = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
            np.testing.assert_array_equal(together[row], one.scores(history))


def test_only_the_most_similar_users_count_and_of_equal_ones_the_first(monkeypatch):
    # Users 0 to 3 share item 0; user 2 has nothing else, so that it is the most similar.
    matrix = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 1]], np.float32))
    monkeypatch.setattr(neighbours, "MOST_USERS", 2)
    scores = _filter(matrix, 0.0, 1.0, 0.0).scores(np.array([0]))
    assert scores.tolist() == [1.5, 0.5, 0.0, 0.0]


def test_nothing_follows_from_no_history_or_one_that_nobody_has():
    matrix = sparse.csr_array(np.array([[1, 1, 0], [1, 0, 0]], np.float32))
    one = _filter(matrix, 1.0, 1.0, 0.25)
    assert not one.scores(np.empty(0, np.int64)).any()
    assert not one.scores(np.array([2])).any()


@pytest.mark.parametrize(
    "settings",
    [
        None,
        5,
        {},
        {"item_power": 1.0},
        {"item_power": 1.0, "user_power": 1.0, "score_power": 0.2, "weight": -1.0},
        {"item_power": 9.0, "user_power": 1.0, "score_power": 0.2, "weight": 1.0},
        {"item_power": True, "user_power": 1.0, "score_power": 0.2, "weight": 1.0},
        {"item_power": float("nan"), "user_power": 1.0, "score_power": 0.2, "weight": 1.0},
        {"item_power": 1.0, "user_power": 1.0, "score_power": 0.2, "weight": 1.0, "more": 1.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ModelFormatError, match="neighbours"):
        NeighbourSettings.from_dict(settings)


def test_settings_come_back():
    settings = NeighbourSettings(0.6, 0.5, 0.1, 2.0)
    assert NeighbourSettings.from_dict(settings.as_dict()) == settings
