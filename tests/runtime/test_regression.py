"""Ridge regressions on sparse rows: dense and iterative alike, and no memory by a file's claims."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from runtime_models import densify, random_model

from sparserec_np.runtime import regression
from sparserec_np.runtime.encoding import encode
from sparserec_np.runtime.regression import Gram, gram_of, narrowed, solve
from sparserec_np.runtime.scoring import TableScorer
from sparserec_np.runtime.table_data import TableData


def table_of(dense):
    rows, columns = np.nonzero(dense)
    indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=len(dense))))
    return TableData(indptr, columns, dense[rows, columns].astype(np.float32), dense.shape[1])


def random_rows(seed, n_rows=60, dim=40, density=0.1):
    """Return rows of many lengths, none and all of the columns among them."""
    rng = np.random.default_rng(seed)
    shares = rng.choice([0, density, density / 4, 1], (n_rows, 1), p=[0.2, 0.4, 0.3, 0.1])
    return np.where(rng.random((n_rows, dim)) < shares, rng.normal(size=(n_rows, dim)), 0).astype(np.float32)


@pytest.mark.parametrize("block", [1, 50, 1 << 19])
@pytest.mark.parametrize("pair_cost", [1e-9, 10, 1e9])
@pytest.mark.parametrize("weighted", [True, False])
def test_gram_of_rows_of_all_lengths(monkeypatch, block, pair_cost, weighted):
    monkeypatch.setattr(regression, "_BLOCK", block)
    monkeypatch.setattr(regression, "_PAIR_COST", pair_cost)
    for seed in range(3):
        dense = random_rows(seed)
        weights = np.random.default_rng(seed).random(len(dense)) if weighted else None
        expected = dense.T.astype(np.float64) @ (dense if weights is None else dense * weights[:, None])
        found = gram_of(table_of(dense).by_row, dense.shape[1], weights)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_a_gram_is_that_of_the_columns_that_occur():
    dense = random_rows(1)
    dense[:, [0, 7, 39]] = 0
    gram = Gram(table_of(dense))
    kept = dense[:, gram.columns].astype(np.float64)
    assert len(gram.columns) <= 37
    assert not np.delete(dense, gram.columns, axis=1).any()
    np.testing.assert_allclose(gram.dense, kept.T @ kept, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(gram.diagonal, np.diag(kept.T @ kept))
    vector = np.random.default_rng(0).normal(size=len(gram.columns))
    np.testing.assert_allclose(gram.times(vector), kept.T @ (kept @ vector), rtol=1e-6, atol=1e-9)
    assert gram.mean_square == pytest.approx(np.mean(np.sum(dense.astype(np.float64) ** 2, axis=1)))


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_both_ways_to_solve_agree(monkeypatch, alpha, seed):
    rng = np.random.default_rng(seed)
    table, history = table_of(random_rows(seed)), table_of(random_rows(seed + 100, n_rows=9))
    weights, right = rng.random(9) * 5, rng.normal(size=40)
    pulls = rng.random(40) + 0.1
    gram = Gram(table)
    rows = narrowed(history.by_row, gram.columns, 40) if len(gram.columns) == 40 else history.by_row
    if len(gram.columns) < 40:
        pytest.skip("a column is empty")
    direct = solve(rows, weights, right, pulls, alpha, gram)
    monkeypatch.setattr(regression, "is_dense", lambda n_columns, n_entries: False)
    iterative = solve(rows, weights, right, pulls, alpha, Gram(table))
    np.testing.assert_allclose(iterative, direct, rtol=1e-7, atol=1e-9)
    system = densify(history).T @ (densify(history) * weights[:, None]) + np.diag(pulls)
    system = system + alpha * densify(table).astype(np.float64).T @ densify(table)
    np.testing.assert_allclose(direct, np.linalg.solve(system, right), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("encoder", "settings"),
    [
        ("ridge", {}),
        ("ridge", {"alpha": 0.0, "norm": 2.0}),
        ("ratings", {"assumed_rating": 4.0}),
        ("sum", {}),
    ],
)
def test_encoders_of_wide_tables_agree_with_dense_ones(monkeypatch, encoder, settings):
    model = random_model(3, dim=200, n_items=50, encoder=encoder, encoder_settings=settings, biases=True)
    rows, weights = np.array([1, 8, 8, 40]), np.array([1.0, 2.0, 0.5, 4.0])
    expected = encode(TableScorer(model.items, model.item_bias), model, rows, weights)
    monkeypatch.setattr(regression, "is_dense", lambda n_columns, n_entries: False)
    found = encode(TableScorer(model.items, model.item_bias), model, rows, weights)
    np.testing.assert_allclose(found.vector, expected.vector, rtol=1e-5, atol=1e-7)
    assert found.bias == pytest.approx(expected.bias, rel=1e-6, abs=1e-9)


def test_numbers_that_overflow_are_told():
    rows = table_of(np.full((2, 3), 1e12, np.float32)).by_row
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(regression, "is_dense", lambda n_columns, n_entries: False)
        with pytest.raises(np.linalg.LinAlgError):
            solve(rows, np.full(2, 1e300), np.full(3, 1e308), np.ones(3))


# Small files that describe wide tables: single entries, every column once, and a chain through all columns.
BOMBS = """
import resource, sys, time
import numpy as np
from sparserec_np.runtime import IdMap, ModelData, Recommender, SeenItems, TableData, save_model

kind, encoder, path = sys.argv[1:]
dim, n_items = 65536, {"two": 2, "once": 65536, "chain": 65535, "full": 12}[kind]
if kind == "two":
    indptr, indices = [0, 1, 2], [0, dim - 1]
elif kind == "once":
    indptr, indices = np.arange(n_items + 1), np.arange(dim)
elif kind == "chain":
    indptr = np.arange(0, 2 * n_items + 1, 2)
    indices = np.column_stack([np.arange(n_items), np.arange(n_items) + 1]).reshape(-1)
else:
    indptr, indices = np.arange(n_items + 1) * dim, np.tile(np.arange(dim), n_items)
values = np.random.default_rng(0).normal(size=len(indices)).astype(np.float32)
items = TableData(np.array(indptr), np.array(indices, np.uint16), values, dim)
n_seen = min(n_items, 20_000)
settings = {"assumed_rating": 4.0} if encoder == "ratings" else {}
save_model(path, ModelData(
    items=items, item_ids=IdMap.range(n_items), popularity=np.ones(n_items, np.uint8), encoder=encoder,
    encoder_settings=settings, user_ids=IdMap.range(2, entity="user"),
    seen=SeenItems(np.array([0, n_seen, n_seen + 1]), np.append(np.arange(n_seen), 1)),
), "int8")
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
one = Recommender.load(path)
one.recommend(history=[0, 1], k=3)
one.recommend(0, k=3, filter_seen=False)
one.predict([0, 1], [0, 1])
one.similar_users(0)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10, time.perf_counter() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
@pytest.mark.parametrize("encoder", ["ridge", "sum", "ratings"])
@pytest.mark.parametrize("kind", ["two", "once", "chain", "full"])
def test_a_small_file_asks_for_little_memory(tmp_path, kind, encoder):
    done = subprocess.run(
        [sys.executable, "-c", BOMBS, kind, encoder, tmp_path / "m.srec"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.srec").stat().st_size < 3 << 20
    megabytes = int(done.stdout.split()[0])
    # A dense system of this width would take 32 GiB, and the rows of the history 5.
    assert megabytes < 300
