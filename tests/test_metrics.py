import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_matrices import random_sparse
from scipy import sparse
from sklearn.metrics import (
    average_precision_score,
    label_ranking_average_precision_score,
    mean_absolute_error,
    mean_squared_error,
    ndcg_score,
)

from sparserec_np import metrics
from sparserec_np.errors import DataError, SettingError
from sparserec_np.ranking import Ranker

# Three users, six items. Each item is a column of its own, so a user's scores are the user's row itself.
ITEMS = sparse.csr_array(np.eye(6, dtype=np.float32))
SCORES = np.array(
    [
        [6, 5, 4, 3, 2, 1],  # ranks 0 1 2 3 4 5
        [1, 2, 3, 4, 5, 6],  # ranks 5 4 3 2 1 0
        [3, 3, 3, 3, 3, 3],  # all tied: 0 1 2 3 4 5
    ],
    dtype=np.float32,
)
USERS = sparse.csr_array(SCORES)


def pairs(shape, *entries):
    rows, columns = zip(*entries, strict=True) if entries else ((), ())
    return sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)


def random_problem(seed, n_users=30, n_items=25, dim=8):
    """Tables with many tied scores, disjoint train and test, some users without either."""
    rng = np.random.default_rng(seed)
    users = sparse.csr_array(rng.integers(-1, 2, (n_users, dim)).astype(np.float32))
    items = sparse.csr_array(rng.integers(-1, 2, (n_items, dim)).astype(np.float32))
    drawn = rng.random((n_users, n_items)) * rng.integers(0, 2, (n_users, 1))
    train = sparse.csr_array((drawn > 0.6).astype(np.float32))
    test = sparse.csr_array(((drawn > 0.3) & (drawn <= 0.45)).astype(np.float32))
    return users, items, train, test


def lists_by_sorting(users, items, exclude, k):
    popularity = np.bincount(exclude.indices, minlength=exclude.shape[1])
    lists = []
    for user, scores in enumerate((users @ items.T).toarray()):
        # Ties go by popularity, then by row.
        order = np.lexsort((np.arange(len(scores)), -popularity, -scores))
        seen = exclude[[user]].indices
        lists.append(order[~np.isin(order, seen)][:k])
    return lists


class TestRank:
    def test_best_first_and_ties_to_the_lower_row(self):
        ranking = metrics.rank(USERS, ITEMS, 3)
        np.testing.assert_array_equal(ranking.ids, [[0, 1, 2], [5, 4, 3], [0, 1, 2]])
        np.testing.assert_array_equal(ranking.scores, [[6, 5, 4], [6, 5, 4], [3, 3, 3]])
        np.testing.assert_array_equal(ranking.counts, [3, 3, 3])

    def test_ties_go_by_popularity_then_by_row(self):
        users = sparse.csr_array((3, 6), dtype=np.float32)
        ranking = metrics.rank(users, ITEMS, 4, popularity=[1, 2, 0, 2, 3, 1])
        np.testing.assert_array_equal(ranking.ids, [[4, 1, 3, 0]] * 3)
        ranking = metrics.rank(users, ITEMS, 3, exclude=pairs((3, 6), (0, 5), (1, 5), (2, 4), (2, 3)))
        np.testing.assert_array_equal(ranking.ids, [[3, 4, 0], [3, 4, 0], [5, 0, 1]])
        for wrong in ([1, 2], [[1] * 6], [-1] * 6, [np.nan] * 6, list("abcdef")):
            with pytest.raises(DataError, match="popularity is"):
                metrics.rank(users, ITEMS, 3, popularity=wrong)

    def test_excluded_items_are_no_candidates_whatever_value_is_stored(self):
        exclude = pairs((3, 6), (0, 0), (0, 2))
        exclude.data[:] = 0
        ranking = metrics.rank(USERS, ITEMS, 3, exclude=exclude)
        np.testing.assert_array_equal(ranking.ids[0], [1, 3, 4])

    def test_fewer_candidates_than_k(self):
        exclude = pairs((3, 6), *[(0, i) for i in range(5)], *[(1, i) for i in range(6)])
        ranking = metrics.rank(USERS, ITEMS, 8, exclude=exclude)
        np.testing.assert_array_equal(ranking.counts, [1, 0, 6])
        np.testing.assert_array_equal(ranking.ids[0], [5, -1, -1, -1, -1, -1, -1, -1])
        assert np.isnan(ranking.scores[0, 1:]).all()
        assert (ranking.ids[1] == -1).all()

    def test_bias_and_rows(self):
        ranking = metrics.rank(USERS, ITEMS, 1, rows=[2, 0, 2], item_bias=[0, 0, 0, 0, 0, 10])
        np.testing.assert_array_equal(ranking.rows, [2, 0, 2])
        np.testing.assert_array_equal(ranking.ids, [[5], [5], [5]])
        np.testing.assert_array_equal(ranking.scores, [[13], [11], [13]])

    def test_no_rows(self):
        ranking = metrics.rank(USERS, ITEMS, 4, rows=[])
        assert ranking.ids.shape == (0, 4)

    def test_empty_table_rows_score_zero(self):
        nobody = sparse.csr_array((1, 6), dtype=np.float32)
        ranking = metrics.rank(nobody, ITEMS, 2)
        np.testing.assert_array_equal(ranking.ids, [[0, 1]])
        np.testing.assert_array_equal(ranking.scores, [[0, 0]])

    def test_items_with_nan_scores_are_not_ranked(self):
        users = sparse.csr_array(np.array([[1, np.nan, 2, 3, 4, 5]], dtype=np.float32))
        ranking = metrics.rank(users, ITEMS, 6)
        np.testing.assert_array_equal(ranking.ids, [[5, 4, 3, 2, 0, -1]])

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10**6), k=st.integers(1, 30))
    def test_is_what_sorting_gives(self, seed, k):
        users, items, train, _ = random_problem(seed)
        ranking = metrics.rank(users, items, k, exclude=train)
        for i, expected in enumerate(lists_by_sorting(users, items, train, k)):
            np.testing.assert_array_equal(ranking.ids[i, : ranking.counts[i]], expected)

    def test_unsorted_columns_are_not_modified_and_rank_the_same(self):
        users, items, train, _ = random_problem(3)
        shuffled = users.copy()
        for user in range(users.shape[0]):
            part = slice(*users.indptr[user : user + 2])
            shuffled.indices[part] = users.indices[part][::-1]
            shuffled.data[part] = users.data[part][::-1]
        shuffled.has_sorted_indices = False
        shuffled.has_canonical_format = False
        before = shuffled.indices.copy()
        np.testing.assert_array_equal(
            metrics.rank(shuffled, items, 9, exclude=train).ids,
            metrics.rank(users, items, 9, exclude=train).ids,
        )
        np.testing.assert_array_equal(shuffled.indices, before)

    def test_number_of_threads_does_not_matter(self):
        rng = np.random.default_rng(0)
        users = random_sparse((500, 16), density=0.4, rng=rng, dtype=np.float32, format="csr")
        items = random_sparse((200, 16), density=0.4, rng=rng, dtype=np.float32, format="csr")
        one = metrics.rank(users, items, 15, n_jobs=1)
        for n_jobs in (2, 3):
            several = metrics.rank(users, items, 15, n_jobs=n_jobs)
            np.testing.assert_array_equal(one.ids, several.ids)
            np.testing.assert_array_equal(one.scores, several.scores)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"k": 0}, SettingError, "k is 0"),
            ({"items": sparse.csr_array(np.eye(5, dtype=np.float32))}, DataError, "dim 6.*dim 5"),
            ({"exclude": pairs((6, 3))}, DataError, r"exclude has shape \(6, 3\); expected \(3, 6\)"),
            ({"item_bias": [1.0]}, DataError, r"item_bias has shape \(1,\)"),
            ({"rows": [3]}, DataError, "rows.*0 to 2"),
            ({"rows": [-1]}, DataError, "rows.*0 to 2"),
            ({"users": SCORES}, DataError, "users is a ndarray"),
        ],
    )
    def test_refused(self, arguments, error, message):
        with pytest.raises(error, match=message):
            metrics.rank(**{"users": USERS, "items": ITEMS, "k": 2, **arguments})


class TestPerUser:
    # Hits at ranks 1 and 3 of 4; three items held out.
    HITS = np.array([[True, False, True, False]])
    HELD_OUT = np.array([3])

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("recall", 2 / 3),
            ("precision", 2 / 4),
            ("ndcg", (1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2)),
            ("map", (1 / 1 + 2 / 3) / 3),
            ("mrr", 1.0),
            ("hit_rate", 1.0),
        ],
    )
    def test_by_hand(self, name, expected):
        np.testing.assert_allclose(metrics.RANKING_METRICS[name](self.HITS, self.HELD_OUT), [expected])

    def test_first_hit_at_rank_three(self):
        np.testing.assert_allclose(
            metrics.reciprocal_rank(np.array([[False, False, True, True]]), np.array([2])), [1 / 3]
        )

    @pytest.mark.parametrize("name", metrics.RANKING_METRICS)
    def test_no_hit_is_zero(self, name):
        assert metrics.RANKING_METRICS[name](np.zeros((1, 5), bool), np.array([2])) == [0]

    @pytest.mark.parametrize("name", ["precision", "ndcg", "map", "mrr", "hit_rate"])
    def test_only_hits_is_one_even_if_more_than_k_are_held_out(self, name):
        assert metrics.RANKING_METRICS[name](np.ones((1, 5), bool), np.array([9])) == pytest.approx([1])

    def test_recall_divides_by_all_held_out(self):
        assert metrics.recall(np.ones((1, 5), bool), np.array([10])) == [0.5]


class TestEvaluate:
    def test_by_hand(self):
        # User 0 sees 1 2 3 (0 is trained on), of which 2 is held out, as is 5.
        # User 1 sees 5 4 3, of which 5 is held out. User 2 has nothing held out and does not count.
        train = pairs((3, 6), (0, 0))
        test = pairs((3, 6), (0, 2), (0, 5), (1, 5))
        result = metrics.evaluate(USERS, ITEMS, train, test, k=3)
        second = 1 / np.log2(3)
        assert result == pytest.approx(
            {
                "recall@3": (1 / 2 + 1) / 2,
                "precision@3": 1 / 3,
                "ndcg@3": (second / (1 + second) + 1) / 2,
                "map@3": (1 / 2 / 2 + 1) / 2,
                "mrr@3": (1 / 2 + 1) / 2,
                "hit_rate@3": 1.0,
                "coverage@3": 5 / 6,
                "n_users": 2,
            }
        )

    def test_several_lengths_are_what_each_is_alone(self):
        users, items, train, test = random_problem(5)
        together = metrics.evaluate(users, items, train, test, k=(10, 3))
        alone = {
            **metrics.evaluate(users, items, train, test, k=3),
            **metrics.evaluate(users, items, train, test, k=10),
        }
        assert together == pytest.approx(alone)

    @pytest.mark.parametrize("block", [1, 4, 10**6])
    def test_size_of_the_blocks_does_not_matter(self, block, monkeypatch):
        problem = random_problem(6)
        expected = metrics.evaluate(*problem, k=5)
        monkeypatch.setattr(Ranker, "block_size", lambda *_: block)
        assert metrics.evaluate(*problem, k=5) == pytest.approx(expected)

    def test_more_slots_than_items(self):
        result = metrics.evaluate(USERS, ITEMS, None, pairs((3, 6), (0, 3)), k=50)
        assert result["recall@50"] == 1
        assert result["coverage@50"] == 1
        assert result["precision@50"] == 1 / 50

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 10**6), k=st.integers(1, 30))
    def test_brute_force(self, seed, k):
        users, items, train, test = random_problem(seed)
        if test.nnz == 0:
            return
        sums, recommended, n = dict.fromkeys(metrics.RANKING_METRICS, 0.0), set(), 0
        for user, ranked in enumerate(lists_by_sorting(users, items, train, k)):
            wanted = set(test[[user]].indices.tolist())
            if not wanted:
                continue
            n += 1
            ranked = ranked.tolist()
            recommended.update(ranked)
            hit_ranks = [rank for rank, item in enumerate(ranked, start=1) if item in wanted]
            ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
            sums["recall"] += len(hit_ranks) / len(wanted)
            sums["precision"] += len(hit_ranks) / k
            sums["ndcg"] += sum(1 / np.log2(rank + 1) for rank in hit_ranks) / ideal
            sums["map"] += sum((i + 1) / rank for i, rank in enumerate(hit_ranks)) / min(k, len(wanted))
            sums["mrr"] += 1 / hit_ranks[0] if hit_ranks else 0
            sums["hit_rate"] += bool(hit_ranks)
        expected = {f"{name}@{k}": total / n for name, total in sums.items()}
        expected |= {f"coverage@{k}": len(recommended) / 25, "n_users": n}
        assert metrics.evaluate(users, items, train, test, k) == pytest.approx(expected)

    def test_repeated_and_unsorted_test_pairs_count_once(self):
        test = sparse.csr_array((np.ones(3), np.array([5, 2, 5]), np.array([0, 3, 3, 3])), shape=(3, 6))
        once = pairs((3, 6), (0, 2), (0, 5))
        assert metrics.evaluate(USERS, ITEMS, None, test, 3) == metrics.evaluate(USERS, ITEMS, None, once, 3)
        np.testing.assert_array_equal(test.indices, [5, 2, 5])

    def test_nothing_held_out_is_refused(self):
        with pytest.raises(DataError, match="nothing is held out"):
            metrics.evaluate(USERS, ITEMS, None, pairs((3, 6)), 3)

    def test_matrix_the_wrong_way_round_is_refused(self):
        with pytest.raises(DataError, match=r"test has shape \(6, 3\); expected \(3, 6\)"):
            metrics.evaluate(USERS, ITEMS, None, pairs((6, 3), (0, 0)), 3)

    @pytest.mark.parametrize("k", [0, -1, [], [5, 0]])
    def test_bad_k_is_refused(self, k):
        with pytest.raises(SettingError, match="k is"):
            metrics.evaluate(USERS, ITEMS, None, pairs((3, 6), (0, 0)), k)


class TestAgainstScikitLearn:
    @pytest.fixture
    def problem(self):
        """Different scores everywhere, since scikit-learn averages over ties."""
        rng = np.random.default_rng(2)
        scores = rng.permuted(np.tile(np.arange(1, 41, dtype=np.float32), (50, 1)), axis=1)
        relevant = rng.random((50, 40)) < 0.2
        relevant[:, 0] |= ~relevant.any(axis=1)
        return scores, relevant, sparse.csr_array(np.eye(40, dtype=np.float32))

    @pytest.mark.parametrize("k", [1, 5, 20, 40])
    def test_ndcg(self, problem, k):
        scores, relevant, items = problem
        result = metrics.evaluate(sparse.csr_array(scores), items, None, sparse.csr_array(relevant), k)
        assert result[f"ndcg@{k}"] == pytest.approx(ndcg_score(relevant, scores, k=k))

    def test_map_over_the_whole_catalogue(self, problem):
        scores, relevant, items = problem
        result = metrics.evaluate(sparse.csr_array(scores), items, None, sparse.csr_array(relevant), 40)
        expected = np.mean([average_precision_score(r, s) for r, s in zip(relevant, scores, strict=True)])
        assert result["map@40"] == pytest.approx(expected)
        assert result["map@40"] == pytest.approx(label_ranking_average_precision_score(relevant, scores))

    def test_rating_errors(self):
        rng = np.random.default_rng(3)
        observed, predicted = rng.normal(size=(2, 100))
        assert metrics.rmse(observed, predicted) == pytest.approx(
            np.sqrt(mean_squared_error(observed, predicted))
        )
        assert metrics.mae(observed, predicted) == pytest.approx(mean_absolute_error(observed, predicted))


class TestPopularity:
    def test_by_hand(self):
        # Order 2 0 1 3 4 5 (0 and 1 are tied); user 0 has 2 already and sees 0 1.
        result = metrics.evaluate_popularity(
            [5, 5, 9, 2, 1, 0], pairs((2, 6), (0, 2)), pairs((2, 6), (0, 1), (1, 3)), k=2
        )
        assert result["recall@2"] == 0.5
        assert result["mrr@2"] == 0.25
        assert result["coverage@2"] == 3 / 6
        assert result["n_users"] == 2

    def test_tells_counts_apart_that_float32_does_not(self):
        result = metrics.evaluate_popularity(np.array([2**24, 2**24 + 1]), None, pairs((1, 2), (0, 1)), k=1)
        assert result["recall@1"] == 1


class TestEvaluateRanking:
    def test_is_what_evaluate_gives(self):
        users, items, train, test = random_problem(8)
        ranking = metrics.rank(users, items, 10, exclude=train)
        assert metrics.evaluate_ranking(ranking, test, (5, 10)) == pytest.approx(
            metrics.evaluate(users, items, train, test, (5, 10))
        )

    def test_too_short_a_ranking_is_refused(self):
        with pytest.raises(SettingError, match="2 slots per user; k is 3"):
            metrics.evaluate_ranking(metrics.rank(USERS, ITEMS, 2), pairs((3, 6), (0, 0)), 3)

    def test_ranked_users_without_held_out_items_are_refused(self):
        with pytest.raises(DataError, match="none of the ranked users"):
            metrics.evaluate_ranking(metrics.rank(USERS, ITEMS, 2, rows=[1]), pairs((3, 6), (0, 0)), 2)


def test_rating_errors_by_hand():
    assert metrics.rmse([1, 2, 3], [1, 2, 6]) == pytest.approx(np.sqrt(3))
    assert metrics.mae([1, 2, 3], [1, 2, 6]) == 1
    with pytest.raises(DataError, match=r"shape \(2,\), predicted \(3,\)"):
        metrics.rmse([1, 2], [1, 2, 3])


def test_memory_is_bounded_by_blocks():
    """Far below one float per user and item, and below all users' lists at once."""
    rng = np.random.default_rng(0)
    n_users, n_items = 40_000, 2_000
    users = random_sparse((n_users, 8), density=0.2, rng=rng, dtype=np.float32, format="csr")
    items = random_sparse((n_items, 8), density=0.2, rng=rng, dtype=np.float32, format="csr")
    test = sparse.csr_array(
        (np.ones(n_users), (np.arange(n_users), rng.integers(0, n_items, n_users))), (n_users, n_items)
    )
    metrics.evaluate(users[:10], items, None, test[:10], 20)  # compiled
    tracemalloc.start()
    metrics.evaluate(users, items, None, test, 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30e6  # the scores alone would be 320e6 bytes
