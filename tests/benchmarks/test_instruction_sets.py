import json

import instruction_sets
import pytest


def run(ndcg, bits):
    return {"ndcg@20": ndcg, "recall@20": 2 * ndcg, "bits": bits, "instructions": "some"}


def test_summary_compares_fits_of_the_same_seed():
    runs = {"native": [run(0.30, "a"), run(0.40, "b")], "other": [run(0.31, "c"), run(0.38, "b")]}
    native, other, seeds = instruction_sets.summary(runs)
    assert native == [
        "native",
        "some",
        "2 of 2",
        *["0.3500", "+0.00000", "0.00000"],
        "0.7000",
        "+0.00000",
        "0.00000",
    ]
    assert other == [
        "other",
        "some",
        "1 of 2",
        *["0.3450", "-0.00500", "0.02000"],
        "0.6900",
        "-0.01000",
        "0.04000",
    ]
    assert seeds[3:] == ["0.3500", "", "0.05000", "0.7000", "", "0.10000"]


def test_a_setting_reaches_the_process(monkeypatch, tmp_path):
    """Variables have to be set before NumPy and numba are imported: each fit has its own process."""
    script = tmp_path / "script.py"
    script.write_text("import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))")
    monkeypatch.setattr(instruction_sets, "__file__", str(script))
    arguments, environment = instruction_sets.in_setting({"NUMBA_CPU_NAME": "generic"}, tmp_path, 7)
    assert arguments == ["--one", "7"]
    assert environment["NUMBA_CPU_NAME"] == "generic"
    assert environment["NUMBA_CACHE_DIR"] == str(tmp_path)
    script.write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit, match=r"the fit of seed 7 .* failed"):
        instruction_sets.in_setting({}, tmp_path, 7)


def test_the_kept_result_has_every_setting():
    kept = instruction_sets.Path(instruction_sets.__file__).parent / "results" / "instruction_sets.json"
    runs = json.loads(kept.read_text())["runs"]
    assert list(runs) == list(instruction_sets.SETTINGS)
    assert instruction_sets.summary(runs)
