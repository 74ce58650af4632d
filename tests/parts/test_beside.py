import numpy as np
import pytest
from scipy import sparse

from sparserec_np.data import make_interactions
from sparserec_np.kernels.workers import Workers
from sparserec_np.parts.beside import TableBeside
from sparserec_np.parts.histories import rank_histories
from sparserec_np.parts.linear import fit_item_weights
from sparserec_np.tables import SparseTable

N_USERS, N_ITEMS, DIM = 120, 60, 150  # more columns than are summed up at a time


@pytest.fixture(scope="module")
def user_items():
    return make_interactions(N_USERS, N_ITEMS, 1500, random_state=3).user_items


@pytest.fixture(scope="module")
def beside(user_items):
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((N_ITEMS, DIM)) * (rng.random((N_ITEMS, DIM)) < 0.1)
    matrix = sparse.csr_array(dense.astype(np.float32))
    table = SparseTable(matrix.indptr, matrix.indices.astype(np.uint8), matrix.data, DIM)
    return TableBeside(table, rng.random(N_ITEMS), rng.random(user_items.shape[0]))


def left_out(user_items, beside):
    """Scores (n_users, n_items), positives without their own share, all dense; and the histories."""
    X = (user_items.toarray() > 0).astype(float)
    V = beside.table.to_scipy().toarray().astype(float)
    scores = beside.of_user[:, None] * ((X * beside.of_item) @ V @ V.T)
    return X, scores - X * beside.of_user[:, None] * beside.of_item * np.square(V).sum(1)


def test_the_scores_of_an_item_over_the_users_of_others(user_items, beside):
    X, scores = left_out(user_items, beside)
    weights = np.maximum(X.sum(1), 1) ** -0.5
    expected = X.T @ (scores * weights[:, None])
    histories, order = rank_histories(user_items, 0.5)
    first = 4
    columns = [np.array([0, 2, 9]), np.array([], int), np.arange(N_ITEMS)]
    indptr = np.cumsum([0, *map(len, columns)])
    items = np.concatenate(columns).astype(np.int32)
    for n_jobs in (1, 2):
        with Workers(n_jobs) as workers:
            found = beside.in_order(order).scores_of(histories, first, indptr, items, workers)
        for c, column in enumerate(columns):
            of_column = found[indptr[c] : indptr[c + 1]]
            np.testing.assert_allclose(of_column, expected[order[column], order[first + c]], atol=1e-4)


def test_the_scale_is_that_of_least_squares(user_items, beside):
    X, scores = left_out(user_items, beside)
    weights = np.maximum(X.sum(1), 1)[:, None] ** -0.5
    histories, order = rank_histories(user_items, 0.5)
    expected = (weights * X * scores).sum() / (weights * scores**2).sum()
    assert beside.in_order(order).scale(histories) == pytest.approx(max(expected, 0), rel=1e-4, abs=1e-9)
    negative = TableBeside(beside.table, -beside.of_item, beside.of_user)
    assert (beside.in_order(order).scale(histories) == 0) != (negative.in_order(order).scale(histories) == 0)


def test_weights_are_fitted_to_what_the_table_leaves(user_items, beside):
    X, scores = left_out(user_items, beside)
    weights = np.maximum(X.sum(1), 1)[:, None] ** -0.5
    G, targets = X.T @ (X * weights), X.T @ ((X - scores) * weights)
    with Workers(1) as workers:
        table = fit_item_weights(
            user_items, None, support=N_ITEMS, regularization=7.0, beside=beside, workers=workers
        )
    found = table.to_scipy().toarray()
    penalty = 7 * np.sqrt(np.diag(G).sum() / X.sum())
    for j in range(0, N_ITEMS, 7):
        S = np.flatnonzero((G[:, j] > 0) & (np.arange(N_ITEMS) != j))
        system = G[np.ix_(S, S)] + penalty * np.diag(np.sqrt(np.diag(G)[S]))
        np.testing.assert_allclose(found[j, S], np.linalg.solve(system, targets[S, j]), atol=1e-3)
