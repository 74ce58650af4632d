import gzip
import inspect
import io

import numpy as np
import pytest
from sparserec_np.cli.fit import not_the_best

from sparserec_np.data import make_interactions
from sparserec_np.models import SparseBPR, SparseGraph, SparseMF
from sparserec_np.runtime import load_model

QUICK = ("--dim", 8, "--epochs", 3, "--seed", 0, "--batch-size", 256)


@pytest.fixture(scope="module")
def pairs():
    made = make_interactions(120, 60, 2000, random_state=0)
    pairs = made.user_items.tocoo()
    return list(zip(made.users.ids(pairs.row).tolist(), made.items.ids(pairs.col).tolist(), strict=True))


@pytest.fixture
def data(tmp_path, pairs, monkeypatch):
    """A file of interactions in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data.csv"
    path.write_text("user,item\n" + "".join(f"u{user},{item}\n" for user, item in pairs))
    return path


def test_writes_a_model_of_exactly_the_stored_entries_asked_for(run, data, tmp_path):
    report = run("fit", data, "--density", 0.3, *QUICK, "--json").json
    n_rows = report["data"]["n_users"] + report["data"]["n_items"]
    assert report["nnz"] == round(0.3 * n_rows * 8)
    assert report["n_positions"] == n_rows * 8
    assert report["dense_bytes"] == n_rows * 8 * 4
    assert report["output"] == "data.srec"
    assert report["bytes"] == (tmp_path / "data.srec").stat().st_size
    assert report["seconds"] > 0
    assert report["peak_memory_bytes"] > 10e6
    assert report["history"][0]["epoch"] == 1
    model = load_model(tmp_path / "data.srec")
    assert model.nnz == report["nnz"]
    assert (model.n_users, model.n_items) == (report["data"]["n_users"], report["data"]["n_items"])
    assert "u3" in model.user_ids
    assert model.info["settings"]["density"] == 0.3


@pytest.mark.parametrize(
    ("options", "told"), [((), True), (("--min-rating", 3), False), (("--loss", "squared"), False)]
)
def test_says_that_weights_do_not_count_where_they_do_not(run, data, pairs, options, told):
    data.write_text("user,item,rating\n" + "".join(f"u{u},{i},{1 + (u + i) % 5}\n" for u, i in pairs))
    output = run("fit", data, *QUICK, *options).stdout
    assert ("softmax takes every interaction for liked, whatever its weight" in output) == told


def test_for_people(run, data):
    result = run("fit", data, *QUICK)
    for text in (
        "2,000 rows from",
        "120 users, 60 items, 2,000 interactions",
        "held out  most popular",
        "Recall@20",
        "NDCG@20",
        "Coverage@20",
        "stored entries  144 in tables of width",
        "dense tables    1,440 entries, 5.8 kB",
        "peak memory",
        "data.srec",
    ):
        assert text in result.stdout
    assert result.stderr == ""


def test_no_bar_and_no_escape_codes_in_a_pipe(run, data):
    result = run("fit", data, *QUICK, "--json")
    assert "2,000 rows from" in result.stderr
    for text in (result.stdout, result.stderr):
        assert not any(character in text for character in "\r\x1b")
    assert result.stdout.count("\n") == 1


def test_same_seed_same_file(run, data, tmp_path):
    for name, jobs in (("a.srec", 1), ("b.srec", 2)):
        run("fit", data, *QUICK, "--output", name, "--jobs", jobs)
    assert (tmp_path / "a.srec").read_bytes() == (tmp_path / "b.srec").read_bytes()


def test_settings_reach_the_estimator(run, data):
    report = run(
        "fit", data, *QUICK, "--model", "mf", "--loss", "logistic", "--no-refit", "--mask-init", "random",
        "--early-stopping", 0, "--optimizer", "adam", "--learning-rate", "0.01", "--json",
    ).json  # fmt: skip
    settings = load_model("data.srec").info["settings"]
    assert report["estimator"] == "SparseMF"
    assert (settings["loss"], settings["optimizer"], settings["learning_rate"]) == ("logistic", "adam", 0.01)
    assert (settings["refit"], settings["mask_init"], settings["random_state"]) == (False, "random", 0)
    assert report["held_out"] == {}


def test_every_setting_is_an_option_with_a_help_text(run):
    text = " ".join(run("fit", "--help").stdout.split())
    renamed = {"random_state": "seed", "n_jobs": "jobs"}
    for model in (SparseBPR, SparseGraph, SparseMF):
        for name in inspect.signature(model).parameters:
            if name != "verbose":
                assert f"--{renamed.get(name, name).replace('_', '-')} " in text
    assert "Share of the entries of both tables that exist, above 0 and at most 1. [default: 0.1]" in text
    assert "--refit / --no-refit" in text
    assert "--mask-init [nmf|spectral|random]" in text
    assert "mf logistic" in text


def test_standard_input(run, data, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data.read_bytes())))
    assert run("fit", "-", *QUICK, "--json").json["output"] == "interactions.srec"


def test_compressed_data_lose_all_suffixes(run, data, tmp_path):
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(data.read_bytes()))
    assert run("fit", "log.csv.gz", *QUICK, "--json").json["output"] == "log.srec"


def test_min_rating_drops_and_says_so(run, tmp_path, pairs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ratings = np.random.default_rng(0).integers(1, 6, len(pairs))
    (tmp_path / "r.tsv").write_text(
        "".join(f"{user}\t{item}\t{rating}\n" for (user, item), rating in zip(pairs, ratings, strict=True))
    )
    result = run("fit", "r.tsv", "--min-rating", 3, *QUICK, "--json")
    n_low = int((ratings < 3).sum())
    assert result.json["data"]["dropped"] == {"rating below 3": n_low}
    assert result.json["data"]["n_interactions"] == len(pairs) - n_low
    assert f"{n_low:,} rows dropped: rating below 3" in result.stderr


class TestRefusedBeforeAnythingIsRead:
    """The data do not exist, so an error about the output shows that it was looked at first."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_output_that_exists(self, run, folder):
        (folder / "data.srec").write_text("precious")
        error = run("fit", "data.csv", code=1).stderr
        assert error == "Error: data.srec exists; give --force to replace it, or another path as --output\n"
        assert (folder / "data.srec").read_text() == "precious"
        # With --force it is the data that are missed, and the file is still there.
        assert "data.csv" in run("fit", "data.csv", "--force", code=1).stderr
        assert (folder / "data.srec").read_text() == "precious"

    def test_missing_folder(self, run):
        assert "there is no folder none" in run("fit", "data.csv", "--output", "none/m.srec", code=1).stderr

    def test_folder_as_output(self, run, folder):
        assert "not a regular file" in run("fit", "data.csv", "--output", folder, "--force", code=1).stderr

    def test_data_as_output(self, run, folder):
        (folder / "data.csv").write_text("user,item\n1,2\n")
        assert "is the data" in run("fit", "data.csv", "--output", "data.csv", "--force", code=1).stderr
        assert (folder / "data.csv").read_text() == "user,item\n1,2\n"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--density", "3"], "density is 3.0; expected"),
            (["--epochs", "0"], "epochs is 0; expected"),
            (["--model", "mf", "--loss", "bpr"], "loss is 'bpr'; expected one of logistic, squared"),
        ],
    )
    def test_impossible_settings(self, run, arguments, message):
        error = run("fit", "data.csv", *arguments, code=1).stderr
        assert message in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["data.csv", "--density", "much"], ["data.csv", "--model", "x"], ["data.csv", "--densty", "1"]],
)
def test_wrong_usage(run, arguments):
    assert "Usage: " in run("fit", *arguments, code=2).stderr


@pytest.mark.parametrize(
    "text", ["", "user,item\n", "user,item\n1\n", "user,item,rating\n1,2,x\n", "user,item\n1,2\n"]
)
def test_broken_data_are_one_line_and_leave_no_file(run, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text(text)
    error = run("fit", "bad.csv", code=1).stderr
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_ctrl_c(run, data, monkeypatch):
    def fit(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(SparseGraph, "fit", fit)
    assert run("fit", data, code=130).stderr == "Interrupted.\n"


def test_memory_error_and_os_error_are_one_line(run, data, monkeypatch):
    def fails(error):
        def fit(*arguments, **keywords):
            raise error

        monkeypatch.setattr(SparseGraph, "fit", fit)
        return run("fit", data, code=1).stderr

    assert (
        fails(MemoryError("Unable to allocate 9 TiB"))
        == "Error: not enough memory: Unable to allocate 9 TiB\n"
    )
    assert (
        fails(OSError(28, "No space left on device", "x.srec")) == "Error: x.srec: No space left on device\n"
    )


def test_a_teacher_is_an_option_and_costs_nothing_in_the_file(run, data, tmp_path):
    for name, options in (("alone", ()), ("taught", ("--teacher", "ease", "--teacher-weight", 0.5))):
        report = run("fit", data, *QUICK, "--output", f"{name}.srec", *options, "--json").json
        assert report["nnz"] == 144
    settings = load_model(tmp_path / "taught.srec").info["settings"]
    assert (settings["teacher"], settings["teacher_weight"]) == ("ease", 0.5)
    sizes = [load_model(tmp_path / f"{name}.srec").nnz for name in ("alone", "taught")]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--teacher", "svd"), "'svd' is not one of"),
        (("--teacher", "ease", "--loss", "squared"), "expected None with the loss 'squared'"),
        (("--teacher", "ease", "--teacher-weight", 0), "teacher_weight is 0.0; expected a number above 0"),
        (("--teacher", "ease", "--negatives", 0), "negatives is 0"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused(run, data, tmp_path, options, message):
    result = run("fit", data, *QUICK, *options, code=2 if "svd" in options else 1)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "data.srec").exists()


@pytest.mark.parametrize(
    ("own", "popular", "chosen", "told"),
    [
        (0.2, 0.1, "table", ""),
        (0.1, 0.2, "table", "most popular items do better than the model: NDCG@20 0.2000, and 0.1000"),
        (0.2, 0.1, "linear", "table did better than linear"),
    ],
)
def test_a_line_says_what_did_better(own, popular, chosen, told):
    report = {
        "held_out": {"ndcg@20": own},
        "most_popular": {"ndcg@20": popular},
        "parts": {"chosen": chosen, "candidates": [{"parts": "table", "ndcg@20": 0.21}]},
    }
    line = not_the_best(report)
    assert told in line
    assert bool(line) == bool(told)
    assert "\n" not in line
    if "--parts" in line:
        assert line.endswith("--parts table takes it")


def test_no_line_where_nothing_was_held_out():
    assert not_the_best({"held_out": {}, "most_popular": {}, "parts": None}) == ""
