import numpy as np
import pytest
from numba import njit

from sparserec_np.kernels.sharing import await_phase, new_counts, next_portion, portion_done
from sparserec_np.kernels.workers import Workers


@njit(nogil=True)
def add_up(thread, stop, counts, values, totals):
    """Phase ``p`` adds ``values`` of the phase before to the own ones, of the places read backwards."""
    n = np.uint64(values.shape[1])
    for phase in range(np.uint64(1), np.uint64(len(values))):
        first, last = next_portion(counts, phase - np.uint64(1), thread, n)
        while first < last:
            for i in range(first, last):
                values[phase, i] += values[phase - np.uint64(1), n - np.uint64(1) - i] + 1
                totals[thread] += 1
            portion_done(counts, phase - np.uint64(1), last - first)
            first, last = next_portion(counts, phase - np.uint64(1), thread, n)
        await_phase(counts, phase - np.uint64(1), n)


def share(n_threads, n_phases, n):
    """What all phases come to, and how much of it each thread did."""
    values, totals = np.zeros((n_phases + 1, n), np.int64), np.zeros(n_threads, np.int64)
    with Workers(n_threads) as workers:
        workers.run_cuts(add_up, range(n_threads + 1), new_counts(n_phases, n_threads), values, totals)
    return values, totals


@pytest.mark.parametrize("n", [0, 1, 5, 31, 32, 33, 1000, 20_011])
@pytest.mark.parametrize("n_threads", [1, 2, 3, 7])
def test_everything_is_done_once_and_no_phase_begins_before_the_last_one_ended(n_threads, n):
    n_phases = 40
    values, totals = share(n_threads, n_phases, n)
    expected = np.repeat(np.arange(n_phases + 1)[:, None], n, axis=1)
    np.testing.assert_array_equal(values, expected)
    assert totals.sum() == n_phases * n


def test_portions_are_a_part_of_what_there_is_and_none_is_given_twice():
    counts, given = new_counts(1, 3), np.zeros(1000, dtype=int)
    for thread in (2, 0, 1, 1, 0, 2) * 40:
        first, last = next_portion(counts, 0, thread, 1000)
        assert last - first <= 1000 // 32 + 1
        given[first:last] += 1
    np.testing.assert_array_equal(given, 1)
    assert next_portion(counts, 0, 0, 1000) == (1000, 1000)


def test_who_comes_when_all_is_done_does_nothing_and_waits_for_nobody():
    values, totals, counts = np.zeros((4, 100), np.int64), np.zeros(2, np.int64), new_counts(3, 2)
    add_up(0, 1, counts, values, totals)
    done = values.copy()
    add_up(1, 2, counts, values, totals)
    np.testing.assert_array_equal(values, done)
    assert totals.tolist() == [300, 0]
