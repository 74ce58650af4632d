import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np import shuffling
from sparserec_np.shuffling import RandomOrder, shuffled


@given(st.integers(1, 300) | st.sampled_from([1 << 10, (1 << 10) + 1, 5000]), st.integers(0, 2**63 - 1))
def test_every_number_comes_once_however_the_order_is_cut(n, key):
    order = RandomOrder(n, key)
    whole = order[0:n]
    assert len(order) == n
    np.testing.assert_array_equal(np.sort(whole), np.arange(n))
    np.testing.assert_array_equal(np.concatenate([order[s : s + 7] for s in range(0, n, 7)]), whole)
    assert order[n : n + 5].size == 0


def test_orders_are_random():
    n = 50
    orders = np.stack([RandomOrder(n, key)[0:n] for key in range(4000)])
    # Every number is at every place as often, and next to every other one as often; five standard errors.
    for counted in (orders[:, 0] * n + orders[:, 1], orders[:, 17] * n + orders[:, 44]):
        singles = np.bincount(counted // n, minlength=n)
        assert abs(singles - 80).max() < 5 * np.sqrt(80)
        pairs = np.bincount(counted, minlength=n * n)
        chance = 4000 / (n * (n - 1))
        off = pairs.reshape(n, n)[~np.eye(n, dtype=bool)]
        assert np.square(off - chance).sum() / chance == pytest.approx(len(off), rel=0.15)


def test_places_say_nothing_of_numbers():
    n = 100_000
    order = RandomOrder(n, 7)[0:n]
    for lag in (1, 2, 1 << 8):
        assert abs(np.corrcoef(order[lag:], order[:-lag])[0, 1]) < 5 / np.sqrt(n)
    assert abs(np.corrcoef(order, np.arange(n))[0, 1]) < 5 / np.sqrt(n)


def test_another_key_another_order():
    assert (RandomOrder(1000, 1)[0:1000] == RandomOrder(1000, 2)[0:1000]).sum() < 10


@pytest.mark.parametrize("held", [10, 1000])
def test_the_seed_says_it_all(held, monkeypatch):
    monkeypatch.setattr(shuffling, "_HELD", held)
    first, second = (shuffled(100, np.random.default_rng(5))[0:100] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first), np.arange(100))


def test_few_are_shuffled_as_numpy_does():
    expected = np.random.default_rng(5).permutation(100)
    np.testing.assert_array_equal(shuffled(100, np.random.default_rng(5)), expected)
