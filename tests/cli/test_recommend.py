import csv
import io

import pytest


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
