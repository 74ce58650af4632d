import pytest


def test_json(run, model):
    answer = run("info", model, "--json").json
    assert (answer["n_users"], answer["n_items"], answer["dim"], answer["nnz"]) == (4, 6, 2, 10)
    assert answer["density"] == 0.5
    assert answer["tables"]["items"] == {
        "rows": 6,
        "nnz": 6,
        "density": 0.5,
        "per_row": {"min": 1, "median": 1.0, "mean": 1.0, "max": 1, "empty_rows": 0},
    }
    assert answer["bytes"]["file"] == model.stat().st_size
    assert answer["precision"] == "float32"
    assert answer["bytes"]["parts"]["items.values"] == 6 * 4
    assert sum(answer["bytes"]["parts"].values()) == answer["bytes"]["file"]
    assert answer["bytes"]["dense_tables"] == 10 * 2 * 4
    assert answer["trained"]["settings"]["density"] == 0.5


def test_for_people(run, model):
    text = run("info", model).stdout
    assert (
        f"{model}: {model.stat().st_size / 1000:.1f} kB, float32; 4 users, 6 items, dim 2, density 0.5"
        in text
    )
    assert text.index("whole file") < text.index("per row")
    for name in ("users", "items", "items.values", "whole file", "dense float32 tables", "settings.density"):
        assert name in text


@pytest.mark.parametrize("content", [b"", b"user,item\n1,2\n", b"\xff" * 100])
def test_no_model_file_is_one_line(run, tmp_path, content):
    path = tmp_path / "x.srec"
    path.write_bytes(content)
    for command in (["info", path], ["recommend", path, "--user", "1"], ["evaluate", path, path]):
        text = run(*command, code=1).stderr
        assert text.startswith("Error: ")
        assert "x.srec" in text
        assert text.count("\n") == 1


def test_missing_file_is_one_line(run, tmp_path):
    text = run("info", tmp_path / "none.srec", code=1).stderr
    assert text.startswith("Error: ")
    assert "none.srec" in text
    assert "No such file" in text
    assert text.count("\n") == 1
