"""Folders that are made, or have their parts replaced, whole or not at all.

A new folder is filled under a temporary name and renamed. One that exists cannot be replaced by a rename: it
may be the root of a disk, hold other files that stay, or be the working folder of a process. So one of its
files is the *pointer*: a small file that every reader looks at first, and that a rename replaces at once. The
steps are:

1. The new parts are written to a temporary folder inside of it and flushed to the disk.
2. The folder of parts gets a lasting name, and the pointer is replaced by one that names it. This is the
   moment of change: before it, readers find all old parts where they are; after it, all new ones in the
   folder of parts.
3. The parts take their places, the pointer that belongs to them comes last, and the folder of parts is
   removed.

A program that is stopped within the third step leaves a folder that readers can use. The next writer ends the
step.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sparserec_np.runtime.files import (
    locked,
    naming_errors,
    persistently,
    remove_abandoned,
    remove_tree,
    sync_file,
    sync_folder,
    temporary_folder,
    temporary_name,
    written_whole,
)

PARTS = re.compile(r"\.sparserec-[0-9a-f]{16}\.new")
"""Names of folders of parts."""

_MAX_POINTER = 16 << 20

Finish = Callable[[Path], None]


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name; it gets its own at the end, or nothing is left of it.

    Parameters
    ----------
    path : Path
        The folder, which does not exist; its parent does.
    """
    target = Path(os.path.realpath(path))
    with temporary_folder(target.parent) as temporary, naming_errors(path, temporary):
        made = Path(temporary)
        yield made
        sync_tree(made)
        made.rename(target)
        sync_folder(target.parent)


@contextmanager
def new_parts(path: Path, pointer: str, announce: Callable[[str], bytes], finish: Finish) -> Iterator[Path]:
    """Fill a folder of new parts, which then replace those of a folder that exists.

    Parameters
    ----------
    path : Path
        The folder that has the pointer.
    pointer : str
        Name of the pointer in it.
    announce : callable
        Makes the content of the pointer that says where the parts are: gets the name of the folder of
        parts, which lies beside the pointer, and puts it into the content as it is.
    finish : callable
        Puts the parts in their places and the final pointer in its own at the end, by renaming or by way of
        `written_whole`; gets the folder of parts. It may be stopped anywhere, and be called again.
    """
    folder = Path(os.path.realpath(path))
    finish_parts(folder, pointer, finish)
    with temporary_folder(folder) as temporary, naming_errors(path, temporary):
        made = Path(temporary)
        yield made
        sync_tree(made)
        with locked(folder):
            _finish(folder, pointer, finish)
            parts = folder / parts_name()
            try:
                made.rename(parts)
                sync_folder(folder)
                with written_whole(folder / pointer) as file:
                    file.write(announce(parts.name))
                finish(parts)
            finally:
                # Whatever has stopped us, such as Ctrl-C: if the parts are announced they take their places,
                # and if they are not they go.
                persistently(_finish, folder, pointer, finish)


def finish_parts(folder: Path, pointer: str, finish: Finish) -> None:
    """End what a writer that was stopped has begun; see `new_parts`."""
    remove_abandoned(folder)
    if any(PARTS.fullmatch(name) for name in os.listdir(folder)):
        with locked(folder):
            persistently(_finish, folder, pointer, finish)


def parts_name() -> str:
    """Return a name for a folder of parts that no other process uses."""
    return f"{Path(temporary_name('')).stem}.new"


def sync_tree(folder: Path) -> None:
    """Bring all that a folder holds to the disk."""
    for root, _, names in os.walk(folder):
        for name in names:
            sync_file(os.path.join(root, name))
        sync_folder(root)


def _finish(folder: Path, pointer: str, finish: Finish) -> None:
    announced = announced_parts(folder / pointer)
    if announced is not None and (folder / announced).is_dir():
        finish(folder / announced)
    for name in os.listdir(folder):
        if PARTS.fullmatch(name):
            remove_tree(folder / name)


def announced_parts(pointer: Path) -> str | None:
    """Name of the folder of parts that a pointer announces, if it does."""
    try:
        with open(pointer, encoding="utf-8", errors="replace") as file:
            found = PARTS.search(file.read(_MAX_POINTER))
    except FileNotFoundError:
        return None
    return None if found is None else found[0]
