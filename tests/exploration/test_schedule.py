import numpy as np
import pytest

from sparserec_np.exploration import CosineSchedule


def test_the_share_falls_along_a_cosine_to_zero():
    schedule = CosineSchedule(0.4, every=10, end=100)
    assert schedule.share(0) == pytest.approx(0.4)
    assert schedule.share(25) == pytest.approx(0.2 * (1 + np.sqrt(0.5)))
    assert schedule.share(50) == pytest.approx(0.2)
    assert schedule.share(99) == pytest.approx(0.2 * (1 + np.cos(0.99 * np.pi)))
    assert schedule.share(100) == schedule.share(1000) == 0
    shares = [schedule.share(step) for step in range(101)]
    assert shares == sorted(shares, reverse=True)


def test_exploration_is_due_every_so_many_steps_before_the_end():
    schedule = CosineSchedule(0.4, every=10, end=40)
    assert [step for step in range(100) if schedule.is_due(step)] == [10, 20, 30]


def test_it_is_never_due_where_the_end_comes_first():
    assert not any(CosineSchedule(0.4, every=10, end=10).is_due(step) for step in range(50))
    assert not any(CosineSchedule(0.4, every=1, end=0).is_due(step) for step in range(50))
    assert CosineSchedule(0.4, every=1, end=0).share(0) == 0
