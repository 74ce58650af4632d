"""What is built is whole: packages, files, metadata. An installation in place cannot tell."""

import email
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import sparserec_np

ROOT = Path(__file__).resolve().parents[1]
#: Where the package's folders come from.
SOURCES = {"sparserec_np": ROOT / "sparserec_np", "sparserec_np/cli": ROOT / "cli"}
#: CI built these already.
BUILT = os.environ.get("SPARSEREC_NP_DIST")
NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Return a folder with a source distribution and a wheel made of it."""
    if BUILT:
        return Path(BUILT)
    if not SOURCES["sparserec_np"].is_dir():
        pytest.skip("these are the tests alone, without the source tree to build")
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("packaging")
    # A build writes into the source tree.
    shutil.copytree(ROOT, folder / "tree", ignore=NOT_SOURCE)
    for kind in ("sdist", "wheel"):
        command = [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            f"--{kind}",
            "--outdir",
            str(folder / "dist"),
        ]
        # The wheel is built from what the source distribution holds, as the installation from an index is.
        tree = folder / "tree" if kind == "sdist" else unpacked(folder / "dist", folder / "unpacked")
        result = subprocess.run([*command, str(tree)], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    return folder / "dist"


def unpacked(dist, folder):
    [archive] = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            assert PurePosixPath(member.name).parts[0] == archive.name.removesuffix(".tar.gz")
            assert ".." not in member.name
        tar.extractall(folder)
    [tree] = folder.iterdir()
    return tree


def names_in_sdist(dist):
    [archive] = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        return {name.partition("/")[2] for name in tar.getnames()}


def names_in_wheel(dist):
    [archive] = dist.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        return set(wheel.namelist())


def metadata(dist):
    [archive] = dist.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(wheel.read(name))


def test_the_wheel_holds_every_module_and_nothing_else(dist):
    """Compared with the source distribution, in which no package is left out: it is checked below."""
    expected = set()
    for name in names_in_sdist(dist):
        if name.startswith("sparserec_np/") and name.endswith((".py", "py.typed")):
            expected.add(name)
        elif name.startswith("cli/") and name.endswith(".py"):
            expected.add(f"sparserec_np/{name}")
    assert {"sparserec_np/py.typed", "sparserec_np/cli/fit.py", "sparserec_np/teachers/als.py"} <= expected
    assert {name for name in names_in_wheel(dist) if ".dist-info/" not in name} == expected


def test_the_source_distribution_holds_every_file_of_the_repository(dist):
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a clone: what belongs to the repository is not known")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert files - names_in_sdist(dist) == set()


def test_every_folder_with_modules_is_a_package():
    """A folder without ``__init__.py`` is imported in place, but is no package that can be found."""
    if not SOURCES["sparserec_np"].is_dir():
        pytest.skip("these are the tests alone, without the source tree")
    folders = {path.parent for source in SOURCES.values() for path in source.rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_all_modules_of_the_installation_can_be_imported(tmp_path):
    script = """
import importlib, pkgutil, sparserec_np
names = [m.name for m in pkgutil.walk_packages(sparserec_np.__path__, "sparserec_np.")]
import sparserec_np.cli  # elsewhere in an installation in place
names += [m.name for m in pkgutil.walk_packages(sparserec_np.cli.__path__, "sparserec_np.cli.")]
for name in names:
    if name != "sparserec_np.__main__":
        importlib.import_module(name)
print("\\n".join(names))
"""
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert {"sparserec_np.teachers.als", "sparserec_np.cli.fit"} <= set(result.stdout.split())


def test_the_command_line_is_no_global_module(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", "import cli"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "ModuleNotFoundError: " in result.stderr


def test_pictures_and_links_of_the_readme_show_on_an_index(dist):
    text = metadata(dist).get_payload()
    pictures = re.findall(r'!\[[^\]]*\]\(([^)]*)\)|<img src="([^"]*)"', text)
    assert len(pictures) >= 3
    targets = {one or other for one, other in pictures} | set(re.findall(r"\[[^\]]*\]\(([^)]*)\)", text))
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []


def test_pictures_of_the_readme_are_in_the_repository():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r'\]\((docs/[^)]*)\)|<img src="([^"]*)"', text):
        assert (ROOT / "".join(target)).is_file()


def test_metadata(dist):
    described = metadata(dist)
    assert described["Version"] == sparserec_np.__version__
    assert described["License-Expression"] == "Apache-2.0"
    assert described["Author"]
    assert "Typing :: Typed" in described.get_all("Classifier")
    labels = {url.partition(",")[0] for url in described.get_all("Project-URL")}
    assert {"Homepage", "Source", "Documentation", "Changelog", "Issues"} <= labels


def test_what_is_imported_is_what_is_installed():
    assert importlib.metadata.version("sparserec-np") == sparserec_np.__version__


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "sparserec_np"]
    result = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert result.stdout == f"sparserec-np, version {sparserec_np.__version__}\n"
    result = subprocess.run([*command, "fitt"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "Usage: sparserec-np [OPTIONS]" in result.stderr


@pytest.mark.slow
def test_an_uninstall_leaves_machine_code_and_nothing_else(dist, tmp_path):
    """As `docs/installation.md` says: pip removes what it installed, and numba's files came later."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    [python] = [*tmp_path.glob("venv/bin/python"), *tmp_path.glob("venv/Scripts/python.exe")]
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = Path(subprocess.check_output([python, "-c", where], text=True).strip())
    # The dependencies are those of this environment.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    before = files_below(tmp_path / "venv")

    [wheel] = dist.glob("*.whl")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", "--force-reinstall", str(wheel)], check=True)
    (tmp_path / "data.csv").write_text("user,item\nann,Alien\nann,Heat\nbob,Heat\n")
    program = "from sparserec_np import Interactions as I; import sparserec_np as p; I.from_csv('data.csv')"
    elsewhere = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "caches")}
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | elsewhere
    command = [python, "-c", f"{program}; print(p.__file__)"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert Path(result.stdout.strip()).is_relative_to(site_packages), result.stderr
    subprocess.run([*pip, "uninstall", "--yes", "sparserec-np"], check=True)

    left = files_below(tmp_path / "venv") - before
    assert left
    for name in left:
        assert re.search(r"/sparserec_np/(\w+/)*__pycache__/[^/]+\.kernel$", f"/{name}"), name
    assert not (tmp_path / "caches").exists()


def files_below(folder):
    """Return the files that matter here, but not what Python and pip compile of themselves."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name for name in found if not name.endswith(".pyc") or "sparserec_np" in name}
