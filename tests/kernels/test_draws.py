import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparserec_np.kernels.draws import STRIDE, build_alias, draw_uniform, draw_weighted, take_examples


def alias_table(weights):
    keep, alias = np.empty(len(weights)), np.empty(len(weights), dtype=np.int32)
    build_alias(weights, keep, alias)
    return keep, alias


@given(
    hnp.arrays(np.float64, st.integers(1, 50), elements=st.just(0.0) | st.floats(1e-9, 1e6)).filter(
        lambda weights: weights.sum() > 0
    )
)
def test_an_alias_table_has_exactly_the_distribution(weights):
    keep, alias = alias_table(weights)
    n = len(weights)
    assert ((keep >= 0) & (keep <= 1)).all()
    assert ((alias >= 0) & (alias < n)).all()
    probability = keep / n
    np.add.at(probability, alias, (1 - keep) / n)
    np.testing.assert_allclose(probability, weights / weights.sum(), atol=1e-12)


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_equal_weights_need_no_alias(n):
    keep, _ = alias_table(np.full(n, 0.3))
    np.testing.assert_allclose(keep, 1)


def seen_by(*histories):
    indptr = np.append(0, np.cumsum([len(history) for history in histories])).astype(np.int32)
    return indptr, np.array([item for history in histories for item in history], dtype=np.int32)


@given(
    n_items=st.integers(1, 30) | st.integers(100, 400),
    seen=st.sets(st.integers(0, 29)) | st.sets(st.integers(0, 399), min_size=60),
    others=st.integers(0, 400),
    seed=st.integers(0, 2**64 - 1),
    first_number=st.integers(0, 2**40),
)
def test_uniform_draws_are_unseen_items(n_items, seen, others, seed, first_number):
    seen = sorted(item for item in seen if item < n_items)
    if len(seen) == n_items:
        return
    # What others have seen lies before and behind.
    before, behind = range(min(others, n_items)), range(max(0, n_items - others), n_items)
    indptr, items = seen_by(before, seen, behind)
    out = np.full((4, 6), -1, dtype=np.int32)
    draw_uniform(0, 4, np.uint64(seed), first_number, np.ones(4, np.int32), indptr, items, n_items, out)
    assert (out[:, 0] == -1).all()
    negatives = out[:, 1:]
    assert ((negatives >= 0) & (negatives < n_items)).all()
    assert not np.isin(negatives, seen).any()


def test_a_part_writes_nothing_outside_of_it():
    indptr, items = seen_by([1])
    out = np.full((10, 3), -1, dtype=np.int32)
    draw_uniform(3, 6, np.uint64(0), 0, np.zeros(10, np.int32), indptr, items, 4, out)
    assert (out[:3] == -1).all()
    assert (out[6:] == -1).all()
    assert (out[3:6, 1:] >= 0).all()


def test_the_fallback_finds_the_one_unseen_item_however_unpopular():
    indptr, items = seen_by([0, 1, 2, 4])
    keep, alias = alias_table(np.array([1.0, 1.0, 1.0, 1e-12, 1.0]))
    out = np.zeros((20, 5), dtype=np.int32)
    draw_weighted(0, 20, np.uint64(1), 0, np.zeros(20, np.int32), indptr, items, 5, keep, alias, out)
    assert (out[:, 1:] == 3).all()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_examples_are_taken_with_their_users_from_any_part_of_a_batch(lengths, seed):
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    batch = np.flatnonzero(rng.random(len(owners)) < 0.5)
    all_items, all_weights = rng.integers(1000, size=len(owners)), rng.random(len(owners))
    users, items, weights = np.full(len(batch), -1), np.full((len(batch), 2), -1), np.zeros(len(batch))
    ends, landmarks = np.cumsum(lengths), owners[::STRIDE].astype(np.int32)
    cut = int(rng.integers(len(batch) + 1))
    for start, stop in ((0, cut), (cut, len(batch))):
        take_examples(start, stop, batch, ends, landmarks, all_items, all_weights, users, items, weights)
    np.testing.assert_array_equal(users, owners[batch])
    np.testing.assert_array_equal(items[:, 0], all_items[batch])
    assert (items[:, 1] == -1).all()
    np.testing.assert_array_equal(weights, all_weights[batch])
