import numpy as np
import pytest


@pytest.fixture
def test_file(tmp_path):
    """User 10 has seen 1 and is recommended 2 3 4 5 6; user 30 has seen 4 and is recommended 5 6 1 2 3."""

    def write(*pairs):
        path = tmp_path / "test.csv"
        path.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in pairs))
        return path

    return write


def test_by_hand(run, model, test_file):
    path = test_file((10, 3), (30, 5), (30, 2))
    answer = run("evaluate", model, path, "-k", 2, "--json").json
    assert answer["recall@2"] == pytest.approx((1 + 1 / 2) / 2)
    assert answer["ndcg@2"] == pytest.approx((1 / np.log2(3) + 1 / (1 + 1 / np.log2(3))) / 2)
    assert answer["coverage@2"] == 4 / 6
    assert (answer["n_users"], answer["n_interactions"], answer["dropped"]) == (2, 3, {})
    # Most popular are 1 and 4, then all others by row: user 10 gets 4 2, user 30 gets 1 2.
    assert answer["most_popular"]["recall@2"] == (0 + 1 / 2) / 2


def test_what_cannot_be_evaluated_is_dropped_and_counted(run, model, test_file):
    path = test_file((10, 3), (99, 3), (98, 77), (10, 77), (10, 1))
    answer = run("evaluate", model, path, "-k", 2, "--json").json
    assert answer["dropped"] == {"unknown user": 2, "unknown item": 1, "trained on": 1}
    assert (answer["n_users"], answer["n_interactions"]) == (1, 1)
    assert answer["recall@2"] == 1
    text = run("evaluate", model, path, "-k", 2).stdout
    assert "2 interactions dropped: unknown user" in text
    assert "1 interactions dropped: trained on" in text


def test_for_people(run, model, test_file):
    text = run("evaluate", model, test_file((10, 3)), "-k", 2, "-k", 1).stdout
    assert "1 held-out interactions of 1 users" in text
    assert "model  most popular" in text
    assert "NDCG@1" in text
    assert "Hit rate@2" in text


def test_one_foreign_id_does_not_make_the_others_unknown(run, model, test_file):
    """With ``x`` among them, the file's ids are strings, the model's integers."""
    answer = run("evaluate", model, test_file((10, 3), ("x", 3)), "-k", 2, "--json").json
    assert answer["dropped"] == {"unknown user": 1}
    assert answer["recall@2"] == 1


def test_reading_options(run, model, tmp_path):
    path = tmp_path / "odd.txt"
    path.write_text("5\t3\t10\n1\t2\t10\n")
    answer = run(
        "evaluate", model, path, "--user-column", 3, "--item-column", 2, "--weight-column", 1, "--min-rating",
        3, "--sep", "tab", "--no-header", "-k", 2, "--json",
    ).json  # fmt: skip
    assert (answer["n_users"], answer["recall@2"]) == (1, 1)


def test_nothing_to_evaluate(run, model, test_file):
    text = run("evaluate", model, test_file((99, 3), (10, 1)), code=1).stderr
    assert "none of its 2 interactions can be evaluated" in text
    assert "1 dropped: unknown user; 1 dropped: trained on" in text


def test_broken_test_file(run, model, tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("user,item\n10\n")
    text = run("evaluate", model, path, code=1).stderr
    assert text.startswith("Error: ")
    assert text.count("\n") == 1
