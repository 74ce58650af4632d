import json
from pathlib import Path

import pytest
import report
import speed

README = Path(__file__).resolve().parents[2] / "README.md"


def test_each_benchmark_of_the_suite_is_a_script_that_writes_json():
    for name in speed.SUITE:
        assert '"--json"' in (README.parent / "benchmarks" / f"{name}.py").read_text()


def test_what_was_measured_stands_in_the_order_of_the_suite():
    text = speed.section({"memory": {"text": "| b |"}, "throughput": {"text": "| a |"}})
    assert text.index("benchmarks/throughput.py") < text.index("| a |") < text.index("benchmarks/memory.py")
    assert text.endswith("| b |")
    assert "startup" not in text


def test_readme_has_a_place_for_it_that_leaves_the_rest_alone():
    text = README.read_text()
    written = report.between_markers(text, "new", speed.START, speed.END)
    assert written.count("\nnew\n") == 1
    assert text.split(speed.START)[0] == written.split(speed.START)[0]
    assert text.split(speed.END)[1] == written.split(speed.END)[1]


def test_readme_says_what_the_results_say():
    results = speed.kept()
    assert results
    assert report.between_markers(README.read_text(), speed.section(results), speed.START, speed.END) == (
        README.read_text()
    )


def test_results_are_kept_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "RESULTS", tmp_path / "speed.json")
    assert speed.kept() == {}
    speed.keep({"startup": {"text": "| c |", "json": {}}})
    assert speed.kept() == {"startup": {"text": "| c |", "json": {}}}
    assert [path.name for path in tmp_path.iterdir()] == ["speed.json"]


def test_a_benchmark_that_fails_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "__file__", str(tmp_path / "speed.py"))
    (tmp_path / "good.py").write_text(
        "import sys, pathlib; pathlib.Path(sys.argv[2]).write_text('[1]'); print('| d |')"
    )
    (tmp_path / "bad.py").write_text("raise SystemExit(3)")
    assert speed.run("good") == {"text": "| d |", "json": json.loads("[1]")}
    with pytest.raises(SystemExit, match=r"bad\.py failed"):
        speed.run("bad")
