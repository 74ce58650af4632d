"""A sample of the robustness suite; ``run.py`` beside it runs the same code at full size."""

import os

import cases
import pytest

SEED = int(os.environ.get("SPARSEREC_SEED", "0"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n"),
    [("models", 150), ("states", 150), ("csv", 100), ("csv-differential", 150)],
)
def test_nothing_but_the_librarys_own_errors(kind, n):
    report = cases.run_cases(kind, range(n), SEED, jobs=2)
    assert not report.faults, str(report)
    assert report.n_cases == n
