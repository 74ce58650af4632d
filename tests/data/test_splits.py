"""Splits: nothing lost, nothing twice, nobody unknown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.data import Interactions, make_interactions, split_last, split_random
from sparserec_np.errors import DataError, SettingError


@st.composite
def interactions(draw):
    pairs = draw(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40))
    users, items = zip(*sorted(pairs), strict=True)
    times = draw(st.lists(st.integers(0, 5), min_size=len(users), max_size=len(users)))
    return Interactions.from_arrays(users, items, np.arange(1, len(users) + 1), times)


def lengths(part):
    return np.diff(part.user_items.indptr)


def check_partition(whole, train, held_out):
    for part in (train, held_out):
        assert part.user_items.shape == whole.user_items.shape
        assert part.users is whole.users
        assert part.items is whole.items
        assert part.user_items.has_sorted_indices
        assert part.times.size == part.n_interactions
    together = train.user_items + held_out.user_items
    assert together.nnz == train.n_interactions + held_out.n_interactions == whole.n_interactions
    assert (together != whole.user_items).nnz == 0
    at = whole.user_items.copy()
    at.data = whole.times + 1
    for part in (train, held_out):
        coo = part.user_items.tocoo()
        assert np.array_equal(at.toarray()[coo.row, coo.col], part.times + 1)


def check_known(train, held_out):
    users, items = held_out.user_items.nonzero()
    assert np.isin(items, train.user_items.nonzero()[1]).all()
    assert np.isin(users, train.user_items.nonzero()[0]).all()


@given(interactions(), st.floats(0.01, 0.99), st.integers(0, 99), st.booleans())
def test_random(whole, fraction, seed, allow_unknown):
    train, held_out = split_random(whole, fraction, seed, allow_unknown)
    check_partition(whole, train, held_out)
    wished = np.floor(lengths(whole) * fraction + 0.5)
    if allow_unknown:
        assert np.array_equal(lengths(held_out), wished)
    else:
        check_known(train, held_out)
        assert (lengths(train) >= 1).all()
        assert (lengths(held_out) <= wished).all()


@given(interactions(), st.integers(1, 4), st.booleans())
def test_last(whole, n, allow_unknown):
    train, held_out = split_last(whole, n, allow_unknown)
    check_partition(whole, train, held_out)
    if allow_unknown:
        assert np.array_equal(lengths(held_out), np.minimum(lengths(whole), n))
        for row in range(whole.n_users):
            begin, end = train.user_items.indptr[row : row + 2]
            its_begin, its_end = held_out.user_items.indptr[row : row + 2]
            if end > begin:
                assert train.times[begin:end].max() <= held_out.times[its_begin:its_end].min()
    else:
        check_known(train, held_out)
        assert (lengths(train) >= 1).all()
        assert (lengths(held_out) <= n).all()


def test_one_interaction_of_an_unknown_item_goes_back():
    # Item 9 is everybody's last; user 2 had it first.
    whole = Interactions.from_arrays([1, 1, 2, 2, 3, 3], [5, 9, 5, 9, 5, 9], times=[0, 30, 0, 10, 0, 20])
    train, held_out = split_last(whole)
    assert held_out.user_items.toarray().tolist() == [[0, 1], [0, 0], [0, 1]]
    assert train.user_items.toarray().tolist() == [[1, 0], [1, 1], [1, 0]]


def test_equal_times_are_decided_by_item():
    whole = Interactions.from_arrays([1, 1, 1], [3, 1, 2], times=[5, 5, 5])
    _, held_out = split_last(whole, allow_unknown=True)
    assert held_out.user_items.toarray().tolist() == [[0, 0, 1]]


def test_random_is_random_and_repeats():
    whole = make_interactions(200, 50, 3000, random_state=0)
    same = [split_random(whole, 0.3, 5)[1].user_items.indices for _ in range(2)]
    assert np.array_equal(*same)
    generator = split_random(whole, 0.3, np.random.default_rng(5))[1].user_items.indices
    assert np.array_equal(generator, same[0])
    assert not np.array_equal(split_random(whole, 0.3, 6)[1].user_items.indices, same[0])
    # Each place in a user's row is as likely as another to be held out.
    first = sum(
        split_random(whole, 0.3, seed)[1].user_items.indices[0] == whole.user_items.indices[0]
        for seed in range(200)
    )
    assert 30 < first < 90


def test_short_histories_are_left_whole():
    whole = make_interactions(200, 50, 3000, random_state=0)
    lengths = np.diff(whole.user_items.indptr)
    least = int(np.median(lengths)) + 1
    train, held_out = split_random(whole, 0.4, 0, least=least)
    n_held = np.diff(held_out.user_items.indptr)
    assert 0 < np.count_nonzero(lengths < least) < len(lengths)
    assert not n_held[lengths < least].any()
    assert n_held[lengths >= least].any()
    assert (np.diff(train.user_items.indptr) + n_held).tolist() == lengths.tolist()
    few = split_random(whole, 0.4, 0, least=least, n_users=3)[1]
    assert np.count_nonzero(np.diff(few.user_items.indptr)) <= 3
    with pytest.raises(SettingError, match="least is 0; expected 1 or more"):
        split_random(whole, least=0)


def test_wrong_settings():
    whole = make_interactions(5, 5, 10, random_state=0)
    with pytest.raises(DataError, match=r"no times.*split_random"):
        split_last(whole)
    timed = make_interactions(5, 5, 10, times=True, random_state=0)
    with pytest.raises(SettingError, match="n is 0"):
        split_last(timed, 0)
    for fraction in (0, 1, -0.1, float("nan")):
        with pytest.raises(SettingError, match="fraction is"):
            split_random(whole, fraction)


def test_interactions_are_not_modified():
    whole = make_interactions(20, 20, 100, times=True, random_state=0)
    before = whole.user_items.copy(), whole.times.copy()
    for train, held_out in (split_random(whole, random_state=0), split_last(whole)):
        train.user_items.data[:] = 7
        held_out.times[:] = 7
    assert (whole.user_items != before[0]).nnz == 0
    assert np.array_equal(whole.times, before[1])
