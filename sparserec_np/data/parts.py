"""Files of a folder of interactions, opened without trust in what they are and say.

Another program, or a stranger, may have put anything there: a pipe that nobody writes to, a device without
end, an array file whose header is no Python literal or promises more than the file holds.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import DataError, shown

_MAGIC = b"\x93NUMPY\x01\x00"
_N_BEFORE = len(_MAGIC) + 2  # the length of the header follows
_LONGEST_HEADER = _N_BEFORE + 0xFFFF
# The header that NumPy writes for an array of numbers. NumPy reads many more, as Python literals.
_HEADER = re.compile(
    rb"\{'descr': '([<>|][fiu][1248])', 'fortran_order': (?:False|True), "
    rb"'shape': \(([0-9, ]{0,200})\), \} *\n"
)


def damaged(file: Path, found: str) -> DataError:
    """Return the error for a file of a folder; `found` says what was found there."""
    return DataError(f"{file}: {found}; the folder is damaged: make it again from its source")


@contextmanager
def opened(file: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open a regular file for reading; yields its size, too.

    Raises
    ------
    DataError
        If it is something else, such as a pipe, which could make us wait for ever, or cannot be read.
    FileNotFoundError
        If it does not exist.
    """
    try:
        # Without waiting for somebody to write to a pipe.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        # The file object has a name, which joblib hands to another process in place of a mapped array.
        with open(file, "rb", opener=lambda path, _: os.open(path, flags)) as content:
            status = os.fstat(content.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise damaged(file, "found something else than a regular file")
            yield content, status.st_size
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{file}: cannot be read: {reason}; give a folder that can") from error


def read_text(file: Path, most: int) -> str:
    """Read a text file of at most so many bytes.

    Raises
    ------
    DataError
        If it is larger, or no regular file.
    UnicodeDecodeError
        If it is not UTF-8.
    """
    with opened(file) as (content, _):
        text = content.read(most + 1)
    if len(text) > most:
        raise damaged(file, f"found more than {most:,} bytes")
    return text.decode()


def map_array(file: Path, dtype: Any, length: Any) -> NDArray[Any]:
    """Map an array file of one dimension into memory; all that it says has to agree with its size.

    Parameters
    ----------
    file : Path
    dtype, length
        What the array should be, as the folder describes it: the name of a type, and a number.

    Returns
    -------
    ndarray
        Read-only, in the byte order of the machine.

    Raises
    ------
    DataError
        If the file is missing, is no array file, or holds another array.
    """
    try:
        with opened(file) as (content, size):
            begin = content.read(_LONGEST_HEADER)
            found, shape, start = _parse(file, begin)
            if found.name != dtype or len(shape) != 1:
                what = f"{found.name} of shape {shown(shape)}"
                raise damaged(file, f"found {what}; expected {shown(dtype)} in one dimension")
            if size != start + shape[0] * found.itemsize:
                raise damaged(
                    file,
                    f"the file is truncated or damaged (it holds {size - start:,} bytes of data; expected "
                    f"{shape[0] * found.itemsize:,} for {shape[0]:,} values)",
                )
            if type(length) is not int or shape[0] != length:
                raise damaged(file, f"found {shape[0]:,} values; expected {shown(length)}")
            if not length:
                return np.empty(0, found)
            array = np.memmap(content, found, "r", start, shape).view(np.ndarray)
    except FileNotFoundError:
        raise damaged(file, "the file is missing") from None
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _parse(file: Path, begin: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Parse the header of an array file: type, shape and where the data begin."""
    start = _N_BEFORE + int.from_bytes(begin[len(_MAGIC) : _N_BEFORE], "little")
    header = _HEADER.fullmatch(begin[_N_BEFORE:start])
    if not begin.startswith(_MAGIC) or header is None or len(begin) < start:
        raise damaged(file, "the file is truncated or damaged (it has no header of an array of numbers)")
    try:
        dtype = np.dtype(header[1].decode())
        lengths = [part for part in header[2].decode().replace(" ", "").split(",") if part]
    except TypeError:
        raise damaged(file, f"found the type {header[1].decode()!r}, which NumPy does not have") from None
    return dtype, tuple(map(int, lengths)), start
