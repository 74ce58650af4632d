"""Files that are written whole or not at all.

A file is written under a temporary name in the folder where it belongs, flushed to the disk, and renamed.
At whatever moment the program is stopped, readers find the old file or the new one.

A temporary file is locked for as long as its process runs. A process that is killed leaves it behind,
without the lock: whoever writes to the same folder next recognises it by its name and by the missing lock,
and removes it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from sparserec_np.errors import SettingError, SparserecError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Path = str | os.PathLike[str]

_TEMPORARY = re.compile(r"\.sparserec-[0-9a-f]{16}\.tmp")
# What some file systems, and folders that may be written but not read, say to fsync or open of a folder.
_NO_SYNC = {errno.EINVAL, errno.EACCES, errno.EPERM, errno.EBADF, errno.ENOTSUP}


def open_regular(path: Path, error: type[SparserecError]) -> IO[bytes]:
    """Open a file for reading, and refuse at once what is not a regular file.

    To open a named pipe would wait for somebody to write to it, and a device may have no end.

    Parameters
    ----------
    path : path-like
    error : type
        What to raise for what is neither a regular file nor a folder.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(mode):
            raise error(f"{os.fspath(path)} is not a regular file; give the path of a file to read")
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes the place of `path` once all is written.

    A symbolic link stays: the file that it names is written. A file that is replaced passes its
    permissions on; those of a new one follow the umask.

    Parameters
    ----------
    path : path-like
        The file. Missing folders are not made.

    Yields
    ------
    binary file

    Raises
    ------
    SettingError
        If `path` is something else than a regular file, such as a folder or a device.
    OSError
        If the file cannot be written. It names `path`, not the temporary file.
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        raise SettingError(f"{path} is not a regular file; give the path of a file to write")
    folder = os.path.dirname(target)
    remove_abandoned(folder)
    temporary = temporary_name(folder)
    with naming_errors(path, temporary):
        try:
            with open(_create(temporary, target), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if fcntl is not None:
                    # While the file is open it is locked, so that nobody takes it for an abandoned one.
                    os.replace(temporary, target)
            if fcntl is None:
                os.replace(temporary, target)
            sync_folder(folder)
        except BaseException:
            # A signal may strike just after the renaming, or just before the file was made.
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


@contextmanager
def temporary_folder(parent: Path) -> Iterator[str]:
    """Make a folder under a temporary name; at the end nothing is left of it, unless it was renamed.

    Parameters
    ----------
    parent : path-like
        Where to make it. What killed processes left there is removed.
    """
    remove_abandoned(parent)
    path, lock = temporary_name(parent), None
    try:
        lock = _locked(path, lambda: os.mkdir(path), os.O_RDONLY)
        yield path
    finally:
        persistently(remove_tree, path)
        if lock is not None:
            os.close(lock)


@contextmanager
def naming_errors(path: Path, temporary: str | None = None) -> Iterator[None]:
    """Let an OSError name `path` where it names nothing, or a temporary file that stands for `path`."""
    try:
        yield
    except OSError as error:
        named = error.filename
        if named is None or (temporary and isinstance(named, str) and named.startswith(temporary)):
            if error.errno is None:
                error.args = (f"{os.fspath(path)}: {error}",)
            else:
                error.filename, error.filename2 = os.fspath(path), None
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same lock waiting; where there are no locks, nothing happens."""
    descriptor = None
    if fcntl is not None:
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
    try:
        if descriptor is not None:
            _lock(descriptor)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def temporary_name(folder: Path) -> str:
    """Return a path in the folder that no other process uses."""
    return os.path.join(folder, f".sparserec-{os.urandom(8).hex()}.tmp")


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders of processes that were killed, as far as that is certain."""
    if fcntl is None:
        return
    names: list[str] = []
    with suppress(OSError):
        names = [name for name in os.listdir(folder) if _TEMPORARY.fullmatch(name)]
    for path in (os.path.join(folder, name) for name in names):
        with suppress(OSError):
            # A stranger may have put a FIFO there, which must not make us wait.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mode = os.fstat(descriptor).st_mode
                if stat.S_ISDIR(mode):
                    remove_tree(path)
                elif stat.S_ISREG(mode):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def persistently(call: Callable[..., None], *arguments: Any) -> None:
    """Do what needs to be done, once more if it was interrupted, such as by Ctrl-C."""
    try:
        call(*arguments)
    except BaseException:
        call(*arguments)
        raise


def remove_tree(path: Path) -> None:
    """Remove a folder and all that is in it, as far as that is possible."""
    import shutil  # not needed to read a model, and slow to import

    shutil.rmtree(path, ignore_errors=True)


def sync_file(path: Path) -> None:
    """Bring what a file holds to the disk."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _create(temporary: str, target: str) -> int:
    """Make the temporary file with the permissions of the file that it replaces, and lock it."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        old = None
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = _locked(temporary, lambda: None, flags, mode)
    if old is not None and os.name != "nt":
        for owner in ((old.st_uid, old.st_gid), (-1, old.st_gid)):
            with suppress(OSError):  # only the group, or nothing, may be ours to give away
                os.fchown(descriptor, *owner)
                break
        with suppress(OSError):
            os.fchmod(descriptor, mode)
    return descriptor


def _locked(path: str, make: Callable[[], None], flags: int, mode: int = 0o666) -> int:
    """Make a file or folder, open and lock it; make it again if it was removed before it was locked."""
    while True:
        make()
        if fcntl is None and os.path.isdir(path):  # Windows opens no folders
            return os.open(os.devnull, os.O_RDONLY)
        descriptor = os.open(path, flags, mode)
        try:
            _lock(descriptor)
            if os.path.exists(path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if fcntl is not None:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
