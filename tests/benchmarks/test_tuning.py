import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuning import climb


@given(
    peak=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
    tilt=st.floats(-0.9, 0.9),
    start=st.tuples(st.sampled_from([0.25, 1.0, 8.0]), st.sampled_from([0.5, 2.0])),
)
def test_no_neighbour_is_better(peak, tilt, start):
    def goodness(settings):
        calls.append(tuple(settings.values()))
        x, y = (math.log2(value) - at for value, at in zip(settings.values(), peak, strict=True))
        return -(x * x + y * y + 2 * tilt * x * y)

    calls = []
    best, tried = climb({"a": start[0], "b": start[1]}, goodness, factors=(4, 2))
    assert len(calls) == len(set(calls)) == len(tried)
    top = max(value for _, value in tried)
    assert dict(best) in [settings for settings, value in tried if value == top]
    for i, power in itertools.product((0, 1), (1, -1)):
        near = [best["a"], best["b"]]
        near[i] *= 2.0**power
        assert tuple(near) in calls


def test_climbs_along_a_ridge():
    """Only where both settings grow together does anything improve."""

    def goodness(settings):
        x, y = (math.log2(value) for value in settings.values())
        return min(x, 10) - 100 * abs(x - y)

    best, _ = climb({"alpha": 1, "regularization": 1}, goodness, factors=(4,))
    assert best == {"alpha": 1024, "regularization": 1024}


def test_stays_within_bounds():
    best, tried = climb({"n": 10}, lambda settings: settings["n"], (3,), {"n": (5, 100)})
    assert best == {"n": 90}
    assert all(5 <= settings["n"] <= 100 for settings, _ in tried)


def test_a_peak_at_the_start_is_kept():
    best, tried = climb({"x": 3}, lambda settings: -abs(settings["x"] - 3))
    assert best == {"x": 3}
    assert [settings["x"] for settings, _ in tried] == pytest.approx([3, 12, 0.75, 6, 1.5])
