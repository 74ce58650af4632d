"""Ids as they are typed at a shell: every id that a model holds can be asked for."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import pytest

INTEGERS = [-(2**63), -5, 0, 7, 2**53 + 1, 2**63 - 1]
STRINGS = sorted(["", " 7", "-7", "007", "7", 'say "hi"', "a,b", "a\nb", "é, ü", "x" * 5000, "--k", "\u2028"])
STRANGE = [STRINGS[:6], STRINGS[6:]]


def listed(ids):
    """Write ids as one argument."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="").writerow(ids)
    return text.getvalue()


@pytest.mark.parametrize("ids", [INTEGERS, *STRANGE])
def test_every_id_can_be_asked_for(run, save_known, ids):
    users = ids[:4]
    model = save_known(users, ids)
    for user in users:
        run("recommend", model, "--user", user, "--json")
        run("similar", model, "--user", user, "--json")
    for n, id in enumerate(ids):
        run("similar", model, "--item", id, "--json")
        one = listed([id])
        others = {other for other in ids if other != id}
        asked = ["--json", "-k", 9, "--include-seen"]
        left = run("recommend", model, "--history", one, *asked[:-1]).json
        assert {entry["item"] for entry in left} == others, n
        left = run("recommend", model, "--history", "", "--exclude", one, *asked).json
        assert {entry["item"] for entry in left} == others
        chosen = run("recommend", model, "--user", users[0], "--candidates", one, *asked).json
        assert [entry["item"] for entry in chosen] == [id]
    several = run("recommend", model, "--user", users[0], "--candidates", listed(ids), *asked).json
    assert {entry["item"] for entry in several} == set(ids)


def test_integers_are_read_as_people_type_them(run, save_known):
    model = save_known(INTEGERS[:4], INTEGERS)
    plain = run("recommend", model, "--user", "7", "--json").json
    assert run("recommend", model, "--user", " +007 ", "--json").json == plain
    chosen = run("recommend", model, "--user", "7", "--candidates", f"{2**63 - 1}, -5", "--csv").stdout
    assert {line.split(",")[0] for line in chosen.split()[1:]} == {str(2**63 - 1), "-5"}


def test_large_ids_are_evaluated(run, save_known, tmp_path):
    model = save_known(INTEGERS[:4], INTEGERS)
    test = tmp_path / "test.csv"
    test.write_text("user,item\n" + "".join(f"{user},{INTEGERS[-1]}\n" for user in INTEGERS[:4]))
    assert run("evaluate", model, test, "--json").json["n_interactions"] == 4


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (str(2**63), f"unknown user '{2**63}'; the closest known: 40, 30, 20"),
        (str(-(2**63) - 1), "the closest known: 10, 20, 30"),
        ("9" * 5000, "unknown user '9999"),
        ("1e3", "unknown user '1e3'"),
        ("", "unknown user ''"),
        ("1\n0", r"unknown user '1\n0'"),
        ("a  b", "unknown user 'a  b'"),
        ("\udcff", r"unknown user '\udcff'"),
    ],
)
def test_unknown_integers_are_one_short_line(run, model, typed, message):
    for arguments in (["recommend", model, "--user", typed], ["similar", model, "--user", typed]):
        error = run(*arguments, code=1).stderr
        assert message in error
        assert error.count("\n") == 1
        assert len(error) < 150


@pytest.mark.parametrize("typed", ["Heat, \udcff", "Heat\x1b[2J,Jaws", "x" * 5000, "Al\u2028ien"])
def test_unknown_strings_are_one_short_line(run, named_model, typed):
    for option in ("--history", "--exclude", "--candidates"):
        who = [] if option == "--history" else ["--user", "ann"]
        error = run("recommend", named_model, *who, option, typed, code=1).stderr
        assert "unknown item" in error
        assert len(error.splitlines()) == 1
        assert "\x1b" not in error
        assert len(error) < 200


def test_closest_ids_do_not_reach_the_terminal_as_commands(run, save_known):
    model = save_known(list("abcd"), ["Alien\x1b[2J", "b\nc", "d", "e", "f", "g"])
    error = run("similar", model, "--item", "Alien", code=1).stderr
    assert error == "Error: unknown item 'Alien'; the closest known: 'Alien\\x1b[2J'\n"


@pytest.mark.parametrize("typed", ['"Heat', '"He"at', "Heat\nJaws", "x\r,y"])
@pytest.mark.parametrize("option", ["--history", "--exclude", "--candidates"])
def test_quotes_that_do_not_match_are_refused(run, named_model, option, typed):
    who = [] if option == "--history" else ["--user", "ann"]
    error = run("recommend", named_model, *who, option, typed, code=2).stderr
    assert option in error
    assert "in quotes" in error


@pytest.mark.skipif(os.name == "nt", reason="needs arguments of bytes")
def test_arguments_that_are_not_utf_8(named_model):
    command = [sys.executable, "-c", "from sparserec_np.cli import main; main.main()"]
    for arguments in (["recommend", "--user", b"\xff"], ["recommend", "--history", b"Heat,\xff\xfe"]):
        result = subprocess.run(
            [*command, arguments[0], os.fsencode(named_model), *arguments[1:], "--json"],
            capture_output=True,
            timeout=60,
        )
        assert result.returncode == 1
        assert result.stderr.startswith(b"Error: unknown ")
        assert result.stderr.count(b"\n") == 1


def test_json_keeps_all_digits(run, save_known):
    model = save_known(INTEGERS[:4], INTEGERS)
    text = run("recommend", model, "--user", 7, "--include-seen", "--json").stdout
    assert {entry["item"] for entry in json.loads(text)} == set(INTEGERS)
