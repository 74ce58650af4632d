"""What asks a command to end: Ctrl-C, SIGTERM, SIGHUP."""

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")

SLOWLY = """
import sys, time
from sparserec_np.cli import main
import sparserec_np.batch as batch
def recommend_all(*arguments, given=batch.recommend_all, **choice):
    yield from given(*arguments, **choice)
    print("writing", flush=True)
    for _ in range(100 if "--jobs" in sys.argv else 2):
        time.sleep(0.1)
batch.recommend_all = recommend_all
main.main()
"""


def start(model, *more, **keywords):
    """Start a command that writes a file, and wait until it does."""
    command = [sys.executable, "-c", SLOWLY, "recommend", str(model), "--all", "-o", "recs.csv", *more]
    process = subprocess.Popen(
        command, cwd=model.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords
    )
    assert process.stdout.readline() == "writing\n"
    assert any(name.startswith(".sparserec-") for name in os.listdir(model.parent))
    return process


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("SIGINT", 130, "Interrupted.\n"), ("SIGTERM", 143, "Terminated.\n"), ("SIGHUP", 129, "Hung up.\n")],
)
def test_it_ends_with_a_line_and_leaves_nothing(model, name, code, said):
    process = start(model, "--jobs", "1")
    process.send_signal(getattr(signal, name))
    assert process.communicate(timeout=60)[1] == said
    assert process.returncode == code
    assert os.listdir(model.parent) == ["model.srec"]


def test_a_signal_that_is_ignored_stays_so(model):
    """So does nohup start a command."""
    process = start(model, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0
    assert sorted(os.listdir(model.parent)) == ["model.srec", "recs.csv"]
