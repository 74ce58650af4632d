import itertools
import threading

import pytest

from sparserec_np.kernels.workers import Workers, available_cores


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
