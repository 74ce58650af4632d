import pytest

from sparserec_np.data import Interactions


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("user,item,rating\n" + "".join(f"u{n % 30},{n % 41},{n % 5 + 1}\n" for n in range(700)))
    return path


def test_a_folder_stands_for_its_file(run, data, tmp_path):
    folder = tmp_path / "made"
    text = run("convert", data, "--output", folder, "--min-rating", "3").stdout
    assert "18 users" in text
    assert str(folder) in text
    one, other = Interactions.from_csv(data, min_rating=3), Interactions.from_dir(folder)
    assert (one.user_items != other.user_items).nnz == 0
    models = []
    for source, reading in ((data, ["--min-rating", "3"]), (folder, [])):
        output = tmp_path / f"{len(models)}.srec"
        arguments = ("--dim", 8, "--epochs", 1, "--seed", 0, "--output", output)
        run("fit", source, *reading, *arguments)
        models.append(output.read_bytes())
    assert models[0] == models[1]


def test_default_name_and_force(run, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("convert", data)
    assert (tmp_path / "data.interactions").is_dir()
    assert "--force" in run("convert", data, code=1).stderr
    run("convert", data, "--force")


def test_reading_options_do_not_go_with_a_folder(run, data, tmp_path):
    run("convert", data, "--output", tmp_path / "made")
    assert "--min-rating" in run("fit", tmp_path / "made", "--min-rating", 3, code=2).stderr
    assert "no interactions.json" in run("fit", tmp_path, code=1).stderr


def test_a_broken_file_leaves_nothing(run, tmp_path):
    (tmp_path / "data.csv").write_text("user,item\na,1\nb\n")
    run("convert", tmp_path / "data.csv", "--output", tmp_path / "made", code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]
