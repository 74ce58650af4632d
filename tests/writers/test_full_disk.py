"""A write that fails for want of room names what was to be written, and leaves what was there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sparserec_np.cli.bundling import write_bundle

from sparserec_np.data import make_interactions
from sparserec_np.models import SparseGraph
from sparserec_np.runtime.files import written_whole

resource = pytest.importorskip("resource", reason="needs limits on the size of files")

STATE = """
from sparserec_np import Recommender
recommender = Recommender.load("model.srec")
for user in range(2000):
    recommender.update(user, [1, 2, 3])
try:
    recommender.save_state("out")
except OSError as error:
    sys.exit(f"Error: {error.filename}: {error.strerror}")
"""
WRITERS = {
    "fit": ["fit", "data.csv", "-o", "out", "--epochs", "1", "--dim", "32", "--early-stopping", "0"],
    "export": ["export", "model.srec", "-o", "out"],
    "recommend": ["recommend", "model.srec", "--all", "-o", "out.csv"],
    "bundle": ["bundle", "model.srec", "-o", "out"],
    "convert": ["convert", "data.csv", "-o", "out"],
    "state": [],
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    interactions = make_interactions(300, 200, 9000, random_state=0)
    pairs = interactions.user_items.tocoo()
    lines = [f"{user},{item}\n" for user, item in zip(pairs.row, pairs.col, strict=True)]
    (folder / "data.csv").write_text("user,item\n" + "".join(lines))
    SparseGraph(dim=32, epochs=1, density=0.3, random_state=0).fit(interactions).save(folder / "model.srec")
    return folder


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_no_room(sources, tmp_path, name, there):
    for file in sources.iterdir():
        (tmp_path / file.name).symlink_to(file)
    target = tmp_path / ("out.csv" if name == "recommend" else "out")
    if there and name == "bundle":
        other = tmp_path.parent / f"{tmp_path.name}.srec"
        smaller = make_interactions(30, 20, 200, random_state=1)
        SparseGraph(dim=4, epochs=1, random_state=1).fit(smaller).save(other)
        write_bundle(other, target)
    elif there and name == "convert":
        make_interactions(30, 20, 200, random_state=0).to_dir(target)
    elif there:
        target.write_text("before")
    before = files_of(tmp_path)
    program = ["-c", f"import sys{STATE}"] if name == "state" else ["-m", "sparserec_np", *WRITERS[name]]
    if there and name != "state":
        program.append("--force")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    result = subprocess.run(
        [sys.executable, *program], cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit
    )
    assert result.returncode == 1, result
    named, end = target.name, ": File too large"
    if name == "bundle":
        named += "/model.srec"
    if name == "fit":  # it tries to write the model elsewhere, and says what became of that
        end = " could not be written: File too large"
    assert result.stderr.splitlines()[-1].startswith(f"Error: {named}{end}"), result.stderr
    assert "Traceback" not in result.stderr
    assert files_of(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] == ".") == []


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), OSError("pyarrow says so"), OSError(5, "I/O", None)]
)
def test_an_error_without_a_name_gets_one(tmp_path, error):
    def fail():
        with written_whole(tmp_path / "file"):
            raise error

    with pytest.raises(OSError, match="file") as raised:
        fail()
    assert raised.value is error
    assert os.listdir(tmp_path) == []


def test_the_error_of_another_file_keeps_its_name(tmp_path):
    def fail():
        with written_whole(tmp_path / "file"):
            Path(tmp_path, "other").read_text()

    with pytest.raises(FileNotFoundError, match="other"):
        fail()
