import itertools
import threading

import numpy as np
import pytest

from sparserec_np.errors import SettingError
from sparserec_np.kernels.workers import Background, Workers, available_cores


def collect(workers, n, **kwargs):
    parts = []
    workers.run(lambda start, stop: parts.append((start, stop, threading.get_ident())), n, **kwargs)
    return sorted(parts)


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 255, 256, 1000, 100_003])
def test_parts_cover_the_range(n_jobs, n):
    with Workers(n_jobs) as workers:
        parts = collect(workers, n)
    assert parts[0][0] == 0
    assert parts[-1][1] == n
    assert all(before[1] == after[0] for before, after in itertools.pairwise(parts))
    assert len(parts) == max(1, min(n_jobs, n // 256))


def test_a_little_work_stays_with_the_caller():
    with Workers(4) as workers:
        assert collect(workers, 100) == [(0, 100, threading.get_ident())]
        assert len(collect(workers, 100, min_share=10)) == 4


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 8])
@pytest.mark.parametrize("work", [[], [0], [5, 0], [1] * 90, [1000] + [1] * 99, [0] * 50 + [3] * 50])
def test_parts_cover_the_range_and_share_the_work_out(n_jobs, work):
    parts = []
    with Workers(n_jobs) as workers:
        workers.run_by_work(lambda start, stop: parts.append((start, stop)), np.array(work))
    parts.sort()
    assert len(parts) == max(1, min(n_jobs, len(work)))
    assert (parts[0][0], parts[-1][1]) == (0, len(work))
    assert all(before[1] == after[0] for before, after in itertools.pairwise(parts))
    # No part is longer than its share and an element.
    whole, longest = sum(work) + len(work), max(work, default=0) + 1
    assert all(sum(work[a:b]) + (b - a) <= whole / len(parts) + longest for a, b in parts)


@pytest.mark.parametrize("n_jobs", [None, -1])
def test_by_default_there_is_a_thread_for_each_core(n_jobs):
    with Workers(n_jobs) as workers:
        assert workers.n_jobs == available_cores() >= 1


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_in_any_part_reaches_the_caller(failing):
    def kernel(start, stop):
        if start == failing * 1000:
            raise RuntimeError("broken")

    with Workers(3) as workers, pytest.raises(RuntimeError, match="broken"):
        workers.run(kernel, 3000)


def test_all_parts_have_ended_when_the_caller_learns_of_an_error():
    ended = threading.Event()

    def kernel(start, stop):
        if start == 0:
            raise RuntimeError("broken")
        threading.Event().wait(0.05)
        ended.set()

    with Workers(2) as workers:
        with pytest.raises(RuntimeError):
            workers.run(kernel, 1000)
        assert ended.is_set()  # nothing writes into the caller's arrays any more


@pytest.fixture
def few_threads(monkeypatch):
    """Let only so many more threads start, as a system does that limits them."""

    def limit(n_more):
        start = threading.Thread.start
        left = [n_more]

        def start_or_not(thread):
            if not left[0]:
                raise RuntimeError("can't start new thread")
            left[0] -= 1
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", start_or_not)

    return limit


@pytest.mark.parametrize("n_more", [0, 1, 3])
def test_fewer_threads_where_the_system_allows_no_more(few_threads, n_more):
    few_threads(n_more)
    with Workers(8) as workers:
        assert workers.n_jobs == 1 + n_more
        parts = collect(workers, 100_003)
    assert len(parts) == 1 + n_more
    assert (parts[0][0], parts[-1][1]) == (0, 100_003)


def test_there_is_a_limit_to_the_threads_that_are_asked_for():
    before = threading.active_count()
    with Workers(99_999) as workers:
        assert workers.n_jobs == max(64, available_cores())
        assert threading.active_count() == before + workers.n_jobs - 1
    assert threading.active_count() == before


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, "two", float("nan")])
def test_what_is_no_number_of_threads(n_jobs):
    with pytest.raises(SettingError, match=r"n_jobs is .+ expected a number of threads"):
        Workers(n_jobs)


@pytest.mark.parametrize("n_more", [0, 1, 2])
def test_tasks_in_the_background_that_wait_for_one_another(few_threads, n_more):
    few_threads(n_more)
    before = threading.active_count()
    with Background(2) as pool:
        assert threading.active_count() == before + (2 if n_more == 2 else 0)

        def outer():
            return 1 + pool.submit(int, "41").result()

        def fail():
            raise ZeroDivisionError

        assert pool.submit(outer).result() == 42
        assert list(pool.map(str, range(5))) == ["0", "1", "2", "3", "4"]
        with pytest.raises(ZeroDivisionError):
            pool.submit(fail).result()
    assert threading.active_count() == before
