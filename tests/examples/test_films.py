"""The films, and the program for the terminal."""

import gzip
import subprocess
import sys

import make
import pytest
from films import Film, Films
from made_up import LOVE, SPACE, TITLES
from terminal import Session


def ids(found):
    return [film.id for film in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("react", [8, 3]),  # the more popular first
        ("REACT", [8, 3]),
        ("reactor", [3, 8]),  # unless one is called so
        ("the reactor", [3]),
        ("night react", [8]),
        ("t", [3, 42]),  # a title that begins so comes before one that has such a word
        ("egalite", [15]),
        ("2049", [15]),
        ("dont wait", [23]),
        ("don\u2019t", [23]),  # as the keyboard of a phone writes it
        ("<img", [16]),
        ("raector", [3, 8]),  # nothing has it: the closest word
        ("zzzzzz", []),
        ("", []),
        (" .,! ", []),
    ],
)
def test_search(films, text, expected):
    assert ids(films.search(text)) == expected
    assert ids(films.search(text, k=1)) == expected[:1]


def test_what_is_liked_decides_what_comes_next(films):
    assert ids(films.recommend([], k=3)) == [8, 23, 3]
    assert ids(films.recommend([8], k=2)) == [3, 15]
    assert ids(films.recommend([23], k=2)) == [42, 16]
    assert set(ids(films.recommend([3, 42], k=4))) == {*SPACE, *LOVE} - {3, 42}


def test_every_film_of_the_model_needs_a_title(films):
    with pytest.raises(ValueError, match="film 42 of the model has no title"):
        Films(films.recommender, [Film(int(id), *rest) for id, *rest in TITLES[:-1]])


def test_a_conversation(films):
    session = Session(films)
    assert session.answer("").startswith("What most people like:\n  1   Reactor Nights (1985)")
    assert session.answer("the reactor").startswith("Found for 'the reactor':\n  1   The Reactor (1983)")
    said = session.answer("1")
    assert said.startswith("You like The Reactor (1983).\n\nFor you:\n  1   Reactor Nights (1985)")
    assert session.liked == [3]
    assert "  1 * The Reactor" in session.answer("reactor the")
    assert session.answer("*").startswith("You like:\n  1 * The Reactor")
    assert session.answer("1").startswith("You no longer like The Reactor")
    assert session.liked == []
    assert session.answer("*") == "You like no film yet."
    assert "2049: Égalité" in session.answer("2049")  # beyond the list, it is a title
    assert session.answer("1" * 5000).startswith("No film is called anything like '1111")
    assert session.answer("zzzzzz").startswith("No film is called anything like 'zzzzzz'")
    assert "leave" in session.answer("?")


def test_the_terminal_runs_on_numpy_alone(app, alone):
    command = [*alone, str(app / "terminal.py")]
    result = subprocess.run(command, input="reactor\n1\n", capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert "You like The Reactor (1983)." in result.stdout


def test_the_terminal_takes_bytes_that_are_no_text(app, alone):
    command = [*alone, str(app / "terminal.py")]
    result = subprocess.run(command, input=b"\xff\xfe\nreactor\n", capture_output=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"The Reactor" in result.stdout


@pytest.mark.parametrize("program", ["terminal.py", "web.py"])
def test_away_from_its_model_a_program_says_so(program):
    path = f"{make.HERE}/{program}"
    result = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "model.srec is missing; make the app with make.py" in result.stderr


def test_make_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make.py", "--data", str(tmp_path), "--output", str(tmp_path / "app")])
    assert make.main() == 1
    error = capsys.readouterr().err
    assert f"there is no u.data or u.data.gz in {tmp_path}" in error
    assert "give its folder as --data" in error
    assert not (tmp_path / "app").exists()


def test_make_leaves_out_films_that_the_model_does_not_know(app):
    assert "Nobody Knows" not in (app / "titles.tsv").read_text(encoding="utf-8")


def test_titles_of_both_kinds(tmp_path):
    flags = ["0"] * 19
    flags[5] = flags[14] = "1"
    own = tmp_path / "u.item"
    fields = ["7", "Reactor, The (1983)", "01-Jan-1983", "", "", *flags]
    own.write_text("|".join(fields) + "\n8|N\xe9on (1990)||||" + "|".join(["0"] * 19) + "\n", "latin-1")
    assert list(make.read_titles(own)) == [
        ("7", "The Reactor", "1983", "Comedy Romance"),
        ("8", "Néon", "", ""),
    ]
    table = tmp_path / "items.tsv.gz"
    table.write_bytes(gzip.compress("item\ttitle\tyear\tgenres\n7\tNéon, Le (Neon)\t1990\tDrama\n".encode()))
    assert list(make.read_titles(table)) == [("7", "Le Néon (Neon)", "1990", "Drama")]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Avventura, L' (Adventure, The)", "L'Avventura (Adventure, The)"),
        ("Good, The Bad and The Ugly, The", "The Good, The Bad and The Ugly"),
        ("Paris, Texas", "Paris, Texas"),
        ("I, Worst of All", "I, Worst of All"),
    ],
)
def test_readable_titles(title, expected):
    assert make.readable(title) == expected


@pytest.mark.slow
def test_make_from_the_data(tmp_path, capsys, monkeypatch):
    data = make.HERE.parents[2] / "shared" / "data" / "ml-100k"
    if not data.exists():
        pytest.skip("no ml-100k in ../shared/data")
    monkeypatch.setattr(sys, "argv", ["make.py", "--output", str(tmp_path / "app")])
    assert make.main() == 0
    assert "1,447 films" in capsys.readouterr().out
    assert (tmp_path / "app" / "model.srec").stat().st_size < 40_000
    films = Films.load(tmp_path / "app")
    assert [str(film) for film in films.search("godfahter")] == [
        "The Godfather (1972)",
        "The Godfather: Part II (1974)",
    ]
    (alien,) = (film for film in films.search("alien") if film.title == "Alien")
    assert "Aliens" in [film.title for film in films.recommend([alien.id], k=10)]
