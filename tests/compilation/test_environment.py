"""Environment variables that numba would answer with an obscure error, or that switch it off."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sparserec_np

FIT = """
import numpy as np
from sparserec_np.errors import SettingError
rng = np.random.default_rng(0)
try:
    from sparserec_np import Interactions, SparseGraph
    SparseGraph(epochs=1).fit(Interactions.from_arrays(rng.integers(0, 9, 99), rng.integers(0, 9, 99)))
except SettingError as error:
    print(error)
"""
ACCELERATE = """
import numpy as np
from sparserec_np.errors import SettingError
from sparserec_np.runtime import TableData
from sparserec_np.runtime.scoring import Vector, scorer_type
table = TableData(np.arange(4), np.zeros(3, np.uint8), np.ones(3, np.float32), dim=1)
try:
    scorer = scorer_type(accelerate=True)(table)
    scorer.best(Vector(np.zeros(1, np.int64), np.ones(1, np.float32)), 2, np.zeros(0, np.int64))
except SettingError as error:
    print(error)
"""
VARIABLES = [*(("NUMBA_NUM_THREADS", value) for value in ("0", "-1", "many", "")), ("NUMBA_DISABLE_JIT", "1")]


@pytest.mark.parametrize("program", [FIT, ACCELERATE])
@pytest.mark.parametrize(
    ("name", "value"),
    [("NUMBA_NUM_THREADS", value) for value in ("0", "-1", "many", "")] + [("NUMBA_DISABLE_JIT", "1")],
)
def test_one_line_names_the_variable(program, name, value):
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"the environment variable {name} ")
    assert result.stdout.endswith("unset it\n")
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize("value", ["1", "100000"])
def test_numbers_of_threads_that_numba_takes(value):
    result = subprocess.run(
        [sys.executable, "-c", ACCELERATE],
        env=os.environ | {"NUMBA_NUM_THREADS": value},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(("name", "value"), [("NUMBA_NUM_THREADS", "0"), ("NUMBA_DISABLE_JIT", "1")])
def test_the_command_line_gives_one_line(name, value, tmp_path):
    (tmp_path / "data.csv").write_text("user,item\n" + "".join(f"{i % 7},{i % 11}\n" for i in range(77)))
    result = subprocess.run(
        [sys.executable, "-c", "from sparserec_np.cli import main; main()", "fit", "data.csv"],
        env=os.environ | {name: value},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: the environment variable {name} ")
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_every_kernel_is_compiled_by_the_one_decorator():
    package = Path(sparserec_np.__file__).parent
    theirs = re.compile(r"\b(from numba import .*\bn?jit\b|numba\.(n?jit|vectorize|guvectorize)\b)")
    found = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if theirs.search(path.read_text())
    ]
    assert found == ["compilation/__init__.py"]
