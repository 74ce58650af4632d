"""A long fit at the shell: kept in a file, gone on from, and not lost when it cannot be written."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sparserec_np import load
from sparserec_np.data import make_interactions
from sparserec_np.runtime import load_model

QUICK = ("--dim", "8", "--epochs", "5", "--seed", "0", "--batch-size", "256")


@pytest.fixture(scope="module")
def rows():
    pairs = make_interactions(120, 60, 2000, ratings=True, random_state=0).user_items.tocoo()
    triples = zip(pairs.row, pairs.col, pairs.data, strict=True)
    return "user,item,rating\n" + "".join(f"u{user},{item},{rating:g}\n" for user, item, rating in triples)


@pytest.fixture
def data(tmp_path, rows, monkeypatch):
    """A file of interactions in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(rows)
    return "data.csv"


def shell(program, *arguments, **how):
    """Start a command in a process of its own, with a line of Python before it."""
    start = f"import os, sys, time; from sparserec_np.cli import main\n{program}\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", start, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )


# Tells of each epoch, and then gives somebody the time to interfere.
SLOWLY = """
from sparserec_np.cli.progress import Progress
update = Progress.update
def slowly(self, record):
    update(self, record)
    print("epoch", flush=True)
    time.sleep(0.1)
Progress.update = slowly
"""


def wait_for_epochs(process, n):
    while n:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        n -= line == "epoch\n"


@pytest.mark.parametrize("options", [(), ("--model", "bpr"), ("--loss", "squared")])
def test_killed_and_gone_on_it_writes_the_same_file(run, data, tmp_path, options):
    run("fit", data, *QUICK, *options, "--output", "whole.srec")
    command = ("fit", data, *QUICK, *options, "--checkpoint", "c", "--checkpoint-every", "0", "--resume")
    for n, jobs in ((2, 1), (3, 2)):
        process = shell(SLOWLY, *command, "--jobs", jobs)
        wait_for_epochs(process, n)
        process.kill()
        process.communicate()
    assert (tmp_path / "c").is_file()
    assert not (tmp_path / "data.srec").exists()
    result = run(*command, "--jobs", 2)
    assert "going on from c, after " in result.stderr
    assert (tmp_path / "data.srec").read_bytes() == (tmp_path / "whole.srec").read_bytes()
    assert not (tmp_path / "c").exists()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals")
def test_ctrl_c_says_how_to_go_on(run, data, tmp_path):
    command = ("fit", data, *QUICK, "--checkpoint", "c", "--checkpoint-every", "0")
    process = shell(SLOWLY, *command)
    wait_for_epochs(process, 2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert "The training is kept in c; --resume goes on from it." in told
    assert "Traceback" not in told
    assert "c exists already; resume from it" in run(*command, code=1).stderr
    run(*command, "--resume")
    run("fit", data, *QUICK, "--output", "whole.srec")
    assert (tmp_path / "data.srec").read_bytes() == (tmp_path / "whole.srec").read_bytes()


def test_without_a_checkpoint_yet_it_starts_and_says_so(run, data, tmp_path):
    result = run("fit", data, *QUICK, "--checkpoint", "c", "--resume")
    assert result.stderr == "there is no checkpoint c yet: the training starts from the beginning\n"
    assert sorted(os.listdir()) == ["data.csv", "data.srec"]


def test_a_checkpoint_of_other_data_or_settings_is_refused(run, data, tmp_path):
    process = shell(SLOWLY, "fit", data, *QUICK, "--checkpoint", "c", "--checkpoint-every", "0")
    wait_for_epochs(process, 1)
    process.kill()
    process.communicate()
    again = ("fit", data, *QUICK, "--checkpoint", "c", "--resume")
    assert "dim is 8 there and 9 here" in run(*again, "--dim", 9, code=1).stderr
    text = (tmp_path / "data.csv").read_text().splitlines()
    (tmp_path / "data.csv").write_text("\n".join([*text[:-1], "u7,new,3"]) + "\n")
    assert "n_items is 60 there and 61 here" in run(*again, code=1).stderr
    assert (tmp_path / "c").is_file()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--resume",), 2, "--resume needs --checkpoint PATH"),
        (("--checkpoint-every", "5"), 2, "--checkpoint-every needs --checkpoint PATH"),
        (("--checkpoint", "c", "--checkpoint-every", "-1"), 2, "-1"),
        (("--checkpoint", "missing/c"), 1, "there is no folder"),
        (("--checkpoint", "."), 1, "is not a regular file"),
        (("--checkpoint", "data.csv", "--resume"), 1, "data.csv is the data or the model file"),
        (("--checkpoint", "data.srec"), 1, "data.srec is the data or the model file"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_read(run, data, options, code, message, tmp_path):
    (tmp_path / "data.csv").write_text("this is not read\n")
    assert message in run("fit", data, *QUICK, *options, code=code).stderr


# ---- the last write fails ------------------------------------------------------------------------------


def rescued(told):
    """The path of the model that a message names."""
    return told.split("it was written to ")[1].strip()


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_a_folder_that_went_away_does_not_take_the_model_with_it(data, tmp_path, home):
    (tmp_path / "out").mkdir()
    program = """
import shutil
from sparserec_np import SparseGraph
fit = SparseGraph.fit
def then_gone(self, *rest, **named):
    fit(self, *rest, **named)
    shutil.rmtree("out")
    return self
SparseGraph.fit = then_gone
"""
    process = shell(program, "fit", data, *QUICK, "--output", "out/m.srec", "--checkpoint", "c")
    _, told = process.communicate()
    assert process.returncode == 1
    assert told.startswith("Error: out/m.srec could not be written: No such file or directory; the trained")
    assert "Traceback" not in told
    assert len(told.splitlines()) == 1
    path = rescued(told)
    assert path.startswith(str(home))
    assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0
    whole = shell("", "fit", data, *QUICK, "--output", "whole.srec")
    whole.communicate()
    with open(path, "rb") as file:
        assert file.read() == (tmp_path / "whole.srec").read_bytes()
    assert (tmp_path / "c").is_file()


FULL = """
import resource
from sparserec_np import SparseGraph
fit = SparseGraph.fit
def then_full(self, *rest, **named):
    fit(self, *rest, **named)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, -1))
    return self
SparseGraph.fit = then_full
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits")
@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_where_nothing_can_be_written_the_checkpoint_keeps_the_model(
    run, data, tmp_path, home, with_checkpoint
):
    options = ("--checkpoint", "c") if with_checkpoint else ()
    process = shell(FULL, "fit", data, *QUICK, *options)
    _, told = process.communicate()
    assert process.returncode == 1
    assert told.startswith("Error: data.srec could not be written: File too large; ")
    assert len(told.splitlines()) == 1
    assert os.listdir(home) == []
    if not with_checkpoint:
        assert "the trained model is lost. Make room and train it again, with --checkpoint" in told
        return
    assert "it is kept in the checkpoint c. Make room and run the same command again with --resume" in told
    started = time.monotonic()
    report = run("fit", data, *QUICK, "--checkpoint", "c", "--resume", "--json")
    assert "going on from c" in report.stderr
    assert time.monotonic() - started < 60
    run("fit", data, *QUICK, "--output", "whole.srec")
    assert (tmp_path / "data.srec").read_bytes() == (tmp_path / "whole.srec").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["data.csv", "data.srec", "home", "whole.srec"]


def test_values_that_the_precision_cannot_hold_do_not_take_the_model_with_them(run, data, home, monkeypatch):
    """A setting may turn out not to fit only once the model is trained."""
    from sparserec_np.errors import SettingError
    from sparserec_np.runtime import model_file

    def refuse(values):
        raise SettingError("float16 cannot hold the values; use float32")

    monkeypatch.setattr(model_file, "to_float16", refuse)
    told = run("fit", data, *QUICK, "--precision", "float16", code=1).stderr
    assert "data.srec could not be written: float16 cannot hold the values; use float32; " in told
    model = load(rescued(told))
    assert len(model.recommend("u3").ids)
    assert np.isfinite(load_model(rescued(told)).items.values).all()


def test_a_failed_budget_does_not_take_the_model_with_it(run, data, home, monkeypatch):
    from sparserec_np.cli import budget

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(budget, "trim", fail)
    told = run("fit", data, *QUICK, "--max-bytes", "20KB", code=1).stderr
    assert "data.srec could not be written: not enough memory; " in told
    assert len(load(rescued(told)).recommend("u3").ids)
