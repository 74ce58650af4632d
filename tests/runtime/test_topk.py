"""Exact top-k against a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_models import ranked

from sparserec_np.runtime.topk import top_k


@given(st.lists(st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0]), max_size=40), st.integers(0, 45))
def test_ties_go_to_the_lower_position(scores, k):
    scores = np.array(scores, np.float32)
    assert top_k(scores, k).tolist() == ranked(scores, range(len(scores)), k)


@pytest.mark.parametrize("n", [2047, 2048, 5000, 40_003])
@pytest.mark.parametrize("levels", [1, 3, 1000, 10**9])
@pytest.mark.parametrize("k", [1, 20, 64, 700])
def test_groups_change_nothing(n, levels, k):
    rng = np.random.default_rng([n, levels, k])
    scores = (rng.integers(0, levels, n) - levels // 2).astype(np.float32)
    scores[rng.random(n) < 0.05] = -np.inf
    before = scores.copy()
    assert top_k(scores, k).tolist() == ranked(scores, range(n), k)
    np.testing.assert_array_equal(scores, before)


def test_scores_in_order_fall_into_few_groups():
    scores = np.arange(10_000, dtype=np.float32)
    assert top_k(scores, 3).tolist() == [9999, 9998, 9997]
    assert top_k(-scores, 3).tolist() == [0, 1, 2]
