"""The machine code of kernels, kept in files.

numba's own cache refuses folders that it can read but not write to, as in a container; notices no damage; and
lets two processes that compile at once overwrite one another's entries. Here each kernel and signature has a
file of its own, named after both, which is written whole or not at all. Its first bytes are a checksum over
the content, the versions of numba and Python, and all source files in the kernel's part of the package:
kernels are compiled into one another, so each may depend on all of them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from numba.core import serialize
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult

from sparserec_np.compilation.folders import cache_folders, is_private, make_private, private_folders

_DIGEST = 32  # bytes
_SUFFIX = ".kernel"

NO_FOLDER = "no folder for them can be written to"
A_FOLDER = "Set the environment variable NUMBA_CACHE_DIR to a folder that this user can write to"

logger = logging.getLogger("sparserec_np.compilation")


class KernelCache(_Cache):
    """What numba asks for compiled signatures of a kernel and hands new ones to.

    Parameters
    ----------
    function : function
        The kernel, as Python has it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        code = function.__code__
        self._source = Path(os.path.abspath(code.co_filename))
        self._name = f"{self._source.stem}.{function.__qualname__}-{code.co_firstlineno}"
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The folder of first choice."""
        return str(cache_folders(self._source.parent)[0])

    def enable(self) -> None:
        """Use the files."""
        self._enabled = True

    def disable(self) -> None:
        """Leave the files alone."""
        self._enabled = False

    def flush(self) -> None:
        """Forget nothing: a signature that is compiled again replaces its file."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled signature, or None if it has to be compiled."""
        target_context.refresh()
        stamp = _stamp(self._source.parent)
        if self._enabled and stamp is not None:
            key = _key(sig, target_context.codegen())
            for folder in _readable(self._source.parent):
                content = _read(folder / self._file_name(key), stamp)
                if content is None:
                    continue
                try:
                    kept, payload = serialize.loads(content)
                    if kept == sig:
                        compiled = CompileResult._rebuild(target_context, *payload)
                        tally.loaded += 1
                        return compiled
                except Exception:
                    logger.debug("%s in %s cannot be used", self._file_name(key), folder, exc_info=True)
        tally.compiled += 1
        _notices.compiling()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled signature, where that is possible."""
        if not self._enabled or data.library.has_dynamic_globals or data.lifted:
            return
        stamp = _stamp(self._source.parent)
        if stamp is not None:
            content = serialize.dumps((sig, data._reduce()))
            file_name = self._file_name(_key(sig, data.codegen))
            for folder in cache_folders(self._source.parent):
                if _make(folder) and _write(folder / file_name, content, stamp):
                    tally.folders.add(folder)
                    return
        tally.not_kept += 1
        _notices.not_kept()

    def _file_name(self, key: str) -> str:
        name = self._name.replace("<", "").replace(">", "")
        return f"{name}.{sys.implementation.cache_tag}.{key}{_SUFFIX}"


def _key(sig: Any, codegen: Any) -> str:
    """Return what tells the signatures and processors of one kernel apart."""
    return hashlib.sha256(repr((str(sig), codegen.magic_tuple())).encode()).hexdigest()[:20]


@lru_cache
def _stamp(folder: Path) -> bytes | None:
    """Return a checksum of what kernels of a folder depend on; None if their source cannot be read.

    These are the versions, and all source files in the same part of the package (``sparserec_np.kernels``).
    """
    versions = (numba.__version__, platform.python_version(), sys.implementation.cache_tag)
    checksum = hashlib.sha256(repr(versions).encode())
    while (folder.parent / "__init__.py").exists() and (folder.parents[1] / "__init__.py").exists():
        folder = folder.parent
    try:
        sources = sorted(folder.rglob("*.py"))
        for source in sources:
            checksum.update(f"\0{source.relative_to(folder)}\0".encode())
            checksum.update(source.read_bytes())
    except OSError:
        return None
    return checksum.digest() if sources else None


def _checksum(content: bytes, stamp: bytes) -> bytes:
    return hashlib.blake2b(content, key=stamp, digest_size=_DIGEST).digest()


@lru_cache
def _readable(source: Path) -> list[Path]:
    """Return the folders with kernels of a source folder that may be read."""
    return [folder for folder in cache_folders(source) if not _must_be_private(folder) or is_private(folder)]


def _must_be_private(folder: Path) -> bool:
    return folder.parent in private_folders()


def _make(folder: Path) -> bool:
    """Make a folder if it is not there; tell whether kernels may be put into it."""
    if _must_be_private(folder):
        return make_private(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return True


def _read(path: Path, stamp: bytes) -> bytes | None:
    """Return the content of a file; None if there is none, or it is damaged or outdated."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    content, digest = content[_DIGEST:], content[:_DIGEST]
    return content if digest == _checksum(content, stamp) else None


def _write(path: Path, content: bytes, stamp: bytes) -> bool:
    """Write a file whole, or not at all; tell whether that was possible."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        try:
            temporary.write_bytes(_checksum(content, stamp) + content)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError:
        return False
    return True


@dataclass
class Tally:
    """What became of the kernels of this process so far; numba compiles and loads one at a time.

    Attributes
    ----------
    loaded, compiled, not_kept : int
        Compiled signatures that were found in files, that had to be compiled, and of those the ones that
        could not be kept for other processes.
    folders : set of Path
        Where the others are kept.
    """

    loaded: int = 0
    compiled: int = 0
    not_kept: int = 0
    folders: set[Path] = field(default_factory=set)


tally = Tally()


class _Notices:
    """Lines that are written once per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written: set[str] = set()

    def compiling(self) -> None:
        """Tell that kernels are being compiled: it takes a while."""
        self._write("Compiling kernels, which takes up to a minute; they are kept for the next time …")

    def not_kept(self) -> None:
        """Tell that each process has to compile anew, and how to mend that."""
        self._write(
            f"The compiled kernels cannot be kept, because {NO_FOLDER}: each process compiles them anew. "
            f"{A_FOLDER}."
        )

    def _write(self, text: str) -> None:
        with self._lock:
            if text in self._written:
                return
            self._written.add(text)
        logger.warning(text)


_notices = _Notices()
