"""Giving memory back to the system that is free already."""

from __future__ import annotations

import ctypes
import sys


def release_memory() -> None:
    """Let the C library give back what it keeps of freed arrays; does nothing where it cannot be asked.

    glibc keeps arrays of up to 32 MB for later, and between those in use as many holes as there happen to be.
    After a stage that made and freed many, they would count to what the next one needs.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
