"""Each writer is stopped just after each of its file operations: the old or the new is there, and whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sparserec_np.cli.bundling import write_bundle

from sparserec_np.data import Interactions
from sparserec_np.runtime import (
    IdMap,
    ModelData,
    Recommender,
    SeenItems,
    TableData,
    load_model,
    save_model,
)

pytestmark = [pytest.mark.skipif(os.name == "nt", reason="needs fork and POSIX signals"), pytest.mark.slow]

# Set to 1, each file operation is gone through, of the writers of many files as well; it takes minutes.
EVERY = os.environ.get("SPARSEREC_EVERY", "12")

CODES = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}
ASK = """
import os, sys
if not os.path.exists("app/sparserec_np"):
    sys.exit()  # no bundle
sys.path.insert(0, "app")
import sparserec_np
from sparserec_np.runtime import Recommender
assert sparserec_np.__file__.endswith("/app/sparserec_np/__init__.py"), sparserec_np.__file__
print(sparserec_np.__version__, *Recommender.load("app/model.srec").recommend(history=[1], k=2).ids)
"""


def model_of(strengths) -> ModelData:
    n = len(strengths)
    return ModelData(
        items=TableData(np.arange(n + 1), np.zeros(n, np.uint8), np.array(strengths, np.float32), dim=1),
        item_ids=IdMap.from_ids(range(1, n + 1)),
        user_ids=IdMap.from_ids([10, 20], entity="user"),
        seen=SeenItems(np.array([0, 1, 2]), np.array([0, 1])),
        popularity=np.arange(n, dtype=np.uint8),
    )


@pytest.fixture
def start(tmp_path):
    """Folder of what is there before: a new and an old model."""
    start = tmp_path / "start"
    start.mkdir()
    save_model(start / "new.srec", model_of([4, 3, 2, 1]))
    save_model(start / "old.srec", model_of([1, 2, 3, 4]))
    return start


@pytest.fixture(params=["9", "2,15"], ids=["kill", "ask to end"])
def stopped(request, tmp_path, start):
    """Stop a command at each of its operations; yields the folder of each, and at the end that of all."""

    def go_through(*arguments, least):
        return (Path(run["folder"]) for run in each_run(*arguments, least=least))

    def each_run(*arguments, least):
        script = Path(__file__).with_name("stopping.py")
        command = [sys.executable, script, start, tmp_path / "work", request.param, *arguments]
        many = arguments[0] in ("bundle", "convert")
        environment = os.environ | {"EVERY": EVERY if many else "1"}
        (tmp_path / "work").mkdir()
        command = [str(word) for word in command]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
        assert ended.returncode == 0, ended.stderr
        runs = [json.loads(line) for line in ended.stdout.splitlines()]
        assert len(runs) >= least
        *runs, last = runs
        assert last["code"] == 0, last["said"]
        for run in runs:
            assert run["code"] == CODES[run["signal"]], run
            assert "Traceback" not in run["said"]
            if run["signal"] != signal.SIGKILL:
                assert ours_in(run["folder"]) == [], run
            yield run
            if "again" in run:
                # Whoever writes next cleans up, and ends what was begun.
                assert run["again"]["code"] == 0, run
                assert ours_in(run["again"]["folder"]) == [], run
                yield run["again"]
        assert ours_in(last["folder"]) == []
        yield last

    go_through.each_run = each_run
    return go_through


def ours_in(folder):
    return [str(path) for path in Path(folder).rglob(".sparserec-*")]


def answers(path):
    return Recommender.load(path).recommend(history=[1], k=2).ids.tolist()


def check_all(states, old, new):
    """The states go from the old one to the new one, and there is no third."""
    assert set(states) == {old, new}
    assert states[0] == old
    assert states[-1] == new


@pytest.mark.parametrize("link", [False, True])
def test_export(stopped, start, link):
    if link:
        (start / "models").mkdir()
        (start / "old.srec").rename(start / "models" / "old.srec")
        (start / "old.srec").symlink_to(Path("models", "old.srec"))
    command = ("export", "new.srec", "-o", "old.srec", "--precision", "float32", "--force")
    states = []
    for folder in stopped(*command, least=4):
        states.append(tuple(answers(folder / "old.srec")))
        assert (folder / "old.srec").is_symlink() == link
        load_model(folder / "old.srec", verify=True)
    check_all(states, (4, 3), (2, 3))


def test_recommendations(stopped, start):
    (start / "recs.csv").write_text("before")
    states = []
    for folder in stopped("recommend", "new.srec", "--all", "-o", "recs.csv", "--force", least=4):
        states.append((folder / "recs.csv").read_text())
    check_all(states, "before", states[-1])
    assert len(states[-1].splitlines()) == 1 + 2 * 3


def test_state(stopped, start):
    tell = (
        "from sparserec_np.runtime import Recommender\n"
        "recommender = Recommender.load('new.srec')\n"
        "recommender.update(10, [{}])\n"
        "recommender.save_state('people.state')\n"
    )
    old = subprocess.run([sys.executable, "-c", tell.format(3)], cwd=start, check=False)
    assert old.returncode == 0
    # Without the command line a signal has its usual effect: it is a KeyboardInterrupt, or it kills.
    program = "import signal\nsignal.signal(15, lambda *_: sys.exit(143))\nimport sys\n" + tell.format(4)
    program = f"try:\n    exec({program!r})\nexcept KeyboardInterrupt:\n    sys.exit(130)"
    states = []
    for folder in stopped("-c", f"import sys\n{program}", least=4):
        recommender = Recommender.load(folder / "new.srec")
        recommender.load_state(folder / "people.state")
        states.append(tuple(recommender.recommend(user=10, k=3).ids.tolist()))
    check_all(states, (2, 4), (2, 3))


def test_fit(stopped, start, tmp_path):
    (start / "data.csv").write_text("user,item\n" + "".join(f"{n % 7},{1 + n * n % 11}\n" for n in range(60)))
    command = ["fit", "data.csv", "-o", "old.srec", "--dim", "4", "--epochs", "1", "--early-stopping", "0"]
    states = [load_model(folder / "old.srec", verify=True).n_users
              for folder in stopped(*command, "--force", least=4)]  # fmt: skip
    check_all(states, 2, 7)


@pytest.fixture
def interactions(start):
    (start / "data.csv").write_text("user,item\n" + "".join(f"{n % 9},{n * n % 13}\n" for n in range(80)))
    return Interactions.from_csv(start / "data.csv")


@pytest.mark.parametrize("given", ["data.csv", "given"])
def test_convert_replaces(stopped, start, interactions, given):
    interactions.to_dir(start / "given")
    times = np.arange(700.0)
    Interactions.from_arrays([f"u{n % 30}" for n in range(700)], np.arange(700) % 41, times=times).to_dir(
        start / "made"
    )
    (start / "made" / "notes.txt").write_text("mine")
    states = []
    for folder in stopped("convert", given, "-o", "made", "--force", least=10):
        read = Interactions.from_dir(folder / "made")
        states.append((read.n_users, read.n_items, read.n_interactions, read.times is None))
        assert (folder / "made" / "notes.txt").read_text() == "mine"
    there = interactions.n_users, interactions.n_items, interactions.n_interactions, True
    check_all(states, (30, 41, 700, False), there)
    names = {path.name for path in (start / "given").iterdir()} | {"notes.txt"}
    assert {path.name for path in (folder / "made").iterdir()} == names
    assert "user_ids.text.npy" not in names
    for name in names - {"notes.txt"} if given == "given" else ():
        same = (folder / "made" / name).read_bytes() == (start / "given" / name).read_bytes()
        assert same or name == "interactions.json"  # which says where they come from


def test_convert_makes_a_folder(stopped, interactions):
    states = []
    for folder in stopped("convert", "data.csv", "-o", "made", least=8):
        there = (folder / "made").exists()
        states.append(Interactions.from_dir(folder / "made").n_interactions if there else None)
    check_all(states, None, interactions.n_interactions)


@pytest.fixture
def bundled(stopped, monkeypatch):
    """Stop ``bundle`` at each of its operations; yields the folder of each, and what its own runtime says."""
    monkeypatch.setenv("ASK", ASK)

    def go_through(*arguments, least):
        for run in stopped.each_run("bundle", *arguments, least=least):
            assert "Error" not in run["answer"], run
            yield Path(run["folder"]), run["answer"]

    return go_through


def age(app):
    """Make a bundle one of an older version."""
    init = app / "sparserec_np" / "__init__.py"
    init.write_text(init.read_text().replace('__version__ = "', '__version__ = "old-'))
    errors = app / "sparserec_np" / "errors.py"
    errors.write_text(errors.read_text() + "\nOLD = True\n")
    (app / "sparserec_np" / "runtime" / "gone.py").write_text("OLD = True\n")
    (app / "my_app.py").write_text("mine")


def test_bundle_replaces_an_older_version(bundled, start):
    write_bundle(start / "old.srec", start / "app")
    age(start / "app")
    states = []
    for folder, answer in bundled("new.srec", "-o", "app", "--force", least=40):
        states.append(answer)
        assert (folder / "app" / "my_app.py").read_text() == "mine"
    new = states[-1]
    version = new.split()[0]
    check_all(states, f"old-{version} 4 3", f"{version} 2 3")
    assert {path.name for path in (folder / "app").iterdir()} == {
        "example.py", "model.srec", "my_app.py", "sparserec_np"
    }  # fmt: skip
    fresh = folder / "fresh"
    write_bundle(folder / "new.srec", fresh)
    for path in (path for path in fresh.rglob("*") if path.is_file()):
        assert (folder / "app" / path.relative_to(fresh)).read_bytes() == path.read_bytes()
    assert not (folder / "app" / "sparserec_np" / "runtime" / "gone.py").exists()


def test_bundle_replaces_the_model_alone(bundled, start):
    write_bundle(start / "old.srec", start / "app")
    states = [answer for _, answer in bundled("new.srec", "-o", "app", "--force", least=4)]
    check_all(states, states[0], states[-1])
    assert [state.split()[1:] for state in (states[0], states[-1])] == [["4", "3"], ["2", "3"]]


def test_bundle_makes_a_folder(bundled):
    states = [answer for _, answer in bundled("new.srec", "-o", "app", least=20)]
    check_all(states, "", states[-1])


def test_bundle_adds_to_a_folder(bundled, start):
    (start / "app").mkdir()
    (start / "app" / "my_app.py").write_text("mine")
    states = []
    for folder, answer in bundled("new.srec", "-o", "app", "--force", least=30):
        states.append(answer)
        assert (folder / "app" / "my_app.py").read_text() == "mine"
    check_all(states, "", states[-1])
