import numpy as np
import pytest
from scipy import sparse
from scipy.stats import chisquare

from sparserec_np.kernels.workers import Workers
from sparserec_np.sampling import NegativeSampler


def user_items_of(dense):
    return sparse.csr_array(np.array(dense, dtype=np.float32))


@pytest.fixture
def workers():
    with Workers(1) as workers:
        yield workers


def draw(sampler, users, negatives):
    out = np.full((len(users), 1 + negatives), -1, dtype=np.int32)
    sampler.fill(np.asarray(users, dtype=np.int32), out)
    assert (out[:, 0] == -1).all()  # the positives' column is left alone
    return out[:, 1:]


@pytest.mark.parametrize("power", [0.0, 0.75])
def test_no_negative_was_seen(power, workers):
    rng = np.random.default_rng(0)
    dense = rng.random((50, 30)) < 0.5
    dense[:, 29] = False
    dense[7, :29] = True  # who has all items but one
    sampler = NegativeSampler(user_items_of(dense), power, 5, workers)
    users = np.repeat(np.arange(50), 40)
    drawn = draw(sampler, users, 8)
    assert ((drawn >= 0) & (drawn < 30)).all()
    assert not dense[users[:, None], drawn].any()
    assert (drawn[users == 7] == 29).all()


def test_uniform_negatives_are_uniform_over_the_unseen(workers):
    dense = np.zeros((3, 20), dtype=bool)
    dense[1, [0, 1, 5, 19]] = True
    dense[2, ::2] = True
    sampler = NegativeSampler(user_items_of(dense), 0.0, 1, workers)
    for user in range(3):
        counts = np.bincount(draw(sampler, np.full(5000, user), 4).ravel(), minlength=20)
        assert (counts[dense[user]] == 0).all()
        assert chisquare(counts[~dense[user]]).pvalue > 1e-3


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_weighted_negatives_follow_the_power_of_popularity(power, workers):
    rng = np.random.default_rng(0)
    dense = rng.random((200, 12)) < np.linspace(0.02, 0.9, 12)
    dense[0] = False
    dense[0, 3] = True
    weights = (dense.sum(axis=0) + 1.0) ** power
    weights[3] = 0
    sampler = NegativeSampler(user_items_of(dense), power, 1, workers)
    counts = np.bincount(draw(sampler, np.zeros(20_000), 5).ravel(), minlength=12)
    assert counts[3] == 0
    unseen = np.arange(12) != 3
    expected = weights[unseen] / weights.sum() * counts.sum()
    assert chisquare(counts[unseen], expected).pvalue > 1e-3


@pytest.mark.parametrize("power", [0.0, 0.75])
def test_neither_threads_nor_the_cut_of_the_batches_matter(power):
    rng = np.random.default_rng(0)
    user_items = user_items_of(rng.random((50, 30)) < 0.3)
    users = rng.integers(50, size=2000)
    drawn = []
    for n_jobs, batches in ((1, [2000]), (2, [2000]), (3, [2000]), (2, [700, 1300])):
        with Workers(n_jobs) as workers:
            sampler = NegativeSampler(user_items, power, 9, workers)
            ends = np.cumsum(batches)
            drawn.append(
                np.concatenate(
                    [
                        draw(sampler, users[end - size : end], 3)
                        for end, size in zip(ends, batches, strict=True)
                    ]
                )
            )
    for other in drawn[1:]:
        np.testing.assert_array_equal(drawn[0], other)


def test_draws_differ_from_batch_to_batch_and_from_seed_to_seed(workers):
    user_items = user_items_of(np.zeros((4, 1000)))
    users = np.zeros(100)
    sampler = NegativeSampler(user_items, 0.0, 9, workers)
    first, second = draw(sampler, users, 3), draw(sampler, users, 3)
    other = draw(NegativeSampler(user_items, 0.0, 10, workers), users, 3)
    assert (first == second).mean() < 0.05
    assert (first == other).mean() < 0.05


def test_the_largest_seed_is_taken(workers):
    draw(NegativeSampler(user_items_of(np.zeros((2, 5))), 0.0, 2**63 - 1, workers), np.zeros(3), 2)
