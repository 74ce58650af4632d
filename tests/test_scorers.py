"""Propagated scores against the same computation on dense arrays, values and gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from tables_by_hand import dense, dense_gradient, mask, random_table

from sparserec_np.autograd import Parameter, Tape, total
from sparserec_np.data import make_interactions
from sparserec_np.scorers import DotScorer, PropagationScorer


@pytest.fixture
def setting():
    user_items = make_interactions(9, 14, 50, random_state=0).user_items
    return user_items, random_table(14, 6, 0.5, 3), PropagationScorer(user_items, 0.7, 0.3)


def dense_scores(V, user_items, user_rows, item_rows):
    """Each positive is scored without its own share of the user; negatives with the whole user."""
    X = user_items.toarray() > 0
    A = X * np.maximum(X.sum(0), 1.0) ** -0.7 * (np.maximum(X.sum(1), 1.0) ** -0.3)[:, None]
    scores = np.einsum("ed,emd->em", (A @ V)[user_rows], V[item_rows])
    positives = item_rows[:, 0]
    scores[:, 0] -= A[user_rows, positives] * (V[positives] ** 2).sum(1)
    return scores


def test_scores_and_gradient_equal_the_dense_computation(setting):
    user_items, table, scorer = setting
    rng = np.random.default_rng(0)
    pairs = user_items.tocoo()
    batch = rng.permutation(pairs.nnz)[:20]
    user_rows, positives = pairs.row[batch], pairs.col[batch]
    item_rows = np.column_stack([positives, rng.integers(14, size=(20, 3))]).astype(np.int32)
    g = rng.standard_normal(item_rows.shape)

    tape = Tape()
    items = tape.variable(Parameter(table))
    scores = scorer(None, items, user_rows, item_rows, rng)
    (gradient,) = tape.backward(total(scores * g), [items])

    V = dense(table)
    np.testing.assert_allclose(scores.value, dense_scores(V, user_items, user_rows, item_rows), rtol=1e-5)
    numeric = np.zeros_like(V)
    for row, column in zip(*np.nonzero(mask(table)), strict=True):
        moved = [V.copy(), V.copy()]
        moved[0][row, column] += 1e-5
        moved[1][row, column] -= 1e-5
        up, down = (np.sum(g * dense_scores(M, user_items, user_rows, item_rows)) for M in moved)
        numeric[row, column] = (up - down) / 2e-5
    np.testing.assert_allclose(dense_gradient(gradient, table), numeric, rtol=1e-4, atol=1e-6)


def test_dropout_leaves_whole_entries_of_histories_out(setting):
    user_items, table, _ = setting
    scorer = PropagationScorer(user_items, 0.7, 0.3, history_dropout=0.4)
    pairs = user_items.tocoo()
    everybody = np.unique(pairs.row)
    seed = np.random.SeedSequence(5)
    scores = scorer(None, Parameter(table), pairs.row, pairs.col[:, None], np.random.default_rng(seed))

    # The scorer draws one number an entry, in the order of the batch's users.
    stay = np.random.default_rng(seed).random(user_items[everybody].nnz) >= 0.4
    assert 0 < stay.sum() < len(stay)
    X = user_items.toarray() > 0
    A = X * np.maximum(X.sum(0), 1.0) ** -0.7 * (np.maximum(X.sum(1), 1.0) ** -0.3)[:, None]
    A[pairs.row, pairs.col] *= stay / 0.6
    V = dense(table)
    expected = np.einsum("ed,ed->e", (A @ V)[pairs.row], V[pairs.col])
    expected -= A[pairs.row, pairs.col] * (V[pairs.col] ** 2).sum(1)
    np.testing.assert_allclose(scores[:, 0], expected, rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(1, 12), st.integers(1, 5))
def test_every_example_is_in_one_batch_of_ascending_numbers(lengths, batch_size, neighbours):
    scorers = DotScorer(), PropagationScorer(sparse.csr_array(np.ones((2, 3), np.float32)), 0.7, 0.3)
    for scorer in scorers:
        batches = list(scorer.batches(np.array(lengths), batch_size, neighbours, np.random.default_rng(0)))
        assert all(len(batch) <= batch_size and (np.diff(batch) > 0).all() for batch in batches)
        np.testing.assert_array_equal(
            np.sort(np.concatenate([np.empty(0, int), *batches])), np.arange(sum(lengths))
        )


def test_batches_of_propagation_keep_users_together(setting):
    user_items, _, scorer = setting
    lengths = np.diff(user_items.indptr)
    users = np.repeat(np.arange(9), lengths)
    met = [set(users[batch]) for batch in scorer.batches(lengths, 5, 1, np.random.default_rng(1))]
    assert sum(map(len, met)) <= len(np.unique(users)) + len(met) - 1


def test_batches_of_dot_products_keep_neighbours_together_and_others_in_every_epoch():
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(20):
        batches = list(DotScorer().batches(np.array([400]), 40, 4, rng))
        assert sum(np.count_nonzero(np.diff(batch) > 1) for batch in batches) <= 101
        seen |= {tuple(batch) for batch in batches}
    assert len(seen) > 150


def test_positives_start_at_the_score_asked_for(setting):
    user_items, table, scorer = setting
    V = np.abs(dense(table))
    table.data[:] = np.abs(table.data)
    scorer.prepare(None, table, 3.0, np.random.default_rng(0))
    pairs = user_items.tocoo()
    scores = dense_scores(dense(table), user_items, pairs.row, pairs.col[:, None])
    assert scores.mean() == pytest.approx(3.0, rel=1e-4)
    assert (dense(table) > 0).sum() == (V > 0).sum()
