"""Teachers' scores against dense references, and that they do not remember what they are asked about."""

import numpy as np
import pytest
from scipy import sparse

from sparserec_np import SparseBPR, SparseGraph
from sparserec_np.calibration import calibrate, sample_examples
from sparserec_np.data import make_interactions
from sparserec_np.errors import SettingError
from sparserec_np.kernels.teaching import sum_over_history
from sparserec_np.kernels.workers import Workers
from sparserec_np.sampling import NegativeSampler
from sparserec_np.teachers import EASE_LIMIT, TEACHERS, AlsTeacher, EaseTeacher, SpectralTeacher, TableTeacher


@pytest.fixture(scope="module")
def workers():
    with Workers(1) as one:
        yield one


@pytest.fixture(scope="module")
def user_items():
    return make_interactions(60, 40, 700, n_tastes=3, random_state=5).user_items


@pytest.fixture(scope="module")
def batch(user_items):
    """All positives, with all items behind each."""
    pairs = user_items.tocoo()
    everything = np.tile(np.arange(user_items.shape[1], dtype=np.int32), (pairs.nnz, 1))
    return pairs.row.astype(np.int32), np.column_stack([pairs.col, everything]).astype(np.int32)


def without(user_items, user, item=None):
    """The interactions as a dense array, without a user's, or one of them."""
    X = user_items.toarray() > 0
    X[user, slice(None) if item is None else item] = False
    return X.astype(float)


def make(name, user_items, workers, seed=0, **settings):
    return TEACHERS[name](user_items, rng=np.random.default_rng(seed), workers=workers, **settings)


def test_ease_scores_each_user_by_a_regression_that_has_not_seen_them(user_items, batch, workers):
    teacher = make("ease", user_items, workers, regularizations=(20.0,))
    users, items = batch
    scores = teacher.scores(users, items)
    assert scores.dtype == np.float32
    X = user_items.toarray() > 0
    for e in (0, 99, len(users) - 1):
        others = without(user_items, users[e])
        for j, item in enumerate(items[e]):
            # The regression of one item on the rest, from all users but this one.
            rest = np.delete(np.arange(X.shape[1]), item)
            gram = others[:, rest].T @ others[:, rest] + 20 * np.eye(len(rest))
            weights = np.linalg.solve(gram, others[:, rest].T @ others[:, item])
            expected = X[users[e], rest] @ weights
            if j and X[users[e], item]:
                expected -= 1  # only the first column is told that it holds a positive
            assert scores[e, j] == pytest.approx(expected, abs=1e-4)


def test_spectral_scores_equal_the_dense_filter(user_items, batch, workers):
    teacher = make("spectral", user_items, workers, ranks=(3,), n_folds=3)
    users, items = batch
    scores = teacher.scores(users, items)
    assert scores.dtype == np.float32
    X = (user_items.toarray() > 0).astype(float)
    folds = np.random.default_rng(0).permutation(60) % 3
    roots = np.sqrt(np.maximum(X.sum(0), 1))
    for e in (0, 50, len(users) - 1):
        user, positive = users[e], items[e, 0]
        others = X[folds != folds[user]]
        normalised = others / np.sqrt(others.sum(1, keepdims=True)) / np.sqrt(np.maximum(others.sum(0), 1))
        vectors = np.linalg.svd(normalised)[2][:3].T
        passed = vectors @ vectors.T / roots[:, None] * roots
        history = X[user].copy()
        np.testing.assert_allclose(scores[e, 1:], history @ passed, atol=5e-3)
        history[positive] = 0
        assert scores[e, 0] == pytest.approx((history @ passed)[positive], abs=5e-3)


def ridge_scores(history, items, regularization=3.0, confidence=5.0):
    """Scores of all items by the weighted regression of a history on them."""
    weights = 1 + (confidence - 1) * history
    matrix = items.T @ (weights[:, None] * items) + regularization * np.eye(items.shape[1])
    return items @ np.linalg.solve(matrix, items.T @ (confidence * history))


def test_als_scores_each_user_by_a_regression_on_items_of_the_other_folds(user_items, batch, workers):
    settings = {"dim": 4, "regularizations": (3.0,), "confidence": 5.0, "n_folds": 3}
    teacher = make("als", user_items, workers, **settings)
    users, items = batch
    scores = teacher.scores(users, items)
    assert scores.dtype == np.float32
    X = (user_items.toarray() > 0).astype(float)
    folds = np.random.default_rng(0).permutation(60) % 3
    for e in (0, 50, len(users) - 1):
        user, positive = users[e], items[e, 0]
        theirs = teacher._items[folds[user]].astype(float)
        np.testing.assert_allclose(scores[e, 1:], ridge_scores(X[user], theirs), atol=1e-5)
        # The positive is not taken out, it is a 0 among the others.
        expected = ridge_scores(without(user_items, user, positive)[user], theirs)[positive]
        assert scores[e, 0] == pytest.approx(expected, abs=1e-5)


def test_als_minimises_the_weighted_squared_error_of_the_other_folds(user_items, workers):
    """No row of items can be moved to a smaller loss; nor were they made with the users of the fold."""
    teacher = make(
        "als", user_items, workers, dim=3, regularizations=(3.0,), confidence=5.0, n_iterations=300, n_folds=2
    )
    X = (user_items.toarray() > 0).astype(float)
    folds = np.random.default_rng(0).permutation(60) % 2
    for fold in range(2):
        others, items = X[folds != fold], teacher._items[fold].astype(float)
        people = np.array(
            [
                np.linalg.solve(
                    items.T @ ((1 + 4 * row)[:, None] * items) + 3 * np.eye(3), items.T @ (5 * row)
                )
                for row in others
            ]
        )
        for item in range(X.shape[1]):
            row = others[:, item]
            best = np.linalg.solve(
                people.T @ ((1 + 4 * row)[:, None] * people) + 3 * np.eye(3), people.T @ (5 * row)
            )
            np.testing.assert_allclose(items[item], best, atol=2e-3)


def test_a_mixture_is_the_mean_of_its_teachers_logits(user_items, batch, workers):
    users, items = batch
    rng = np.random.default_rng(0)
    examples = sample_examples(
        user_items, NegativeSampler(user_items, 0.0, int(rng.integers(2**63)), workers), 32, rng
    )
    expected = np.zeros(items.shape)
    for kind in (AlsTeacher, EaseTeacher):
        teacher = kind(user_items, rng=rng, workers=workers)
        expected += calibrate(teacher.scores(*examples)).scale * teacher.scores(users, items) / 2
    np.testing.assert_allclose(
        make("als+ease", user_items, workers).scores(users, items), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", TEACHERS)
def test_what_a_user_has_is_not_remembered(name, user_items, batch, workers):
    """Whether a pair is there or not does not change how it is scored as a positive or as another item."""
    settings = {"ease": {"regularizations": (20.0,)}, "spectral": {"ranks": (6,)}}.get(name, {})
    user, item = 7, int(user_items[[7]].indices[0])
    removed = sparse.csr_array(without(user_items, user, item), dtype=np.float32)
    rows, pair = np.array([user], np.int32), np.array([[item, item]], np.int32)
    with_it = make(name, user_items, workers, **settings).scores(rows, pair)[0, 0]
    without_it = make(name, removed, workers, **settings).scores(rows, pair)[0, 1]
    # For spectral the item's popularity is that of all users, in both; one less is all that changes. A
    # mixture draws the examples that scales are found on from other interactions.
    assert with_it == pytest.approx(without_it, rel=0.1 if name in ("spectral", "als+ease") else 1e-4)


def test_constants_are_chosen_by_what_was_left_out(workers):
    # Tastes with much noise: a decomposition of full rank would only repeat what it has seen.
    user_items = make_interactions(300, 80, 3000, n_tastes=4, random_state=1).user_items
    assert make("spectral", user_items, workers, ranks=(4, 8, 80)).rank < 80
    chosen = make("ease", user_items, workers, regularizations=(0.1, 1.0, 20.0, 100.0, 1e6))
    assert 0.1 < chosen.regularization < 1e6
    chosen = make("als", user_items, workers, regularizations=(0.1, 10.0, 25.0, 1e6))
    assert 0.1 < chosen.regularization < 1e6


def test_large_catalogues_are_refused_with_the_alternative(workers):
    wide = sparse.csr_array(np.ones((1, 1), np.float32))
    wide.resize(2, EASE_LIMIT + 1)
    with pytest.raises(SettingError, match=r"10,001 items; expected at most 10,000.*teacher 'spectral'"):
        make("ease", wide, workers)


def test_sums_over_a_history_are_the_same_bits_in_whole_rows_and_looked_up():
    rng = np.random.default_rng(0)
    user_items = make_interactions(30, 40, 300, random_state=0).user_items
    matrix = rng.standard_normal((40, 40), dtype=np.float32)
    users = np.repeat(np.arange(30), 20)
    items = rng.integers(40, size=(len(users), 3))
    together, one_by_one = np.empty(items.shape), np.empty(items.shape)
    arguments = user_items.indptr, user_items.indices, matrix, users, items
    # Sixty numbers of a user are summed up in whole rows, three of them are looked up.
    sum_over_history(0, len(users), *arguments, together)
    for e in range(len(users)):
        sum_over_history(e, e + 1, *arguments, one_by_one)
    assert together.tobytes() == one_by_one.tobytes()
    expected = (user_items.toarray() > 0) @ matrix.astype(float)
    np.testing.assert_allclose(together, expected[users[:, None], items], atol=1e-9)


@pytest.mark.parametrize("name", TEACHERS)
def test_scores_do_not_depend_on_the_number_of_threads(name):
    user_items = make_interactions(400, 300, 9000, random_state=0).user_items
    pairs = user_items.tocoo()
    users, items = pairs.row.astype(np.int32), np.column_stack([pairs.col, pairs.col[::-1]]).astype(np.int32)
    found = []
    for n_jobs in (1, 3):
        with Workers(n_jobs) as workers:
            found.append(make(name, user_items, workers).scores(users, items).tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("estimator", [SparseBPR, SparseGraph])
def test_an_estimator_scores_as_its_tables_do(estimator, batch, user_items, workers):
    model = estimator(dim=8, density=0.5, epochs=2, random_state=0).fit(user_items)
    scorer = model._scorer(model_data := _interactions(user_items))
    teacher = TableTeacher(scorer, model.users_, model.items_, workers)
    users, items = batch
    scores = teacher.scores(users, items)
    people = scorer.represent(model.users_, model.items_, np.arange(model_data.n_users)).toarray()
    rows = model.items_.to_scipy().toarray()
    np.testing.assert_allclose(scores[:, 1:], (people @ rows.T)[users], rtol=1e-4, atol=1e-4)
    assert teacher.leaves_out == (estimator is SparseGraph)
    same = np.allclose(scores[:, 0], (people @ rows.T)[users, items[:, 0]], rtol=1e-4, atol=1e-4)
    assert same == (not teacher.leaves_out)


def _interactions(user_items):
    from sparserec_np import Interactions

    return Interactions.from_matrix(user_items)


def test_teachers_of_their_own_name():
    assert list(TEACHERS) == ["spectral", "ease", "als", "als+ease"]
    assert (TEACHERS["spectral"], TEACHERS["ease"], TEACHERS["als"]) == (
        SpectralTeacher,
        EaseTeacher,
        AlsTeacher,
    )


@pytest.mark.parametrize("name", TEACHERS)
def test_named_teachers_leave_the_positive_out(name, user_items, workers):
    assert make(name, user_items, workers).leaves_out


@pytest.mark.parametrize("name", TEACHERS)
@pytest.mark.parametrize("shape", [(1, 5), (2, 3), (3, 40)])
def test_little_data_give_finite_scores(name, shape, workers):
    matrix = np.zeros(shape, np.float32)
    matrix[:, :2] = 1
    user_items = sparse.csr_array(matrix)
    users, items = np.zeros(1, np.int32), np.array([[0, 1, 2]], np.int32)
    assert np.isfinite(make(name, user_items, workers).scores(users, items)).all()
