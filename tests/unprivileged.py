"""Processes that the rights of files and folders hold for, also where the tests are run by root."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2

is_root = hasattr(os, "geteuid") and os.geteuid() == 0
needs_rights = pytest.mark.skipif(
    os.name == "nt" or (is_root and not sys.platform.startswith("linux")),
    reason="needs POSIX rights, and where root runs the tests a way to give up what root may",
)


def _give_up() -> None:
    """Between fork and exec: what root may regardless of the rights of a file."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


def unprivileged() -> dict[str, Any]:
    """Return arguments of `subprocess.Popen` for a process that cannot write where the owner cannot."""
    return {"preexec_fn": _give_up} if is_root else {}


@contextmanager
def read_only(*folders: Path) -> Iterator[None]:
    """Take from everybody the right to write to folders and to what is in them."""
    paths = [path for folder in folders for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    modes = [path.stat().st_mode for path in paths]
    try:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode & ~0o222)
        yield
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)
