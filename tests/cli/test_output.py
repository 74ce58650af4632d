import io
import json
import math
from pathlib import Path

import pytest
import sparserec_np.cli
from sparserec_np.cli.output import duration, show_json, size, table
from sparserec_np.cli.progress import Progress


def test_json_has_no_infinite_numbers(capsys):
    values = [math.inf, -math.inf, math.nan, 1.5, 2**63 - 1, "\ud800", "é"]
    show_json({"values": values, "nested": [(values[0], {"x": values[2]})]})
    text = capsys.readouterr().out
    found = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert found["values"] == [None, None, None, *values[3:]]
    assert found["nested"] == [[None, {"x": None}]]
    show_json({"name": "é"})
    assert "é" in capsys.readouterr().out


def test_every_command_prints_json_in_one_way():
    """`json.dumps` alone writes Infinity and NaN, which are not JSON."""
    cli = Path(sparserec_np.cli.__file__).parent
    found = {path.name for path in cli.glob("*.py") if "json.dump" in path.read_text(encoding="utf-8")}
    # The latter writes ids with it, which are integers and strings, and scores by itself.
    assert found == {"output.py", "recommendations.py"}


def test_table_aligns_numbers_to_the_right():
    assert table([("a", 1, 0.5), ("bcd", 12345, 10.0)], ("name", "n", "x")) == (
        "name       n        x\na          1   0.5000\nbcd   12,345  10.0000"
    )


def test_empty_table_is_its_header():
    assert table([], ("a", "b")) == "a  b"


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1_813_480, "1.8 MB"),
        (18e9, "18.0 GB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_size(n, text):
    assert size(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (4.25, "4.2 s"), (60, "1:00"), (187.4, "3:07"), (3787, "1:03:07")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def train(stream):
    with Progress(stream=stream) as progress:
        for epoch in (1, 2, 4):
            progress.update({"epoch": epoch, "epochs": 4, "loss": 0.5 / epoch, "ndcg@10": 0.1 * epoch})
    return stream.getvalue()


def test_progress_redraws_one_line_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    lines = train(Terminal()).removesuffix("\n").split("\r")[1:]
    assert "preparing" in lines[0]
    assert "[######..................] epoch 1/4  loss 0.5000  NDCG@10 0.1000" in lines[1]
    assert "left at most" in lines[2]
    assert "epoch 4/4" in lines[3]
    assert {len(line) for line in lines} == {99}


def test_progress_of_a_refit(monkeypatch):
    """It takes at most as many epochs as the training before it had, whatever had been allowed."""
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    with Progress(refits=True, stream=stream) as progress:
        for epoch in (1, 2, 3, 1, 2):
            progress.update({"epoch": epoch, "epochs": 30, "loss": 1.0})
    lines = stream.getvalue().split("\r")[2:]
    assert [line.split("] ")[1].split("  ")[0] for line in lines] == [
        "epoch 1/30",
        "epoch 2/30",
        "epoch 3/30",
        "refit 1/3",
        "refit 2/3",
    ]


def test_progress_is_silent_in_a_pipe():
    assert train(io.StringIO()) == ""
