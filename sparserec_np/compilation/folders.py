"""Folders in which the machine code of kernels is kept.

In this order, for the kernels of one source folder:

1. a folder within ``NUMBA_CACHE_DIR``, where this environment variable is set;
2. ``__pycache__`` beside the source files, as numba itself does;
3. a folder within the user's folder for caches: ``$XDG_CACHE_HOME`` or ``~/.cache`` on Linux,
   ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows;
4. a folder within the folder for temporary files, whose name holds the number of the user.

Whoever can write to such a folder can make the process run any code. The first two are as safe as the
variable and the package are. The other two are used only if nobody else can write to them or replace them.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

_NAME = "sparserec-np"


@lru_cache
def cache_folders(source: Path) -> tuple[Path, ...]:
    """Return the folders for the kernels of a folder of source files, the first choice first.

    They need not exist. Those from the third on must pass `make_private` before they are written to and
    `is_private` before they are read.
    """
    # The same package in two environments has different versions of everything.
    name = f"{source.name}_{hashlib.sha1(str(source).encode(), usedforsecurity=False).hexdigest()}"
    folders = [source / "__pycache__"]
    if os.environ.get("NUMBA_CACHE_DIR"):
        folders.insert(0, Path(os.path.abspath(os.environ["NUMBA_CACHE_DIR"]), name))
    return (*folders, *(folder / name for folder in private_folders()))


@lru_cache
def private_folders() -> tuple[Path, ...]:
    """Return the folder of this library among the user's caches, and that among the temporary files."""
    from numba.misc.appdirs import AppDirs

    folders = [AppDirs(_NAME, appauthor=False).user_cache_dir]
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    with suppress(FileNotFoundError):  # where no temporary file can be written
        temporary = tempfile.gettempdir()
        # Python's last resort is wherever the process happens to be.
        if temporary != os.path.abspath(os.curdir):
            folders.append(os.path.join(temporary, _NAME + user))
    # A user without a home leaves a path that is relative, to wherever the process happens to be.
    return tuple(Path(folder) for folder in folders if os.path.isabs(folder))


def is_private(folder: Path) -> bool:
    """Tell whether only this user, or the administrator, can write to a folder or put another in its place.

    The folder has to be the user's own, writable for nobody else. The folders above may be writable for all
    only if what is in them belongs to whoever made it, as in ``/tmp``; and for the user's own group, which
    on many systems has no other member.
    """
    if not hasattr(os, "getuid"):
        return os.path.isdir(folder)  # Windows: both folders lie in the user's profile
    try:
        here = os.lstat(folder)
        above = [os.stat(path) for path in _way_to(folder)]
    except OSError:
        return False
    if not stat.S_ISDIR(here.st_mode) or here.st_uid != os.geteuid() or here.st_mode & 0o022:
        return False
    for status in above:
        shared = status.st_mode & stat.S_IWOTH or (
            status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid())
        )
        if status.st_uid not in (0, os.geteuid()) or (shared and not status.st_mode & stat.S_ISVTX):
            return False
    return True


def _way_to(folder: Path) -> list[Path]:
    """Return the folders above one, as it is written and where its symbolic links lead to."""
    return [*folder.parents, *Path(os.path.realpath(folder)).parents]


def make_private(folder: Path) -> bool:
    """Make a folder, and those above it, for this user alone; tell whether it can be trusted."""
    missing = [folder]
    while not os.path.exists(missing[-1].parent):
        missing.append(missing[-1].parent)
    try:
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return is_private(folder)
