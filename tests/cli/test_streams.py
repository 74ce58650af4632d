"""Standard streams that are closed or full, or that nobody reads."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sparserec_np.runtime import load_model

pytestmark = pytest.mark.skipif(
    os.name == "nt" or shutil.which("bash") is None or not Path("/dev/full").exists(),
    reason="needs a POSIX shell and /dev/full",
)

COMMANDS = {
    "--help": 0,
    "--version": 0,
    "fit --help": 0,
    "info model.srec": 0,
    "info model.srec --json": 0,
    "recommend model.srec --user 10": 0,
    "recommend model.srec --all": 0,
    "similar model.srec --item 1 --csv": 0,
    "export model.srec -o new.srec --force": 0,
    "bundle model.srec -o app --force": 0,
    "recommend model.srec --user 11": 1,
    "nonsense": 2,
    "recommend": 2,
}


@pytest.fixture
def shell(model, tmp_path):
    """Run a command in a shell; what it says on the streams that are left, and its exit code."""

    def call(line, unbuffered=False):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        command = f"{sys.executable} -m sparserec_np {line}"
        return subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment | ({"PYTHONUNBUFFERED": "1"} if unbuffered else {}),
        )

    return call


@pytest.mark.parametrize("command", COMMANDS)
def test_no_traceback_and_a_sensible_exit_code(shell, command):
    code = COMMANDS[command]
    for redirection, expected, said in (
        (">&-", code or 1, "Error: standard output: closed, so that what was to be printed is lost\n"),
        (">/dev/full", code or 1, "Error: standard output: No space left on device\n"),
        ("2>&-", code, ""),
        ("2>/dev/full", code, ""),
        ("<&-", code, ""),
        (">&- 2>&- <&-", code or 1, ""),
        (">/dev/full 2>/dev/full", code or 1, ""),
    ):
        result = shell(f"{command} {redirection}")
        assert result.returncode == expected, (redirection, result)
        if code:
            said = result.stderr if "2>" not in redirection else ""
            assert "Traceback" not in said
        assert result.stderr == said, redirection


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("command", ["--help", "recommend model.srec --all", "info model.srec"])
def test_a_reader_that_goes_away(shell, command, unbuffered):
    result = shell(f"{command} | true; echo ${{PIPESTATUS[0]}}", unbuffered)
    assert result.stderr == ""
    assert re.fullmatch("[01]\n", result.stdout)
    assert shell(f"{command} >/dev/full", unbuffered).stderr.startswith("Error: standard output: No space")


def test_a_command_does_its_work_without_streams(shell, tmp_path):
    """No file gets the number of a stream, so that nothing is printed into it."""
    whole = shell("export model.srec -o one.srec --precision int8")
    assert whole.returncode == 0
    shell("export model.srec -o other.srec --precision int8 >&- 2>&- <&-")
    load_model(tmp_path / "other.srec", verify=True)
    assert (tmp_path / "other.srec").read_bytes() == (tmp_path / "one.srec").read_bytes()


def test_standard_input_that_is_closed(shell):
    result = shell("fit - -o m.srec <&-")
    assert result.returncode == 1
    assert result.stderr == "Error: standard input: it is closed; give a file, or something to read from\n"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_text_that_the_encoding_does_not_have(tmp_path, encoding):
    """An id beyond the terminal's encoding, and a file whose name is not text: no traceback, no wrong id."""
    data = os.fsencode(tmp_path) + b"/\xff.csv"
    Path(os.fsdecode(data)).write_text("1,日本\n2,日本\n2,x\n3,x\n", encoding="utf-8")

    def call(*arguments):
        command = [sys.executable, "-m", "sparserec_np", *arguments]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, timeout=300)
        return done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding)

    code, said, errors = call("convert", data)
    assert (code, errors) == (0, "")
    assert "\\udcff.csv" in said
    code, said, errors = call(
        "fit", "\udcff.interactions", "--json", "--epochs", "1", "--dim", "2", "-o", "m.srec"
    )
    assert code == 0, errors
    assert json.loads(said)["output"] == "m.srec"
    asked = ("recommend", "m.srec", "--history", "x")
    in_utf_8 = encoding == "utf-8"
    assert ("日本" if in_utf_8 else "\\u65e5\\u672c") in call(*asked)[1]
    assert [answer["item"] for answer in json.loads(call(*asked, "--json")[1])] == ["日本"]
    code, said, errors = call(*asked, "--csv")
    assert (code, said[:13]) == ((0, "item,score\n日本") if in_utf_8 else (1, ""))
    assert errors == "" if in_utf_8 else "which has no '\\u65e5'; set" in errors
