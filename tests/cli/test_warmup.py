"""Compiling everything at once, and the commands where nothing but the output can be written.

The package is copied: the one that the tests are run from has compiled kernels beside its source files.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from unprivileged import is_root, needs_rights, read_only, unprivileged

import sparserec_np
from sparserec_np.data import make_interactions

pytestmark = pytest.mark.slow

PROGRAM = "from sparserec_np.cli import main; main()"
COMPILING = "Compiling kernels"
NOBODY = 65534


class Installation:
    """A copy of the package without compiled kernels, and folders for what it may want to write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "site" / "sparserec_np"
        leave_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(sparserec_np.__file__).parent, self.package, ignore=leave_out)
        if not (self.package / "cli").exists():
            commands = Path(importlib.import_module("sparserec_np.cli").__file__).parent
            shutil.copytree(commands, self.package / "cli", ignore=leave_out)
        self.home, self.temporary, self.work = (folder / name for name in ("home", "temporary", "work"))
        for path in (self.home, self.temporary, self.work):
            path.mkdir()
        ours = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "TMPDIR", "PYTHONPATH")
        self.environment = {name: value for name, value in os.environ.items() if name not in ours}
        self.environment |= {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(self.package.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        pairs = make_interactions(300, 200, 6000, random_state=0).user_items.tocoo()
        rng = np.random.default_rng(0)
        lines = [
            f"u{user},i{item},{rng.integers(1, 6)}\n" for user, item in zip(pairs.row, pairs.col, strict=True)
        ]
        rng.shuffle(lines)
        (self.work / "data.csv").write_text("user,item,rating\n" + "".join(lines[:5000]))
        (self.work / "test.csv").write_text("user,item,rating\n" + "".join(lines[5000:]))

    def run(self, *arguments, python=sys.executable, **options) -> subprocess.CompletedProcess:
        """Run a command that succeeds."""
        result = subprocess.run(
            [python, "-c", PROGRAM, *map(str, arguments)],
            env=self.environment,
            cwd=self.work,
            capture_output=True,
            text=True,
            **options,
        )
        assert result.returncode == 0, result.stderr
        return result

    def all_commands(self, **options) -> list[subprocess.CompletedProcess]:
        """Run those that use kernels, and an answer of the bundle."""
        results = self.some_commands("--epochs 2", **options)
        commands = (
            "fit data.csv --epochs 2 --seed 1 --model bpr --output b.srec",
            "fit data.csv --epochs 2 --seed 1 --loss squared --dim 300 --output r.srec",
            "convert data.csv --output folder",
            "fit folder --epochs 2 --seed 1 --output f.srec",
            "evaluate m.srec test.csv",
        )
        results += [self.run(*command.split(), **options) for command in commands]
        assert (self.work / "m.srec").read_bytes() == (self.work / "f.srec").read_bytes()
        return results

    def some_commands(self, settings: str, **options) -> list[subprocess.CompletedProcess]:
        """Fit, export, ask, bundle and ask the bundle."""
        commands = (
            f"fit data.csv {settings} --seed 1 --output m.srec",
            "export m.srec --precision int8 --test test.csv --output s.srec",
            "recommend m.srec --user u1 --json",
            "recommend s.srec --all --output all.csv",
            "bundle m.srec --output app",
        )
        results = [self.run(*command.split(), **options) for command in commands]
        assert len((self.work / "all.csv").read_text().splitlines()) > 3000
        assert len(json.loads(results[2].stdout)) == 10
        answer = subprocess.run(
            [options.get("python", sys.executable), "app/example.py"],
            cwd=self.work,
            env={name: value for name, value in self.environment.items() if name != "PYTHONPATH"}
            | {"PYTHONPATH": str(Path(np.__file__).parents[1])},
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        assert len(answer.stdout.splitlines()) == 6
        return results

    def kernels(self) -> list[Path]:
        """Return all files of kernels."""
        return sorted(self.folder.rglob("*.kernel"))


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """An installation and the report of its warm-up."""
    installation = Installation(tmp_path_factory.mktemp("warm"))
    result = installation.run("warmup", "--json")
    assert result.stderr.count("\n") == 1  # JSON has standard output for itself
    return installation, json.loads(result.stdout)


def test_it_says_where_the_kernels_are(warm):
    installation, report = warm
    assert report["compiled"] == len(installation.kernels()) > 100
    kernels, runtime = (installation.package / name / "__pycache__" for name in ("kernels", "runtime"))
    assert report["folders"] == [str(kernels), str(runtime)]
    assert report["ready_before"] == 0


# No estimator comes to this one: it is for derivatives of one's own.
NOT_USED = {"embedding.gather_rows"}


def test_every_kernel_is_among_them(warm):
    installation, _ = warm
    compiled = {path.name.partition("-")[0] for path in installation.kernels()}
    kernels = {
        f"{path.stem}.{name}"
        for path in installation.package.rglob("*.py")
        for options, name in re.findall(
            r"^@njit\(cache=True(.*)\)\ndef (\w+)", path.read_text(), re.MULTILINE
        )
        if "inline" not in options
    }
    assert len(kernels) > 80
    assert kernels - compiled == NOT_USED


@needs_rights
def test_after_it_nothing_is_compiled_even_where_nothing_can_be_written(warm):
    installation, _ = warm
    before = installation.kernels()
    with read_only(installation.package, installation.home):
        results = installation.all_commands(**unprivileged())
        again = installation.run("warmup", "--json", **unprivileged())
    assert installation.kernels() == before
    assert not [result.stderr for result in results if COMPILING in result.stderr]
    assert json.loads(again.stdout)["compiled"] == 0


@needs_rights
def test_a_package_and_a_home_that_can_only_be_read(tmp_path):
    installation = Installation(tmp_path)
    with read_only(installation.package, installation.home):
        results = installation.some_commands("--epochs 2", **unprivileged())
    # One line in a process that compiles, and none in the others.
    told = [result.stderr for result in results if result.stderr]
    assert told
    assert {(text.count("\n"), text.startswith(COMPILING)) for text in told} == {(1, True)}
    assert {path.parent.parent for path in installation.kernels()} == {
        installation.temporary / f"sparserec-np-{os.getuid()}"
    }


def _python_for_everybody(environment: dict[str, str]) -> str | None:
    """Return a Python of this version that another user can run, with what the package needs."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info[1]}"):
        check = [python, "-c", "import sys, click, numba, scipy; print(sys.version_info[:2])"]
        try:
            found = subprocess.run(
                check, user=NOBODY, group=NOBODY, env=environment, capture_output=True, text=True
            )
        except OSError:
            continue
        if found.stdout == f"{sys.version_info[:2]}\n":
            return python
    return None


@pytest.mark.skipif(not is_root, reason="only root can become another user")
def test_another_user_without_a_home_and_without_threads():
    import resource

    user = 54321  # who is not in the list of users, either
    with ExitStack() as stack:
        # A folder of the tests' own is for root alone.
        folder = Path("/var/tmp") / f"sparserec-np-test-{os.getpid()}"
        folder.mkdir()
        stack.callback(shutil.rmtree, folder)
        installation = Installation(folder)
        del installation.environment["HOME"]
        installation.environment["PYTHONPATH"] += f"{os.pathsep}{Path(np.__file__).parents[1]}"
        installation.work.chmod(0o777)
        installation.temporary.chmod(0o1777)
        python = _python_for_everybody(installation.environment)
        if python is None:
            pytest.skip("no Python with NumPy, numba and click that other users can run")
        as_user = {"user": user, "group": user, "extra_groups": [], "python": python}
        installation.some_commands("--parts linear+neighbours", **as_user)
        installation.run("convert", "data.csv", "--output", "one", **as_user)
        # Where no other thread may be started, either: a limit that root is not held to.
        limit = partial(resource.setrlimit, resource.RLIMIT_NPROC, (1, 1))
        one_thread = as_user | {"preexec_fn": limit}
        again = installation.run("convert", "data.csv", "--output", "two", **one_thread)
        assert again.stderr == ""
        for name in os.listdir(installation.work / "one"):
            one, two = (installation.work / folder / name for folder in ("one", "two"))
            assert one.read_bytes() == two.read_bytes()
