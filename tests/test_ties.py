"""Every path ranks alike: ties go by popularity, then by row, and who is unknown gets what is popular."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sparserec_np import SparseBPR, SparseGraph, SparseMF, metrics
from sparserec_np.batch import recommend_all
from sparserec_np.data import Interactions
from sparserec_np.runtime import (
    IdMap,
    ModelData,
    Recommender,
    SeenItems,
    TableData,
    accelerated,
    load_model,
    save_model,
)
from sparserec_np.runtime.topk import tie_keys, top_k

KINDS = ("rows", "biases", "offset", "sum", "ridge")


def table(rng, n_rows, dim, levels, columns=slice(None)):
    """Few distinct values, 0 among them, and rows without entries."""
    stored = rng.random((n_rows, dim)) < rng.choice([0.0, 0.3, 0.8], (n_rows, 1))
    allowed = np.zeros(dim, bool)
    allowed[columns] = True
    stored &= allowed
    values = rng.integers(-levels, levels + 1, stored.sum()).astype(np.float32)
    return TableData(np.append(0, np.cumsum(stored.sum(axis=1))), np.nonzero(stored)[1], values, dim)


def make_model(seed, kind="rows", n_users=30, n_items=25, dim=4, levels=1, floats=False):
    rng = np.random.default_rng(seed)
    seen = rng.random((n_users, n_items)) < rng.choice([0, 0.2, 0.9, 1], (n_users, 1), p=[0.3, 0.5, 0.1, 0.1])
    popularity = rng.integers(0, 4, n_items)
    parts = {
        "rows": {},
        "biases": {
            "item_bias": rng.integers(0, 2, n_items).astype(np.float32),
            "user_bias": rng.integers(0, 2, n_users).astype(np.float32),
            "offset": 3.0,
        },
        "offset": {"offset": 3.0},
        "sum": {"users": None, "encoder": "sum", "encoder_settings": {"item_power": 0.0}},
        "ridge": {"users": None, "encoder": "ridge"},
    }[kind]
    # Some users have entries in columns alone that no item has an entry in.
    items = table(rng, n_items, dim, levels, slice(0, dim - 1))
    return ModelData(
        **{
            "items": items,
            "users": table(rng, n_users, dim, levels),
            "item_ids": IdMap.range(n_items),
            "user_ids": IdMap.range(n_users, entity="user"),
            "seen": SeenItems(np.append(0, np.cumsum(seen.sum(axis=1))), np.nonzero(seen)[1]),
            "popularity": popularity.astype(np.float32) / 4 if floats else popularity,
            **parts,
        }
    )


def dense(part):
    return sparse.csr_array((part.values, part.indices, part.indptr), shape=(part.n_rows, part.dim)).toarray()


def reference(model, user, vector, k, out):
    """Ids and scores by a full sort."""
    items = dense(model.items)
    scores = np.zeros(model.n_items, np.float32)
    for column in range(model.dim):
        scores += items[:, column] * vector[column]
    has_bias = model.item_bias is not None or model.user_bias is not None or model.offset != 0
    used = np.diff(model.items.by_column.indptr) > 0
    if not vector[used].any() and not (has_bias and model.users is not None):
        scores = model.popularity.astype(np.float32)
    else:
        if model.item_bias is not None:
            scores = scores + model.item_bias
        if model.user_bias is not None:
            scores = scores + (np.float32(model.offset) + model.user_bias[user])
        elif model.offset:
            scores = scores + np.float32(model.offset)
    order = np.lexsort((np.arange(model.n_items), -model.popularity.astype(float), -scores))
    best = order[~np.isin(order, out)][:k]
    return best, scores[best]


def assert_lists(found, expected):
    assert len(found) == len(expected)
    for (ids, scores), (wanted, wanted_scores) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ids, wanted)
        assert np.asarray(scores).tobytes() == np.asarray(wanted_scores, np.float32).tobytes()


def all_lists(blocks):
    found = []
    for block in blocks:
        ends = np.cumsum(block.counts)[:-1]
        found += zip(np.split(block.items, ends), np.split(block.scores, ends), strict=True)
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    kind=st.sampled_from(KINDS),
    levels=st.sampled_from([0, 1, 2]),
    floats=st.booleans(),
    precision=st.sampled_from([None, "float32", "float16", "int8"]),
    k=st.sampled_from([1, 2, 5, 24, 40]),
    filter_seen=st.booleans(),
    pool=st.sampled_from([None, "exclude", "candidates", "both"]),
)
def test_all_paths_agree(seed, kind, levels, floats, precision, k, filter_seen, pool):
    model = make_model(seed, kind, levels=levels, floats=floats)
    if precision is not None:
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder, "m"), model, precision)
            model = load_model(Path(folder, "m"))
            model.check()
    rng = np.random.default_rng(seed)
    exclude = rng.choice(25, 6).tolist() if pool in ("exclude", "both") else None
    candidates = rng.choice(25, 15).tolist() if pool in ("candidates", "both") else None
    choice = {"k": k, "filter_seen": filter_seen, "exclude": exclude, "candidates": candidates}
    plain, fast = Recommender(model), Recommender(model, accelerate=True)
    vectors = plain.user_vectors(np.arange(30))
    expected, excluded = [], []
    for user in range(30):
        out = set(exclude or []) | (set(range(25)) - set(candidates) if candidates is not None else set())
        excluded.append(sorted(out | (set(model.seen.of(user).tolist()) if filter_seen else set())))
        expected.append(reference(model, user, vectors[user], k, excluded[user]))
    for recommender in (plain, fast):
        assert_lists(recommender.recommend(list(range(30)), **choice), expected)
        assert_lists([recommender.recommend(user, **choice) for user in range(30)], expected)
    for n_jobs in (1, 2):
        assert_lists(all_lists(recommend_all(model, n_jobs=n_jobs, **choice)), expected)
    # Evaluations rank the vectors themselves: in the same order, though unknown people score 0 there.
    without = sparse.lil_array((30, 25), dtype=np.float32)
    for user, rows in enumerate(excluded):
        without[user, rows] = 1
    ranking = metrics.rank(
        sparse.csr_array(vectors),
        sparse.csr_array(dense(model.items)),
        k,
        exclude=sparse.csr_array(without),
        item_bias=model.item_bias,
        popularity=model.popularity,
    )
    for user in range(30):
        ids = ranking.ids[user, : ranking.counts[user]]
        if kind != "biases" or vectors[user].any():
            np.testing.assert_array_equal(ids, expected[user][0])
    # Scores of pairs are those of the lists.
    for user, (ids, scores) in enumerate(expected):
        np.testing.assert_array_equal(plain.score(ids, user=user), scores)
        np.testing.assert_array_equal(plain.predict([user] * len(ids), ids), scores)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**20), k=st.sampled_from([1, 20, 100]), levels=st.sampled_from([0, 1]))
def test_many_items(seed, k, levels):
    """More items than NumPy partitions at once, and than go into a block of a kernel."""
    n_items = accelerated._BLOCK + 700
    model = make_model(seed, n_users=70, n_items=n_items, dim=6, levels=levels)
    plain, fast = Recommender(model), Recommender(model, accelerate=True)
    users = list(range(70))
    expected = plain.recommend(users, k=k)
    vectors = plain.user_vectors(np.arange(70))
    for user in (0, 1, 2):
        assert_lists([expected[user]], [reference(model, user, vectors[user], k, model.seen.of(user))])
    assert_lists(fast.recommend(users, k=k), expected)
    assert_lists(all_lists(recommend_all(model, k)), expected)


@settings(deadline=None)
@given(seed=st.integers(0, 2**20), k=st.sampled_from([1, 4, 30]))
def test_similar_items_and_users(seed, k):
    model = make_model(seed, levels=1)
    recommender = Recommender(model)
    for entity, part in (("item", model.items), ("user", model.users)):
        rows = dense(part).astype(np.float64)
        lengths = np.sqrt((rows**2).sum(axis=1))
        # Users have no popularity: of equal ones, the lower row.
        popularity = model.popularity if entity == "item" else np.zeros(part.n_rows)
        for row in range(0, part.n_rows, 5):
            ids, cosines = getattr(recommender, f"similar_{entity}s")(row, k)
            others = [other for other in np.flatnonzero(lengths) if other != row] if lengths[row] else []
            exact = {other: rows[row] @ rows[other] / (lengths[row] * lengths[other]) for other in others}
            assert len(ids) == min(k, len(others))
            np.testing.assert_allclose(cosines, [exact[id] for id in ids], atol=1e-6)
            order = [(-cosine, -popularity[id], id) for id, cosine in zip(ids, cosines, strict=True)]
            assert order == sorted(order)
            for other in set(others) - set(ids.tolist()):
                assert exact[other] <= cosines[-1] + 1e-6


@given(
    st.lists(st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 2.0]), min_size=1, max_size=40),
    st.integers(0, 45),
    st.integers(0, 2**20),
    st.sampled_from([np.uint8, np.uint32, np.int64, np.float32]),
)
def test_top_k_is_a_full_sort(scores, k, seed, dtype):
    scores = np.array(scores, np.float32)
    popularity = np.random.default_rng(seed).integers(0, 3, len(scores)).astype(dtype)
    expected = np.lexsort((np.arange(len(scores)), -popularity.astype(float), -scores))[:k]
    assert top_k(scores, k, popularity).tolist() == expected.tolist()


@given(st.lists(st.floats(0, 2.0**39, width=32) | st.just(-0.0), max_size=30))
def test_keys_are_in_the_order_of_floats(values):
    values = np.array(values, np.float32)
    keys = tie_keys(values)
    assert ((values[:, None] < values) == (keys[:, None] < keys)).all()
    large = np.array([2**53, 2**53 + 1, 2**63 - 1])
    assert (np.diff(tie_keys(large)) > 0).all()


def test_counts_that_float32_does_not_tell_apart():
    model = replace(make_model(0, levels=0), popularity=2**24 + np.arange(25) % 2)
    expected = [*range(1, 25, 2), *range(0, 25, 2)]
    for recommender in (Recommender(model), Recommender(model, accelerate=True)):
        assert recommender.recommend(history=[], k=25).ids.tolist() == expected
        assert recommender.recommend(3, k=25, filter_seen=False).ids.tolist() == expected
    for ids, _ in all_lists(recommend_all(model, 25, filter_seen=False)):
        assert ids.tolist() == expected


@pytest.mark.parametrize(
    "estimator",
    [
        SparseBPR(dim=16, epochs=2, random_state=0),
        SparseBPR(dim=16, epochs=2, random_state=0, mask_init="random", density=0.5),
        SparseBPR(dim=16, epochs=2, random_state=0, density=1.0),
        SparseMF(dim=16, epochs=2, random_state=0),
        SparseGraph(dim=16, epochs=2, random_state=0),
        SparseMF(dim=16, epochs=2, random_state=0, loss="squared"),
    ],
    ids=repr,
)
def test_users_without_interactions_get_what_is_popular(tmp_path, estimator):
    rng = np.random.default_rng(0)
    matrix = (rng.random((60, 40)) < rng.random(40) * 0.5) * rng.integers(1, 6, (60, 40))
    matrix[[7, 30]] = 0
    model = estimator.fit(Interactions.from_matrix(sparse.csr_array(matrix)))
    counts = (matrix > 0).sum(axis=0)
    popular = np.lexsort((np.arange(40), -counts))[:10]
    is_rating = estimator.loss == "squared"
    assert not model.recommender.user_vectors(np.array([7, 30])).any()
    if model.users_ is not None:
        assert model.nnz_ == round(model.density * 100 * 16)
    paths = [model.recommend([7, 30], k=10)]
    paths.append(all_lists(model.recommend_all(k=10, users=[7, 30])))
    for precision in ("float32", "float16", "int8"):
        model.save(tmp_path / precision, precision)
        for accelerate in (False, True):
            recommender = Recommender.load(tmp_path / precision, accelerate=accelerate)
            if not is_rating or precision == "float32":
                paths.append(recommender.recommend([7, 30], k=10))
    for path in paths:
        for ids, scores in path:
            if is_rating:  # biases tell items apart
                assert scores.tolist() == paths[0][0].scores.tolist()
                assert abs(scores).max() < 6
            else:
                assert ids.tolist() == popular.tolist()
                assert scores.tolist() == counts[popular].tolist()
