"""A sample of the robustness suite; ``run.py`` beside it runs the same code at full size."""

import os
import sys

import cases
import pytest

SEED = int(os.environ.get("SPARSEREC_SEED", "0"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits memory and forks as Linux does"),
]


def run(kind, n):
    report = cases.run_cases(kind, range(n), SEED, jobs=2)
    assert not report.faults, str(report)
    assert report.n_cases == n


@pytest.mark.parametrize(
    ("kind", "n"), [("models", 50), ("states", 50), ("folders", 25), ("csv", 40), ("checkpoints", 15)]
)
def test_damaged_files_give_nothing_but_the_librarys_own_errors(kind, n):
    run(kind, n)


def test_csv_files_are_read_as_by_the_csv_module():
    run("csv-differential", 120)


@pytest.mark.parametrize(("kind", "n"), [("stops", 12), ("kills", 6), ("interrupts", 2)])
def test_what_is_stopped_leaves_the_old_or_the_new(kind, n):
    run(kind, n)
