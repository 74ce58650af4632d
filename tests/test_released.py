import ctypes
import sys

import pytest

from sparserec_np.released import release_memory


def test_memory_can_be_released_at_any_time():
    release_memory()
    release_memory()


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_are_left_alone(platform, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("a library was opened"))
    release_memory()


def test_a_library_that_cannot_be_asked_is_not(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    release_memory()
