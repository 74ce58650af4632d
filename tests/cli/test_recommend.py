import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from sparserec_np.cli.progress import Bar

from sparserec_np.runtime.files import written_whole


def test_user_gets_unseen_items_best_first(run, model):
    assert run("recommend", model, "--user", 10, "-k", 2, "--json").json == [
        {"item": 2, "score": 2.0},
        {"item": 3, "score": 1.0},
    ]


def test_table_for_people(run, model):
    assert run("recommend", model, "--user", 10, "-k", 2).stdout == (
        "   item   score\n1  2     2.0000\n2  3     1.0000\n"
    )


def test_csv_for_programs(run, named_model):
    text = run("recommend", named_model, "--user", "cat", "--csv").stdout
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[:3] == [["item", "score"], ["Up", "2.0"], ["Yes, please", "1.0"]]


def test_history_of_a_stranger(run, model):
    answer = run("recommend", model, "--history", "5,6", "--json").json
    assert answer[0]["item"] == 4
    assert {entry["item"] for entry in answer}.isdisjoint({5, 6})


def test_history_quotes_an_id_that_holds_a_comma(run, named_model):
    answer = run("recommend", named_model, "--history", 'Up, "Yes, please"', "-k", 1, "--json").json
    assert answer[0]["item"] == "Speed"


def test_exclude_candidates_and_seen(run, model):
    def items(*options):
        answer = run("recommend", model, "--user", 10, "--json", *options).json
        return [entry["item"] for entry in answer]

    assert items("--exclude", "2") == [3, 4, 5, 6]
    assert items("--candidates", "3,4,1") == [3, 4]
    assert items("--candidates", "3,4,1", "--include-seen") == [1, 3, 4]


def test_weights_go_with_the_history(run, model):
    run("recommend", model, "--history", "5,1", "--weights", "3,0.5")
    assert (
        "one for each of 2 items"
        in run("recommend", model, "--history", "5,1", "--weights", "3", code=1).stderr
    )
    assert "--weights" in run("recommend", model, "--history", "5,1", "--weights", "3,x", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", "11"], "Error: unknown user 11; the closest known: 10, 20, 30\n"),
        (["--user", "x"], "Error: unknown user 'x'\n"),
        (["--history", "1,99"], "Error: unknown item 99; the closest known: 6, 5, 4\n"),
        (["--user", "10", "--exclude", "7"], "Error: unknown item 7; the closest known: 6, 5, 4\n"),
    ],
)
def test_unknown_ids_are_one_line_that_names_the_closest(run, model, arguments, message):
    assert run("recommend", model, *arguments, code=1).stderr == message


def test_misspelt_names(run, named_model):
    assert "the closest known: Alien" in run("recommend", named_model, "--history", "Aliens", code=1).stderr
    assert "the closest known: dan" in run("recommend", named_model, "--user", "Dan", code=1).stderr


@pytest.mark.parametrize("arguments", [[], ["--user", "10", "--history", "1"], ["--user", "10", "-k", "0"]])
def test_wrong_usage(run, model, arguments):
    assert "Usage:" in run("recommend", model, *arguments, code=2).stderr


def test_similar_items(run, model):
    answer = run("similar", model, "--item", 5, "-k", 3, "--json").json
    assert answer == [{"item": 4, "score": 1.0}, {"item": 6, "score": 1.0}, {"item": 1, "score": 0.0}]


def test_similar_users(run, named_model):
    text = run("similar", named_model, "--user", "ann", "-k", 1, "--csv").stdout
    assert text == "user,score\nbob,1.0\n"


@pytest.mark.parametrize("arguments", [[], ["--user", "10", "--item", "1"]])
def test_similar_wants_one_of_item_and_user(run, model, arguments):
    assert "either --item or --user" in run("similar", model, *arguments, code=2).stderr


def test_control_characters_in_ids_do_not_reach_the_terminal(run, save_known):
    model = save_known(list("abcd"), ["\x1b[2J", "b\nc", "d", "e", "f", "g"])
    text = run("recommend", model, "--user", "a", "--include-seen", "-k", 2).stdout
    assert "\x1b" not in text
    assert r"'\x1b[2J'" in text
    assert r"'b\nc'" in text


EVERYBODY = [
    ["user", "item", "score", "rank"],
    *(
        [user, item, score, rank]
        for user, items in {"10": "23", "20": "23", "30": "56", "40": "56"}.items()
        for item, rank in zip(items, "12", strict=True)
        for score in [{"10": "21", "20": ["1", "0.5"], "30": "21", "40": "42"}[user][int(rank) - 1]]
    ),
]


def test_all_users_to_a_file(run, model, tmp_path):
    output = tmp_path / "recs.csv"
    text = run("recommend", model, "--all", "-k", 2, "--output", output).stdout
    assert text == f"8 recommendations for 4 users: {output}\n"
    assert list(csv.reader(output.open(newline=""))) == EVERYBODY


def test_all_users_to_standard_output_and_compressed(run, model, tmp_path):
    text = run("recommend", model, "--all", "-k", 2).stdout
    assert list(csv.reader(io.StringIO(text))) == EVERYBODY
    run("recommend", model, "--all", "-k", 2, "--output", tmp_path / "recs.csv.gz")
    assert gzip.decompress((tmp_path / "recs.csv.gz").read_bytes()).decode() == text


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("suffix", [".csv", ".TSV", ".json", ".jsonl", ".ndjson"])
def test_the_format_follows_the_name(run, save_known, tmp_path, suffix, packed):
    strange = ["a,b", "Be\ttty", 'Ça "va"', "line\nbreak"]
    model = save_known(sorted(strange), ["Alien", "Heat", "Jaws", "Speed", "Up", "Yes, please"])
    path = tmp_path / f"recs.v2{suffix}{packed}"
    run("recommend", model, "--all", "-k", 2, "--output", path)
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    text = io.StringIO(content.decode(), newline="")
    if suffix in (".csv", ".TSV"):
        found = list(csv.DictReader(text, delimiter="," if suffix == ".csv" else "\t"))
    else:
        found = json.load(text) if suffix == ".json" else [json.loads(line) for line in text]
        assert all(type(row["rank"]) is int and type(row["score"]) is float for row in found)
    assert [list(row) for row in found] == [list(EVERYBODY[0])] * 8
    assert [row["user"] for row in found] == [user for user in sorted(strange) for _ in "12"]
    assert [row["item"] for row in found[:2]] == ["Heat", "Jaws"]
    assert [int(row["rank"]) for row in found] == [1, 2] * 4
    assert found[0]["user"] == sorted(strange)[0]
    np.testing.assert_allclose([float(row["score"]) for row in found[:2]], [2, 1])


def test_nobody_gets_anything_is_json_too(run, model, tmp_path):
    for suffix, content in (("json", "[\n]\n"), ("jsonl", "")):
        path = tmp_path / f"recs.{suffix}"
        run("recommend", model, "--all", "--exclude", "1,2,3,4,5,6", "--output", path)
        assert path.read_text() == content


@pytest.mark.parametrize("name", ["recs", "recs.xlsx", "recs.gz", "recs.parquet.gz", "csv"])
def test_a_name_without_a_format_is_refused(run, model, tmp_path, name):
    message = run("recommend", model, "--all", "--output", tmp_path / name, code=1).stderr
    assert (
        f"{name}: there is no format for a name that ends so; expected .csv, .tsv, .json, .jsonl" in message
    )
    assert [path.name for path in tmp_path.iterdir()] == ["model.srec"]


def test_models_and_folders_take_no_name_of_another_format(run, model, tmp_path):
    for command, source, what in (("export", model, "a model file"), ("fit", model, "a model file"),
                                  ("convert", model, "a folder")):  # fmt: skip
        message = run(command, source, "--output", tmp_path / "out.json", code=1).stderr
        assert f"out.json: {what} is written, not a file of the format .json; give a name" in message
    assert [path.name for path in tmp_path.iterdir()] == ["model.srec"]


def test_all_users_as_parquet(run, named_model, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra arrow")
    run("recommend", named_model, "--all", "-k", 2, "--output", tmp_path / "recs.parquet")
    table = parquet.read_table(tmp_path / "recs.parquet")
    assert table.schema.names == EVERYBODY[0]
    assert table.column("user").to_pylist() == [name for name in ("ann", "bob", "cat", "dan") for _ in "12"]
    assert table.column("item").to_pylist()[-2:] == ["Up", "Yes, please"]
    assert table.column("rank").to_pylist() == [1, 2] * 4


def test_parquet_needs_an_extra(run, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    message = run("recommend", model, "--all", "--output", tmp_path / "recs.parquet", code=1).stderr
    assert "pip install 'sparserec-np[arrow]'" in message
    assert [path.name for path in tmp_path.iterdir()] == ["model.srec"]


def test_all_users_choose_as_one_user_does(run, named_model, tmp_path):
    output = tmp_path / "recs.csv"
    run("recommend", named_model, "--all", "--candidates", 'Up,"Yes, please",Heat', "--exclude", "Up",
        "--include-seen", "--output", output)  # fmt: skip
    rows = list(csv.DictReader(output.open(newline="")))
    assert [row["item"] for row in rows if row["user"] == "cat"] == ["Yes, please", "Heat"]


def test_all_users_do_not_overwrite(run, model, tmp_path):
    output = tmp_path / "recs.csv"
    output.write_text("mine")
    assert "--force" in run("recommend", model, "--all", "--output", output, code=1).stderr
    assert output.read_text() == "mine"
    run("recommend", model, "--all", "--output", output, "--force")
    assert output.read_text().startswith("user,item")
    assert "is the data" in run("recommend", model, "--all", "--output", model, "--force", code=1).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--all", "--user", "10"],
        ["--all", "--json"],
        ["--all", "--weights", "1"],
        ["--user", "10", "--jobs", "2"],
    ],
)
def test_what_does_not_go_with_all(run, model, arguments):
    assert "--all" in run("recommend", model, *arguments, code=2).stderr


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def interrupted():
        with written_whole(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"before"
    with written_whole(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_leaves_no_file(model, tmp_path):
    script = """
import sys, time
from sparserec_np.cli import main
import sparserec_np.batch as batch
def recommend_all(*_, given=batch.recommend_all, **choice):
    yield from given(*_, **choice)
    print("writing", flush=True)
    time.sleep(1000)
batch.recommend_all = recommend_all
main.main()
"""
    output = tmp_path / "recs.csv"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "recommend", str(model), "--all", "--output", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "Interrupted.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["model.srec"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_is_told_of_compilation():
    from numba import njit

    function = njit(lambda x: x + 1)
    stream = Terminal()
    with Bar("users", 4, stream) as bar:
        bar.advance(1)
        assert "compiling" not in stream.getvalue()
        function(1)
        assert "compiling kernels" in stream.getvalue()
        drawn = len(stream.getvalue())
        function(2)
        assert len(stream.getvalue()) == drawn
    function(1.5)
    assert stream.getvalue().count("compiling") == 1


def test_progress_on_a_terminal_alone():
    for stream, expected in ((Terminal(), "4 of 4 users"), (io.StringIO(), "")):
        with Bar("users", 4, stream) as bar:
            bar.advance(1)
            bar.advance(3)
        assert expected in stream.getvalue()
        assert bool(stream.getvalue()) == bool(expected)
