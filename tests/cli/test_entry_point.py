"""The installed ``sparserec-np`` itself: start-up, exit codes, pipes, Ctrl-C."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparserec_np.data import make_interactions

COMMANDS = ("fit", "evaluate", "recommend", "similar", "info", "export", "bundle", "convert", "demo")
PROGRAM = shutil.which("sparserec-np", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="sparserec-np is not installed: pip install -e .")


def call(*arguments, **keywords):
    command = [PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **keywords)


def test_help_lists_the_commands_at_once():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = call("--help")
        seconds.append(time.perf_counter() - start)
    assert result.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout
    assert "Example:" in result.stdout
    assert min(seconds) < 0.5  # 0.06 s on an idle machine


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_shows_an_example(name):
    result = call(name, "--help")
    assert result.returncode == 0
    assert f"Example:\n    sparserec-np {name}" in result.stdout


@pytest.mark.parametrize("command", [["recommend", "--user", "10"], ["similar", "--item", "1"], ["info"]])
def test_answers_come_without_the_trainer(command, model):
    """Neither scipy nor numba nor scikit-learn is imported to recommend."""
    script = (
        "import sys\nfrom sparserec_np.cli import main\n"
        "main.main(sys.argv[1:], standalone_mode=False)\n"
        "print({'scipy', 'numba', 'sklearn'} & set(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, command[0], str(model), *command[1:]], capture_output=True, text=True
    )
    assert result.stderr == "set()\n"


def test_version():
    assert call("--version").stdout.startswith("sparserec-np, version ")


def test_wrong_usage_is_2():
    for arguments in (["fitt"], ["recommend"], ["fit", "--no-such-option"]):
        result = call(*arguments)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr


def test_wrong_input_is_1(model):
    result = call("recommend", model, "--user", "11")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Error: unknown user 11; the closest known: 10, 20, 30\n"


def test_reader_that_goes_away_is_no_error_message(model):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run(
            [PROGRAM, "recommend", str(model), "--user", "10"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writing)
    assert result.stderr == ""


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_is_130_and_leaves_nothing_behind(tmp_path):
    pairs = make_interactions(2000, 500, 50_000, random_state=0).user_items.tocoo()
    data = tmp_path / "data.csv"
    data.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(pairs.row, pairs.col, strict=True)))
    process = subprocess.Popen(
        [PROGRAM, "fit", "data.csv", "--epochs", "100000", "--early-stopping", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if "interactions" in line:
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors == "Interrupted.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("module", ["click", "sparserec_np.cli.errors", "sparserec_np.cli.fit", "numba"])
def test_ctrl_c_while_the_program_is_imported_is_130(module):
    script = f"""
import os, signal, sys
class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Strike())
from sparserec_np.entry import run
run()
"""
    command = [sys.executable, "-c", script, "fit", "data.csv"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "Interrupted.\n")


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_thread_that_never_ends_does_not_delay_the_end(stop):
    script = f"""
import os, signal, sys, threading, time
from sparserec_np.entry import run
class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == "sparserec_np.cli.fit":
            threading.Thread(target=time.sleep, args=(100,)).start()
            os.kill(os.getpid(), {int(stop)})
sys.meta_path.insert(0, Strike())
run()
"""
    start = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", script, "fit", "d.csv"], capture_output=True, timeout=60)
    assert result.returncode == 128 + stop
    assert time.perf_counter() - start < 50


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_after_the_command_has_ended_changes_nothing(model):
    script = """
import atexit, os, signal
from sparserec_np.entry import run
atexit.register(os.kill, os.getpid(), signal.SIGINT)
run()
"""
    command = [sys.executable, "-c", script, "recommend", str(model), "--user", "10", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("[{")


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize(
    "after",
    [
        "threading.Thread(target=time.sleep, args=(1000,)).start(); raise",
        "raise SystemError('group_rows returned a result with an exception set')",
        "raise RuntimeError('no compiled object yet')",
        "time.sleep(1000)",
    ],
)
def test_ctrl_c_ends_the_process_whatever_numba_makes_of_it(model, after):
    script = f"""
import sys, threading, time
from sparserec_np.cli import main
from sparserec_np.runtime import Recommender
def load(path, **options):
    try:
        print("loading", flush=True)
        # A signal just before a sleep does not end the sleep: these are short.
        while True:
            time.sleep(0.1)
    except KeyboardInterrupt:
        {after}
Recommender.load = load
main.main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, "recommend", str(model), "--user", "10"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "Interrupted.\n")


@pytest.mark.slow
def test_demo(tmp_path):
    start = time.perf_counter()
    result = call("demo", "--folder", tmp_path / "demo")
    assert result.returncode == 0, result.stderr
    assert time.perf_counter() - start < 60
    for name in ("fit", "evaluate", "recommend", "similar", "info"):
        assert f"$ sparserec-np {name} " in result.stdout
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == [
        "demo.srec",
        "test.csv",
        "train.csv",
    ]
