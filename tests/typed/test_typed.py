"""What mypy and pyright make of a program that uses the installed package."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = ("right.py", "wrong.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the programs and nothing else: the package is found where it is installed."""
    installed = importlib.metadata.distribution("sparserec-np")
    in_place = json.loads(installed.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable")
    assert not in_place or any(file.name == "sparserec_np.pth" for file in installed.files), (
        "the installation in place is from before it was made visible to type checkers; install it again"
    )
    folder = tmp_path_factory.mktemp("typed")
    for name in PROGRAMS:
        shutil.copy(HERE / name, folder)
    return folder


def run(command, folder):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def mypy(folder):
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", *PROGRAMS]
    result = run(command, folder)
    assert result.stderr == ""
    return re.findall(r"^(\w+\.py):(\d+): error: (.*)", result.stdout, re.MULTILINE)


def pyright(folder):
    program = shutil.which("pyright")
    if program is None or run([program, "--version"], folder).returncode != 0:
        pytest.skip("no pyright, or no Node.js to run it with")
    result = run([program, "--pythonpath", sys.executable, "--outputjson", *PROGRAMS], folder)
    found = json.loads(result.stdout)["generalDiagnostics"]
    return [
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"])
        for one in found
        if one["severity"] == "error"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_checker_finds_the_mistakes_and_nothing_else(checker, folder):
    found = checker(folder)
    assert [error for error in found if error[0] == "right.py"] == []
    lines = (HERE / "wrong.py").read_text().splitlines()
    marked = {number for number, line in enumerate(lines, 1) if "# wrong" in line}
    assert {int(line) for _, line, _ in found} == marked, found
