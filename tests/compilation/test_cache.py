"""Where compiled kernels are kept: what one process compiles, the next one loads."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from unprivileged import is_root, needs_rights, read_only, unprivileged

KERNELS = """
from sparserec_np.compilation import njit
from helpers import twice


@njit(cache=True, nogil=True)
def add(a, b):
    return twice(a) + b
"""
HELPERS = """
from sparserec_np.compilation import njit


@njit(cache=True, nogil=True)
def twice(a):
    return a + a
"""
PROGRAM = """
import os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from kernels import add
print(add(1, 2), add(1.5, 2.0))
print(*(sum(f.stats.cache_misses.values()) for f in (add,)))
"""
COMPILING = "Compiling kernels"
NOT_KEPT = "cannot be kept"


class Place:
    """A folder with two kernels, and processes that call them."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "package"
        self.home = folder / "home"
        self.temporary = folder / "temporary"
        for path in (self.package, self.home, self.temporary):
            path.mkdir()
        (self.package / "kernels.py").write_text(KERNELS)
        (self.package / "helpers.py").write_text(HELPERS)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "TMPDIR", "PYTHONPATH")
        }
        self.environment |= {"HOME": str(self.home), "TMPDIR": str(self.temporary)}

    def run(self, before: str = "") -> tuple[str, int, str]:
        """Return what the kernels answer, how many were compiled, and standard error; run `before` first."""
        result = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(before) + PROGRAM, str(self.package)],
            env=self.environment,
            capture_output=True,
            text=True,
            **unprivileged(),
        )
        assert result.returncode == 0, result.stderr
        answers, misses = result.stdout.splitlines()
        return answers, int(misses), result.stderr

    def files(self, folder: Path | None = None) -> list[Path]:
        """Return the files of the kernels in a folder, in that beside the source by default."""
        return sorted((folder or self.package).rglob("*.kernel"))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_the_second_process_compiles_nothing(place):
    answers, misses, errors = place.run()
    assert (answers, misses) == ("4 5.0", 2)
    assert errors.count(COMPILING) == 1
    assert len(errors.splitlines()) == 1
    assert place.run() == (answers, 0, "")
    assert len(place.files()) == 4  # two kernels, two signatures
    assert {path.parent.name for path in place.files()} == {"__pycache__"}


def test_the_log_can_be_switched_off(place):
    before = "import logging; logging.getLogger('sparserec_np').setLevel('ERROR')"
    assert place.run(before) == ("4 5.0", 2, "")


def test_the_folder_of_the_environment_variable_comes_first(place, tmp_path):
    place.environment["NUMBA_CACHE_DIR"] = str(tmp_path / "chosen")
    assert place.run()[1] == 2
    assert place.run()[1] == 0
    assert place.files() == []
    assert len(place.files(tmp_path / "chosen")) == 4


DAMAGES = [
    lambda content: b"",
    lambda content: content[:20],
    lambda content: content[: len(content) // 2],
    lambda content: content[:-1],
    lambda content: content[:-100] + bytes(100),
    lambda content: content[:4000] + bytes([content[4000] ^ 1]) + content[4001:],
    lambda content: b"x" * len(content),
    lambda content: content + b"x",
]


def test_a_damaged_file_is_replaced(place):
    place.run()
    for damages in (DAMAGES[:4], DAMAGES[4:]):
        for path, damage in zip(place.files(), damages, strict=True):
            path.write_bytes(damage(path.read_bytes()))
        answers, misses, errors = place.run()
        assert (answers, misses) == ("4 5.0", 2)
        assert len(errors.splitlines()) == 1
        assert place.run() == (answers, 0, "")


def test_a_folder_in_the_place_of_a_file_and_a_file_in_that_of_a_folder(place):
    (place.package / "__pycache__").write_text("not a folder")
    assert place.run()[:2] == ("4 5.0", 2)
    assert place.run()[:2] == ("4 5.0", 0)
    (path, *_) = place.files(place.home)
    path.unlink()
    path.mkdir()
    assert place.run()[0] == "4 5.0"


def test_a_kernel_is_compiled_again_when_one_that_it_calls_has_changed(place):
    assert place.run()[0] == "4 5.0"
    (place.package / "helpers.py").write_text(HELPERS.replace("a + a", "3 * a"))
    assert place.run()[:2] == ("5 6.5", 2)
    assert place.run()[:2] == ("5 6.5", 0)
    assert len(place.files()) == 4  # the old ones were replaced


def test_processes_that_compile_at_once(place):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: place.run(), range(4)))
    assert {answers for answers, _, _ in results} == {"4 5.0"}
    assert place.run() == ("4 5.0", 0, "")
    assert len(place.files()) == 4
    assert not list(place.package.rglob("*.tmp"))


def _all_for_themselves(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o077 == 0 for path in [folder, *folder.iterdir()])


@needs_rights
def test_a_package_that_can_only_be_read(place):
    with read_only(place.package):
        assert place.run()[:2] == ("4 5.0", 2)
        assert place.run() == ("4 5.0", 0, "")
    assert place.files() == []
    assert len(place.files(place.home)) == 4
    assert _all_for_themselves(place.home / ".cache/sparserec-np")


@needs_rights
@pytest.mark.parametrize("chosen", [False, True])
def test_kernels_that_can_only_be_read(place, chosen, tmp_path):
    """As in an image: whoever made it compiled them."""
    folder = tmp_path / "chosen" if chosen else place.package
    if chosen:
        place.environment["NUMBA_CACHE_DIR"] = str(folder)
    place.run()
    with read_only(place.package, folder):
        assert place.run() == ("4 5.0", 0, "")
    assert place.files(place.home) == []


@needs_rights
@pytest.mark.parametrize("home", ["unwritable", "missing", "unreadable", "relative"])
def test_without_a_home_the_folder_for_temporary_files_serves(place, home):
    if home == "missing":
        place.environment["HOME"] = str(place.package / "nowhere")
    elif home == "unreadable":
        place.home.chmod(0)
    elif home == "relative":
        place.environment["HOME"] = "home"
    with read_only(place.package, *[place.home] * (home == "unwritable")):
        assert place.run()[:2] == ("4 5.0", 2)
        assert place.run() == ("4 5.0", 0, "")
    place.home.chmod(0o755)
    folder = place.temporary / f"sparserec-np-{os.getuid()}"
    assert len(place.files(folder)) == 4
    assert _all_for_themselves(folder)


@needs_rights
@pytest.mark.parametrize("fault", ["foreign", "writable", "link", "open above"])
def test_code_that_somebody_else_could_have_put_there_is_not_run(place, fault):
    if fault == "foreign" and not is_root:
        pytest.skip("only root can give a folder to somebody else")
    place.temporary.chmod(0o1777)
    with read_only(place.package, place.home):
        place.run()
        folder = place.temporary / f"sparserec-np-{os.getuid()}"
        kept = place.files(folder)
        assert kept
        for path in kept:
            path.write_bytes(b"")  # must not be replaced either
        if fault == "foreign":
            os.chown(folder, 65534, -1)
            folder.chmod(0o1777)
        elif fault == "writable":
            kept[0].parent.chmod(0o777)
        elif fault == "link":
            target = folder.rename(place.temporary / "target")
            target.chmod(0o777)
            folder.symlink_to(target)
        else:
            place.temporary.chmod(0o777)
        answers, misses, errors = place.run()
    assert (answers, misses) == ("4 5.0", 2)
    assert errors.count(NOT_KEPT) == 1
    assert len(errors.splitlines()) == 2
    assert all(path.read_bytes() == b"" for path in place.files(place.temporary))


@needs_rights
def test_without_any_folder_each_process_compiles_and_says_so_once(place):
    # Otherwise Python looks for other folders, such as /var/tmp.
    before = "import os, tempfile; tempfile._candidate_tempdir_list = lambda: [os.environ['TMPDIR']]"
    with read_only(place.package, place.home, place.temporary):
        for _ in range(2):
            answers, misses, errors = place.run(before)
            assert (answers, misses) == ("4 5.0", 2)
            assert errors.count(NOT_KEPT) == 1
            assert len(errors.splitlines()) == 2


def test_a_full_disk(place):
    before = """
        import errno, pathlib
        def full(self, data):
            self.touch()
            raise OSError(errno.ENOSPC, "No space left on device")
        pathlib.Path.write_bytes = full
    """
    answers, misses, errors = place.run(before)
    assert (answers, misses) == ("4 5.0", 2)
    assert errors.count(NOT_KEPT) == 1
    assert not [path for path in place.package.parent.rglob("*") if path.suffix in (".kernel", ".tmp")]


def test_a_package_in_an_archive(place):
    archive = place.package.parent / "package.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in place.package.glob("*.py"):
            file.write(path, path.name)
    place.package = archive
    answers, misses, errors = place.run()
    assert (answers, misses) == ("4 5.0", 2)
    assert NOT_KEPT in errors
