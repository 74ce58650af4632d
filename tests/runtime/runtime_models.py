"""Random models for the tests of the runtime, and the dense computation that they are held against."""

from __future__ import annotations

import numpy as np

from sparserec_np.runtime import IdMap, ModelData, SeenItems, TableData


def random_csr(rng, n_rows, n_columns, density):
    mask = rng.random((n_rows, n_columns)) < density
    indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    return indptr, np.nonzero(mask)[1].astype(np.int32)


def random_table(rng, n_rows, dim, density=0.3, levels=None):
    """A table whose values are drawn from a few levels, where scores are to tie often."""
    indptr, indices = random_csr(rng, n_rows, dim, density)
    values = rng.normal(size=len(indices)) if levels is None else rng.integers(-levels, levels, len(indices))
    return TableData(indptr, indices, values.astype(np.float32), dim)


def random_model(seed=0, *, n_users=12, n_items=30, dim=8, levels=None, ids="range", biases=False, **parts):
    rng = np.random.default_rng(seed)

    def id_map(n, entity):
        if ids == "range":
            return IdMap.range(n, entity=entity)
        numbers = np.arange(n) * 7 + 3
        return IdMap.from_ids(
            numbers if ids == "int" else [f"{entity} é{i:06d}" for i in numbers], entity=entity
        )

    model = {
        "items": random_table(rng, n_items, dim, levels=levels),
        "users": random_table(rng, n_users, dim, levels=levels),
        "item_ids": id_map(n_items, "item"),
        "user_ids": id_map(n_users, "user"),
        "seen": SeenItems(*random_csr(rng, n_users, n_items, 0.2)),
        "popularity": rng.integers(0, 6, n_items).astype(np.int32),
        "info": {"estimator": "SparseBPR", "settings": {"dim": dim}, "name": "é"},
    }
    if biases:
        model["item_bias"] = rng.normal(size=n_items).astype(np.float32)
        model["user_bias"] = rng.normal(size=n_users).astype(np.float32)
        model["offset"] = 3.5
    return ModelData(**(model | parts))


def densify(table):
    dense = np.zeros((table.n_rows, table.dim), np.float32)
    for row in range(table.n_rows):
        entries = slice(int(table.indptr[row]), int(table.indptr[row + 1]))
        dense[row, table.indices[entries]] = table.values[entries]
    return dense


def column_sums(items, vector):
    """Dot products of a dense vector with dense rows, added up in float32 column by column."""
    scores = np.zeros(len(items), np.float32)
    for column in range(items.shape[1]):
        scores += items[:, column] * vector[column]
    return scores


def ranked(scores, allowed, k, popularity=None):
    """The k best of the allowed rows by a full sort; of equal scores the more popular, then the lower row."""
    keys = np.zeros(len(scores)) if popularity is None else popularity
    return sorted(allowed, key=lambda row: (-scores[row], -float(keys[row]), row))[:k]


def assert_same(one, other):
    """Two models hold the same numbers, whatever integer types they are in."""
    for name in ("items", "users"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dim == b.dim
            for part in ("indptr", "indices"):
                np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
            assert a.values.tobytes() == b.values.tobytes()
    for name in ("popularity", "item_bias", "user_bias"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)
    assert (one.seen is None) == (other.seen is None)
    if one.seen is not None:
        np.testing.assert_array_equal(one.seen.indptr, other.seen.indptr)
        np.testing.assert_array_equal(one.seen.indices, other.seen.indices)
    for name in ("user_ids", "item_ids", "offset", "encoder", "encoder_settings", "info"):
        assert getattr(one, name) == getattr(other, name)
