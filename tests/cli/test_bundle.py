"""The bundle, and that it runs where there is nothing but Python and NumPy."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy_only import numpy_only

import sparserec_np
from sparserec_np.runtime import Recommender, load_model, save_model
from sparserec_np.runtime.format import read_tensors

PARTS = {"example.py", "model.srec", "sparserec_np"}
RUNTIME = Path(sparserec_np.__file__).parent / "runtime"

PROGRAM = """
import json, runpy, sys
from pathlib import Path
import sparserec_np

app = Path(__file__).parent
runpy.run_path(str(app / "example.py"), run_name="__main__")
recommender = sparserec_np.Recommender.load(app / "model.srec")
ids, scores = recommender.recommend(history=[1, 4], k=3)
recommender.similar_items(1)
recommender.update(10, [2])
recommender.save_state(app / "state")
try:
    sparserec_np.Recommender.load(app / "model.srec", accelerate=True)
except ImportError as error:
    print(error)
modules = {name: str(getattr(module, "__file__", "")) for name, module in sys.modules.items()}
print(json.dumps({"ids": ids.tolist(), "scores": scores.tolist(), "modules": modules}))
"""


@pytest.fixture
def alone(tmp_path_factory):
    """Run a program with NumPy and nothing else."""
    command = numpy_only(tmp_path_factory.mktemp("numpy-only"))

    def run_alone(program):
        result = subprocess.run([*command, str(program)], capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    return run_alone


def test_it_runs_on_numpy_alone(run, model, tmp_path, alone):
    app = tmp_path / "app"
    run("bundle", model, "-o", app)
    (app / "probe.py").write_text(PROGRAM)
    *example, no_numba, last = alone(app / "probe.py").splitlines()
    assert example[0] == "To those who like 1 4 2 we recommend"
    assert [line.split()[1] for line in example[1:]] == ["5", "3", "6"]
    assert no_numba == "accelerate=True needs a package that is not installed; run: pip install 'numba'"
    answer = json.loads(last)
    ids, scores = Recommender.load(model).recommend(history=[1, 4], k=3)
    assert answer["ids"] == ids.tolist()
    assert answer["scores"] == scores.tolist()
    modules = answer["modules"]
    assert not {"scipy", "numba", "sklearn", "click"} & {name.partition(".")[0] for name in modules}
    ours = {name: path for name, path in modules.items() if name.partition(".")[0] == "sparserec_np"}
    assert "sparserec_np.runtime.recommender" in ours
    assert all(path.startswith(str(app)) for path in ours.values())


def test_what_is_in_it(run, model, tmp_path):
    app = tmp_path / "app"
    report = run("bundle", model, "-o", app, "--with-users", "--json").json
    assert report.pop("personal_data") == {
        "kept": {"user_ids": 4, "interactions": 4, "user_rows": 4, "user_biases": 0}
    }
    found = {path.relative_to(app).as_posix(): path.stat().st_size for path in app.rglob("*.*")}
    found["sparserec_np/LICENSE"] = (app / "sparserec_np" / "LICENSE").stat().st_size
    assert report == {"output": str(app), "bytes": sum(found.values()), "files": found}
    assert {path.name for path in app.iterdir()} == PARTS
    assert (app / "model.srec").read_bytes() == model.read_bytes()
    assert {path.name for path in (app / "sparserec_np").iterdir()} == {
        "LICENSE",
        "__init__.py",
        "compilation",
        "errors.py",
        "runtime",
    }
    for source in RUNTIME.rglob("*.py"):
        assert (app / "sparserec_np" / "runtime" / source.relative_to(RUNTIME)).read_text() == (
            source.read_text()
        )
    assert "Apache License" in (app / "sparserec_np" / "LICENSE").read_text()
    assert len((app / "example.py").read_text().splitlines()) <= 12


def test_it_says_what_is_in_it(run, model, tmp_path):
    text = run("bundle", model, "-o", tmp_path / "app", "--with-users").stdout
    assert {line.split()[0] for line in text.splitlines()[3:6]} == {
        *PARTS - {"sparserec_np"},
        "sparserec_np/",
    }
    assert f" {model.stat().st_size:,}\n" in text
    assert "whole folder" in text
    assert text.endswith("Copy the folder to the device; there, run: python3 app/example.py\n")


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_by_default_no_user_is_in_it(run, named_model, tmp_path, precision):
    app = tmp_path / "app"
    whole = load_model(named_model)
    save_model(named_model, replace(whole, user_bias=np.zeros(4, np.float32)), precision)
    text = run("bundle", named_model, "-o", app).stdout
    assert (
        "Personal data: none. Left out of the model: 4 user ids, 4 interactions, 4 user rows, 4 user biases; "
        "--with-users keeps them.\n"
    ) in text
    smaller = load_model(app / "model.srec", verify=True)
    assert (smaller.n_users, smaller.users, smaller.user_bias, smaller.seen) == (0, None, None, None)
    assert b"ann" not in (app / "model.srec").read_bytes()
    kept, given = read_tensors(app / "model.srec")[0], read_tensors(named_model)[0]
    assert {name for name in given if "user" not in name and not name.startswith("seen")} == set(kept)
    for name, array in kept.items():
        np.testing.assert_array_equal(array, given[name])
    history = ["Alien", "Up"]
    one, other = (
        Recommender.load(path).recommend(history=history) for path in (named_model, app / "model.srec")
    )
    assert one.ids == other.ids
    assert one.scores.tolist() == other.scores.tolist()
    report = run("bundle", app / "model.srec", "-o", tmp_path / "again", "--json").json
    assert set(report["personal_data"]["left_out"].values()) == {0}
    assert (tmp_path / "again" / "model.srec").read_bytes() == (app / "model.srec").read_bytes()


def test_the_parts_of_others_stay(run, model, tmp_path):
    for name in ("example.py", "model.srec"):
        app = tmp_path / name.replace(".", " ")
        app.mkdir()
        (app / name).write_text("mine")
        message = run("bundle", model, "-o", app, "--force", code=1).stderr
        assert f"{app / name} is not part of a bundle, and stays" in message
        assert [path.name for path in app.iterdir()] == [name]
        assert (app / name).read_text() == "mine"


def test_names_as_ids(run, named_model, tmp_path, alone):
    run("bundle", named_model, "-o", tmp_path / "app")
    text = alone(tmp_path / "app" / "example.py")
    assert text.startswith("To those who like Alien Speed Heat we recommend\n")


def test_a_folder_that_is_there_already(run, model, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    run("bundle", model, "-o", app)
    (app / "my_app.py").write_text("mine")
    (app / "sparserec_np" / "runtime" / "gone.py").touch()
    (app / "model.srec").write_text("old")
    before = sorted(app.rglob("*"))
    assert f"{app} is not empty; give --force" in run("bundle", model, "-o", app, code=1).stderr
    assert sorted(app.rglob("*")) == before
    run("bundle", model, "-o", app, "--force")
    assert {path.name for path in app.iterdir()} == PARTS | {"my_app.py"}
    assert (app / "my_app.py").read_text() == "mine"
    assert not (app / "sparserec_np" / "runtime" / "gone.py").exists()
    load_model(app / "model.srec")


def test_the_model_may_lie_in_the_folder(run, model, tmp_path):
    content = model.read_bytes()
    message = run("bundle", model, "-o", tmp_path, "--force", code=1).stderr
    assert "is the model itself, and would lose its users; give --with-users" in message
    assert [path.name for path in tmp_path.iterdir()] == ["model.srec"]
    run("bundle", model, "-o", tmp_path, "--force", "--with-users")
    assert (tmp_path / "model.srec").read_bytes() == content


def test_the_library_itself_is_never_buried(run, model, tmp_path):
    package = tmp_path / "sparserec_np"
    package.mkdir()
    (package / "__init__.py").write_text((RUNTIME.parent / "__init__.py").read_text())
    error = run("bundle", model, "-o", tmp_path, "--force", code=1).stderr
    assert f"{package} is not part of a bundle, and stays" in error
    assert [path.name for path in package.iterdir()] == ["__init__.py"]


def test_a_failure_leaves_nothing_behind(run, model, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    (tmp_path / "room").mkdir()
    monkeypatch.setattr(shutil, "copyfileobj", full)
    app = tmp_path / "room" / "app"
    assert run("bundle", model, "-o", app, code=1).stderr == f"Error: {app}: No space left on device\n"
    assert list((tmp_path / "room").iterdir()) == []


def test_bundle_refuses(run, model, tmp_path):
    assert "No such file" in run("bundle", tmp_path / "x", "-o", tmp_path / "app", code=1).stderr
    foreign = tmp_path / "foreign.srec"
    foreign.write_bytes(b"not a model, but long enough to be one")
    assert "header length" in run("bundle", foreign, "-o", tmp_path / "app", code=1).stderr
    assert "is not a folder" in run("bundle", model, "-o", foreign, code=1).stderr
    missing = run("bundle", model, "-o", tmp_path / "a" / "b", code=1).stderr
    assert f"there is no folder {tmp_path / 'a'} to make b in; make it first" in missing
    assert "Usage" in run("bundle", model, code=2).stderr
    assert not (tmp_path / "app").exists()


@pytest.mark.skipif(os.name == "nt", reason="permissions are others")
def test_the_parts_have_the_rights_of_other_files(run, model, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    run("bundle", model, "-o", tmp_path / "app")
    for path, like in (("app", "folder"), ("app/example.py", "file"), ("app/model.srec", "file")):
        assert (tmp_path / path).stat().st_mode == (tmp_path / like).stat().st_mode


def test_a_model_of_ratings(run, model, tmp_path, alone):
    """It needs to know what a liked item is rated, and the model says what to assume."""
    data = load_model(model)
    save_model(model, replace(data, encoder="ratings", encoder_settings={"assumed_rating": 5.0}, offset=3.0))
    run("bundle", model, "-o", tmp_path / "app")
    assert len(alone(tmp_path / "app" / "example.py").splitlines()) == 4
