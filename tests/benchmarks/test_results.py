import json

from results import Results


def test_found_again_by_its_settings_alone(tmp_path):
    results = Results(tmp_path / "new" / "results.json")
    assert results.find("runs", "films", "als", 0, {}) is None
    settings = {"alpha": 1 / 3, "steps": (4, 2), "loss": max}
    kept = results.keep("runs", "films", "als", 0, settings, {"stored": {"ndcg@20": 0.123456789}})
    assert kept["stored"] == {"ndcg@20": 0.123457}
    assert Results(tmp_path / "new" / "results.json").find("runs", "films", "als", 0, settings) == kept
    assert results.find("runs", "films", "als", 0, {**settings, "alpha": 0.5}) is None
    assert results.find("runs", "films", "als", 1, settings) is None
    assert results.find("tuned", "films", "als", 0, settings) is None


def test_a_newer_record_replaces_the_older(tmp_path):
    results = Results(tmp_path / "results.json")
    for seed, seconds in ((1, 5), (0, 6), (1, 7)):
        results.keep("runs", "films", "als", seed, {}, {"seconds": seconds})
    results.keep("tuned", "films", "als", 0, {}, {"best": {}})
    assert [(record["seed"], record["seconds"]) for record in results.read("runs")] == [(0, 6), (1, 7)]
    assert len(results.read("tuned")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_line_per_record(tmp_path):
    results = Results(tmp_path / "results.json")
    for name in ("als", "bpr"):
        results.keep("runs", "films", name, 0, {}, {"nnz": 3})
    text = (tmp_path / "results.json").read_text()
    assert sum(line.startswith('  {"data"') for line in text.splitlines()) == 2
    assert set(json.loads(text)) == {"tuned", "runs"}
