import re
from pathlib import Path

import pytest
import report
from methods import METHODS

README = Path(__file__).parents[2] / "README.md"


def run(method, seed=0, data="gowalla", ndcg=0.1, precisions=("float32", "int8")):
    stored = {
        name: {"bytes": 1e6 * (1 + (name == "float32")), "recall@20": 1.2 * ndcg, "ndcg@20": ndcg}
        for name in precisions
    }
    return {
        "data": data, "method": method, "seed": seed, "settings": {}, "nnz": 453_370, "seconds": 75.0,
        "peak_bytes": 4e8, "stored": stored,
    }  # fmt: skip


def rows_of(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_mean_and_spread_over_seeds():
    runs = [run("bpr-64-0.1", seed, ndcg=ndcg) for seed, ndcg in enumerate((0.1, 0.11, 0.12))]
    headings, _, row, *published = rows_of(report.gowalla_table({"bpr-64-0.1": runs}))
    found = dict(zip(headings, row, strict=True))
    assert found["method"] == METHODS["bpr-64-0.1"].label
    assert found["NDCG@20"] == "0.1100 ± 0.0100"
    assert found["Recall@20"] == "0.1320 ± 0.0120"
    assert found["numbers"] == "453,370"
    assert (found["MB"], found["MB, int8"]) == ("2.00", "1.00")
    assert (found["fit"], found["peak MB"]) == ("1 min 15 s", "400")
    assert [row[0].split(",")[0] for row in published] == list(report.PUBLISHED)


def test_one_seed_has_no_spread_and_says_so():
    _, _, row, *_ = rows_of(report.gowalla_table({"popular": [run("popular", precisions=("float32",))]}))
    assert row[0] == "most popular (1 seed)"
    assert row[5] == "0.1000"
    assert row[3] == row[6] == ""


def test_other_data_have_a_column_each():
    runs = [run("als-64", data="thin-5", ndcg=0.2), run("popular", data="movielens"), run("knn")]
    headings, _, *rows = rows_of(report.other_table(runs))
    assert headings[1:] == ["Gowalla, 10 a user", "Gowalla, 5 a user", "MovieLens 100K", "synthetic"]
    assert rows == [
        ["most popular", "", "", "0.1000", ""],
        ["implicit ALS, d = 64, tuned", "", "0.2000", "", ""],
    ]


def test_comparisons_are_shares_of_means():
    runs = [run("graph-0.1", seed, ndcg=ndcg) for seed, ndcg in enumerate((0.11, 0.13))]
    runs += [
        run("als-64", ndcg=0.1),
        run("graph-0.1", data="thin-5"),
        run("dense-64", data="thin-5", ndcg=0.2),
    ]
    _, _, *rows = rows_of(report.comparison_table(runs))
    assert [row[2:] for row in rows] == [["120 %", "", "", "", ""], ["", "", "50 %", "", ""]]
    assert all(name in METHODS for pair in report.COMPARISONS for name in pair)


def test_methods_that_are_no_more_are_left_out():
    assert len(report.points([run("a former method")])) == len(report.PUBLISHED)


def test_only_what_stands_between_the_markers_changes():
    text = f"before\n{report.START}\nold\n{report.END}\nafter\n"
    once = report.between_markers(text, "new")
    assert once == f"before\n{report.START}\n\nnew\n\n{report.END}\nafter\n"
    assert report.between_markers(once, "new") == once
    for wrong in ("", f"{report.END}\n{report.START}\n", text + text):
        with pytest.raises(SystemExit, match="README"):
            report.between_markers(wrong, "new")


def test_the_readme_has_the_markers():
    assert report.between_markers(README.read_text(), "new").count("\nnew\n") == 1


def test_every_method_has_its_own_name_in_the_plot():
    names = [method.short for method in METHODS.values()]
    assert len(set(names)) == len(names)
    assert len({method.label for method in METHODS.values()}) == len(names)


def test_plot_names_every_method_and_is_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    runs = [run(name, ndcg=0.01 * i) for i, name in enumerate(METHODS)]
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"{report.START}\n{report.END}\n")
    report.write(runs, tmp_path)
    picture = (tmp_path / "docs" / "quality.svg").read_text()
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    assert {method.short for method in METHODS.values()} | set(report.PUBLISHED) <= set(texts)
    written = (tmp_path / "README.md").read_text()
    report.write(runs, tmp_path)
    assert (tmp_path / "docs" / "quality.svg").read_text() == picture
    assert (tmp_path / "README.md").read_text() == written
