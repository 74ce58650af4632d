import budget
import common
import numpy as np
import pytest
import size

from sparserec_np import SparseBPR
from sparserec_np.data import make_interactions, split_random


@pytest.fixture(scope="module")
def parts():
    return split_random(make_interactions(300, 200, 6000, random_state=0), 0.2, np.random.default_rng(0))


def quick():
    return SparseBPR(dim=16, density=0.2, epochs=1, early_stopping=0, random_state=0)


def test_a_model_is_measured_at_each_precision_of_its_file(parts):
    train, test = parts
    data = quick().fit(train).recommender.data
    rows = list(size.file_rows("ours", data, train.user_items, test.user_items))
    assert [row["storage"] for row in rows] == ["ours, float32", "ours, float16", "ours, int8"]
    assert rows[0]["bytes"] > rows[1]["bytes"] > rows[2]["bytes"]
    # Rounding costs little of what the model knows.
    for row in rows[1:]:
        assert row["recall@20"] == pytest.approx(rows[0]["recall@20"], rel=0.1)
    assert rows[0]["recall@20"] > 0.1


@pytest.mark.parametrize("max_bytes", [7_000, 12_000])
def test_a_file_within_a_budget_is_measured(parts, max_bytes):
    row = budget.measured(*parts, max_bytes, width=32, precision="int8", epochs=1)
    assert max_bytes / 2 < row["bytes"] <= max_bytes
    assert row["recall@20"] > 0.1


def test_a_kept_model_is_that_of_the_same_code(parts, tmp_path, monkeypatch):
    fits = []

    def fit():
        fits.append(quick().fit(parts[0]))
        return fits[-1]

    kept = [common.trained("small", fit, tmp_path) for _ in range(2)]
    assert len(fits) == 1
    np.testing.assert_array_equal(kept[0].items.values, kept[1].items.values)
    monkeypatch.setattr(common, "state_of_code", lambda: "another")
    common.trained("small", fit, tmp_path)
    assert len(fits) == 2
