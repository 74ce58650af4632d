import re

import numpy as np
import pytest
from sparserec_np.cli.budget import choose, trim
from sparserec_np.cli.files import Bytes, parts_of

from sparserec_np.data import make_interactions
from sparserec_np.errors import SettingError
from sparserec_np.models import SparseBPR
from sparserec_np.runtime import Recommender, load_model, save_model


@pytest.fixture(scope="module")
def interactions():
    return make_interactions(300, 150, 6000, random_state=0)


@pytest.fixture(scope="module")
def saved(interactions, tmp_path_factory):
    """A trained model of some size."""
    path = tmp_path_factory.mktemp("export") / "m.srec"
    SparseBPR(dim=16, density=0.3, epochs=3, batch_size=512, random_state=0).fit(interactions).save(path)
    return path


@pytest.fixture
def test_file(tmp_path, interactions):
    """Pairs that nobody was trained on."""
    path = tmp_path / "test.csv"
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, (interactions.n_users, interactions.n_items), (500, 2))
    users, items = interactions.users.ids(pairs[:, 0]), interactions.items.ids(pairs[:, 1])
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(users, items, strict=True)))
    return path


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_precision(run, saved, tmp_path, test_file, precision):
    out = tmp_path / "small.srec"
    report = run(
        "export", saved, "-o", out, "--precision", precision, "--test", test_file, "--json"
    ).json  # fmt: skip
    assert report["bytes"] == {"before": saved.stat().st_size, "after": out.stat().st_size}
    assert report["parts"] == {"before": parts_of(saved), "after": parts_of(out)}
    assert sum(report["parts"]["after"].values()) == report["bytes"]["after"]
    least = {"float32": 1.0, "float16": 0.97, "int8": 0.9}[precision]
    assert least <= report["agreement"]["share"] <= 1.0
    assert report["agreement"]["n_users"] >= 299
    before, after = (report["measured"][name]["recall@20"] for name in ("before", "after"))
    assert before == pytest.approx(after, abs=0.05)
    evaluated = run("evaluate", out, test_file, "--json").json
    assert evaluated["recall@20"] == pytest.approx(after)


def test_items_only(run, saved, tmp_path, test_file):
    out = tmp_path / "items.srec"
    report = run(
        "export", saved, "-o", out, "--precision", "int8", "--items-only", "--test", test_file, "--json"
    ).json  # fmt: skip
    model = load_model(out)
    assert model.users is None
    assert model.seen is None
    assert not any(name.startswith(("users", "user_ids", "seen")) for name in parts_of(out))
    assert 0.2 < report["agreement"]["share"] < 1.0
    whole, items = Recommender.load(saved), Recommender.load(out)
    history = whole.item_ids.ids(whole.data.seen.indices[: whole.data.seen.indptr[1]]).tolist()
    assert len(set(items.recommend(history=history).ids) & set(whole.recommend(history=history).ids)) >= 8


def test_no_seen_for_people(run, saved, tmp_path):
    out = tmp_path / "small.srec"
    text = run("export", saved, "-o", out, "--precision", "int8", "--no-seen").stdout
    assert "seen.gaps" in text
    assert "times smaller" in text
    assert "of the top 20 are the same, over " in text
    model = load_model(out)
    assert model.seen is None
    assert model.users is not None


def test_users_that_nothing_tells_of_are_not_compared(run, saved, tmp_path, test_file):
    run("export", saved, "-o", tmp_path / "no.srec", "--no-seen")
    out = run("export", tmp_path / "no.srec", "-o", tmp_path / "items.srec", "--items-only").stdout
    assert "their answers are not compared" in out


def test_export_refuses(run, saved, tmp_path):
    assert "exists; give --force" in run("export", saved, "-o", _touched(tmp_path), code=1).stderr
    assert "is the data" in run("export", saved, "-o", saved, "--force", code=1).stderr
    assert "No such file" in run("export", tmp_path / "x", "-o", tmp_path / "y", code=1).stderr
    assert "Usage" in run("export", saved, "-o", tmp_path / "y", "--precision", "int4", code=2).stderr
    assert "Usage" in run("export", saved, code=2).stderr


def _touched(folder):
    (folder / "old.srec").touch()
    return folder / "old.srec"


@pytest.fixture
def data(tmp_path, interactions, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pairs = interactions.user_items.tocoo()
    users, items = interactions.users.ids(pairs.row), interactions.items.ids(pairs.col)
    path = tmp_path / "data.csv"
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(users, items, strict=True)))
    return path


QUICK = ("--epochs", 2, "--seed", 0, "--batch-size", 512)


def test_fit_precision(run, data):
    report = run("fit", data, *QUICK, "--precision", "int8", "--json").json
    assert report["precision"] == "int8"
    assert "items.scales" in parts_of(data.parent / "data.srec")


@pytest.mark.parametrize(
    ("budget", "arguments"),
    [("12KB", ()), ("16KB", ("--precision", "float16")), ("20KB", ("--dim", 16)), ("200KB", ())],
)
@pytest.mark.parametrize("model", ["graph", "bpr"])
def test_max_bytes_are_kept(run, data, model, budget, arguments):
    arguments = (*arguments, "--model", model)
    result = run("fit", data, *QUICK, "--max-bytes", budget, *arguments, "--json")
    report = result.json
    assert report["bytes"] <= Bytes().convert(budget, None, None)
    assert report["bytes"] == (data.parent / "data.srec").stat().st_size
    # A table that turned out narrower than it might have been may hold fewer.
    said = int(re.search(r"([0-9,]+) entries", result.stderr)[1].replace(",", ""))
    assert report["nnz"] == said or (model == "graph" and report["nnz"] < said)
    assert report["precision"] == ("float16" if "float16" in arguments else "int8")


def test_max_bytes_go_to_the_items_where_users_are_their_histories(run, data):
    report = run("fit", data, *QUICK, "--max-bytes", "8KB", "--json").json
    assert report["estimator"] == "SparseBlend"
    # Neighbours need what users were trained on, and there is no room for it.
    assert report["parts"]["chosen"] == "table"
    assert not report["seen"]
    model = load_model(data.parent / "data.srec")
    assert model.users is None
    assert model.n_users == 0
    assert len(Recommender(model).recommend(history=[model.item_ids[0]], k=5).ids) == 5


@pytest.mark.parametrize(("budget", "weighed"), [("8KB", False), ("200KB", True)])
def test_item_weights_are_tried_where_their_columns_take_few_bytes(run, data, budget, weighed):
    report = run("fit", data, *QUICK, "--max-bytes", budget, "--json").json
    tried = {one["parts"] for one in report["parts"]["candidates"]}
    assert ("linear" in tried) == ("table+linear" in tried) == weighed
    assert report["bytes"] <= Bytes().convert(budget, None, None)


@pytest.mark.parametrize("model", ["linear", "als"])
@pytest.mark.parametrize("budget", ["12KB", "40KB"])
def test_max_bytes_of_models_of_one_part(run, data, model, budget):
    report = run("fit", data, "--dim", 8, "--model", model, "--max-bytes", budget, "--json").json
    assert report["nnz"] > 100
    assert report["bytes"] <= Bytes().convert(budget, None, None)
    assert report["parts"]["chosen"] == {"als": "ials"}.get(model, model)


def test_the_smallest_entries_are_trimmed(interactions):
    from sparserec_np.runtime import IdMap, ModelData, TableData

    values = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    items = TableData(np.arange(0, 4001, 4), np.tile(np.arange(4), 1000), values, 4)
    model = ModelData(items, IdMap.range(1000), np.ones(1000, np.uint8))
    kept = trim(model, "int8", 8000).items
    assert 0 < kept.nnz < 4000
    np.testing.assert_array_equal(np.sort(np.abs(kept.values)), np.sort(np.abs(values))[4000 - kept.nnz :])
    assert trim(model, "int8", 20_000) is model


def test_max_bytes_too_small_name_the_least_that_works(run, data):
    error = run("fit", data, *QUICK, "--max-bytes", "1KB", code=1).stderr
    assert "max_bytes is 1,000; expected at least" in error
    least = int(error.split("at least ")[1].split(" for")[0].replace(",", ""))
    assert "expected at least" in run("fit", data, *QUICK, "--max-bytes", least - 1, code=1).stderr
    assert run("fit", data, *QUICK, "--max-bytes", least, "--json").json["bytes"] <= least


def test_max_bytes_and_density_contradict(run, data):
    assert "give either" in run("fit", data, "--max-bytes", "1MB", "--density", 0.1, code=2).stderr


@pytest.mark.parametrize(
    ("text", "expected"), [("500KB", 500_000), ("1.5 MB", 1_500_000), ("2kib", 2048), ("77", 77), ("9B", 9)]
)
def test_bytes(text, expected):
    assert Bytes().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "KB", "5 PB", "-3", "1,5MB"])
def test_no_bytes(run, data, text):
    assert "expected one such as 500KB" in run("fit", data, "--max-bytes", text, code=2).stderr


def test_the_bound_holds_for_the_worst_pattern(interactions, tmp_path):
    """All entries as far from each other as they can be."""
    from sparserec_np.runtime import IdMap, ModelData, TableData

    n_users, n_items = interactions.n_users, interactions.n_items
    choice = choose(interactions, 30_000, dim=600, may_widen=False, precision=None, biases=False)
    entries = round(choice.density * (n_users + n_items) * choice.dim)

    def spread(n_rows, n):
        positions = np.linspace(0, n_rows * choice.dim - 1, n).astype(np.int64)
        indptr = np.searchsorted(positions, np.arange(n_rows + 1) * choice.dim)
        return TableData(indptr, positions % choice.dim, np.ones(n, np.float32), choice.dim)

    n = entries * n_users // (n_users + n_items)
    model = ModelData(
        items=spread(n_items, entries - n), users=spread(n_users, n), item_ids=IdMap.range(n_items),
        user_ids=IdMap.range(n_users, entity="user"), popularity=np.ones(n_items, np.uint16),
    )  # fmt: skip
    save_model(tmp_path / "m", model, "int8")
    assert (tmp_path / "m").stat().st_size <= 30_000


def test_too_little_for_what_is_fixed(interactions):
    with pytest.raises(SettingError, match="ids, popularity and settings alone take"):
        choose(interactions, 5_100, dim=64, may_widen=True, precision=None, biases=True)
