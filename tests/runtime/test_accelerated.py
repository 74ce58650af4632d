"""The kernel against NumPy: the same rows and the same bits."""

from __future__ import annotations

import builtins
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_models import random_csr, random_model, random_table

from sparserec_np.errors import MissingPackageError
from sparserec_np.runtime import Recommender, SeenItems, TableData, save_model
from sparserec_np.runtime import accelerated as module
from sparserec_np.runtime.scoring import TableScorer, Vector


def assert_same_answers(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert list(a.ids) == list(b.ids)
        assert a.scores.tobytes() == b.scores.tobytes()


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_items=st.sampled_from([0, 1, 63, 64, 65, 200]),
    levels=st.sampled_from([1, 2, None]),
    k=st.sampled_from([1, 5, 64, 1000]),
    biases=st.booleans(),
    filter_seen=st.booleans(),
)
def test_same_answers(seed, n_items, levels, k, biases, filter_seen):
    model = random_model(seed, n_items=n_items, levels=levels, biases=biases)
    users = list(range(12))
    ask = {"k": k, "filter_seen": filter_seen, "exclude": [0, 0] if n_items else []}
    plain, fast = Recommender(model), Recommender(model, accelerate=True)
    assert_same_answers(plain.recommend(users, **ask), fast.recommend(users, **ask))


@pytest.mark.parametrize("levels", [2, None])
def test_same_answers_over_many_blocks(levels):
    n = 3 * module._BLOCK + 77
    rng = np.random.default_rng(0)
    model = random_model(
        n_items=n,
        dim=16,
        items=random_table(rng, n, 16, levels=levels),
        seen=SeenItems(*random_csr(rng, 12, n, 0.05)),
    )
    plain, fast = Recommender(model), Recommender(model, accelerate=True)
    for k in (20, module._LONGEST, module._LONGEST + 1):
        assert_same_answers(plain.recommend(list(range(12)), k=k), fast.recommend(list(range(12)), k=k))
    for ask in ({"history": [3, 9]}, {"history": []}, {"user": 3, "candidates": range(0, n, 7)}):
        assert_same_answers([plain.recommend(**ask)], [fast.recommend(**ask)])


@pytest.mark.parametrize(("dim", "at_least"), [(4, 1), (600, 2), (6000, 16)])
def test_a_wide_table_of_few_entries_has_larger_blocks(dim, at_least):
    n = 2 * module._LARGEST_BLOCK + 77
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(n)[:5000])
    indptr = np.searchsorted(rows, np.arange(n + 1))
    items = TableData(indptr, rng.integers(0, dim, len(rows), np.uint16), np.float32(rng.random(5000)), dim)
    blocks = module.AcceleratedScorer(items).blocks
    assert module._BLOCK * at_least <= blocks.length <= module._LARGEST_BLOCK
    starts, rows_by_column, _ = items.by_column
    numbers = np.repeat(np.tile(np.arange(blocks.starts.shape[1] - 1), dim), np.diff(blocks.starts).ravel())
    assert np.array_equal(numbers * blocks.length + blocks.rows, rows_by_column)
    assert np.array_equal(blocks.starts[:, 0], starts[:-1])
    assert np.array_equal(blocks.starts[:, -1], starts[1:])
    vector = Vector(np.arange(dim), np.ones(dim, np.float32))
    excluded = np.array([rows[-1]])
    plain, fast = (
        scorer(items).best(vector, 20, excluded) for scorer in (TableScorer, module.AcceleratedScorer)
    )
    assert np.array_equal(plain[0], fast[0])
    assert plain[1].tobytes() == fast[1].tobytes()


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_loaded_model(tmp_path, precision):
    save_model(tmp_path / "m", random_model(biases=True), precision)
    plain, fast = (Recommender.load(tmp_path / "m", accelerate=fast) for fast in (False, True))
    assert_same_answers(plain.recommend(list(range(12))), fast.recommend(list(range(12))))


def test_without_numba_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments):
        if name.startswith("numba"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.delitem(sys.modules, "sparserec_np.runtime.accelerated")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match=r"accelerate=True needs .+ pip install 'numba'"):
        Recommender(random_model(), accelerate=True)
