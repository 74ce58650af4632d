import numpy as np
import pytest
from fitted import DenseFactors, SparseModel
from hypothesis import given
from hypothesis import strategies as st
from retraining import prune_and_retrain, pruned, strongest

from sparserec_np import SparseBPR, metrics
from sparserec_np.data import make_interactions, split_random
from sparserec_np.tables import SparseTable


def dense_table(values):
    table = SparseTable.from_positions(np.arange(values.size), values.shape)
    table.data[:] = values.reshape(-1)
    return table


@given(seed=st.integers(0, 2**32 - 1), density=st.floats(0.01, 1))
def test_exact_counts_of_largest_magnitude(seed, density):
    rng = np.random.default_rng(seed)
    tables = tuple(dense_table(rng.integers(-4, 5, (n, 6)).astype(np.float32)) for n in (9, 13))
    users, items = pruned(tables, density, 0.6)
    assert users.nnz + items.nnz == round(density * 22 * 6)
    for table, kept in zip(tables, (users, items), strict=True):
        kept.check()
        assert np.array_equal(table.data[kept.positions()], kept.data)
        left = np.delete(table.data, kept.positions())
        assert not kept.nnz or not left.size or np.abs(kept.data).min() >= np.abs(left).max()


def test_everything_is_kept_where_everything_may_be():
    table = dense_table(np.arange(12, dtype=np.float32).reshape(4, 3))
    assert np.array_equal(strongest(table, 12).to_scipy().toarray(), table.to_scipy().toarray())


@pytest.fixture(scope="module")
def parts():
    return split_random(make_interactions(150, 90, 4000, random_state=0), 0.2, 0)


def test_retrained_tables_have_the_estimators_counts_and_rank(parts):
    train, test = parts
    settings = {"dim": 16, "epochs": 6, "negatives": 8}
    model = prune_and_retrain(train, 0, density=0.25, **settings)
    estimator = SparseBPR(density=0.25, **settings)
    estimator.fit(train)
    found = SparseModel(model)
    assert found.nnz == estimator.nnz_ == round(0.25 * (train.n_users + train.n_items) * 16)
    popularity = np.bincount(train.user_items.indices, minlength=train.n_items)
    popular = metrics.evaluate_popularity(popularity, train.user_items, test.user_items)
    for precision in found.precisions:
        ranked = found.evaluate(precision, train.user_items, test.user_items)
        assert ranked["ndcg@20"] > 1.2 * popular["ndcg@20"]
    assert found.n_bytes("int8") < found.n_bytes("float32") / 2
    again = prune_and_retrain(train, 0, density=0.25, **settings)
    assert np.array_equal(model.items.values, again.items.values)


def test_dense_tables_rank_as_the_estimator_that_made_them(parts):
    train, test = parts
    model = SparseBPR(density=1.0, grow_by="none", dim=8, epochs=2, random_state=0).fit(train)
    tables = [table.to_scipy().toarray() for table in (model.users_, model.items_)]
    found = DenseFactors(*tables).evaluate("float32", train.user_items, test.user_items)
    wanted = SparseModel(model.recommender.data).evaluate("float32", train.user_items, test.user_items)
    assert found == pytest.approx(wanted)
