"""Lists of rising numbers in few bytes: the pattern of a sparse table, or of the seen items, in a file.

A list is its length and the gaps between its numbers, a byte for a gap below 128. At density 0.1 that is
a byte for an entry whatever the width of the table, where numbers of two bytes would be needed from width
257 on; and numbers that are made by adding up gaps are sorted and unique whatever the bytes say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError
from sparserec_np.runtime.ids import smallest_integers

# A number has seven bits to a byte, so that five hold any 32.
_MAX_BYTES = 5
# Bytes that are unpacked at once: few enough that what is made of them meanwhile stays small.
_CHUNK = 1 << 15


def pack(indptr: NDArray[np.integer], indices: NDArray[np.integer]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Pack lists, given as a CSR pattern.

    Parameters
    ----------
    indptr : ndarray of int, shape (n_lists + 1,)
        Where each list starts.
    indices : ndarray of int
        Numbers below 2³², rising within each list.

    Returns
    -------
    lengths : ndarray of uint8, uint16 or uint32, shape (n_lists,)
        Length of each list.
    gaps : ndarray of uint8
        For each list its first number, then how many numbers are left out before the next. Each as a
        variable-length quantity: seven bits to a byte, highest first, the high bit of every byte but the
        last one set.
    """
    starts = indptr.astype(np.int64)
    lengths = starts[1:] - starts[:-1]
    gaps = indices.astype(np.int64)
    first = gaps[starts[:-1][lengths > 0]]
    gaps[1:] -= gaps[:-1] + 1
    gaps[starts[:-1][lengths > 0]] = first
    n_bytes = np.ones(len(gaps), np.int64)
    for bits in range(7, 7 * _MAX_BYTES, 7):
        n_bytes += gaps >= 1 << bits
    last = np.cumsum(n_bytes) - 1
    packed = np.empty(last[-1] + 1 if len(last) else 0, np.uint8)
    packed[last] = gaps & 127
    for back in range(1, int(n_bytes.max(initial=1))):
        longer = n_bytes > back
        packed[last[longer] - back] = gaps[longer] >> 7 * back & 127 | 128
    return smallest_integers(lengths), packed


def unpack(
    name: str, lengths: NDArray[Any], gaps: NDArray[Any], bound: int, dtype: Any
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Unpack what `pack` made, and check it: every number lies below `bound`.

    Parameters
    ----------
    name : str
        What the lists are, for messages.
    lengths, gaps : ndarray
        From a stranger's file; of any integer type and one dimension.
    bound : int
        At most 2³².
    dtype : dtype
        Type of the numbers; it holds ``bound - 1``.

    Returns
    -------
    indptr : ndarray of int64, shape (n_lists + 1,)
    indices : ndarray of `dtype`

    Raises
    ------
    ModelFormatError
        Naming the tensor.
    """
    if lengths.dtype.kind != "u" or gaps.dtype != np.uint8:
        raise ModelFormatError(
            f"{name}.lengths and {name}.gaps are {lengths.dtype} and {gaps.dtype}; "
            "expected unsigned integers and uint8"
        )
    indptr = np.zeros(len(lengths) + 1, np.int64)
    # No length of 32 bits makes this overflow.
    np.cumsum(lengths, dtype=np.int64, out=indptr[1:])
    total = int(indptr[-1])
    found = int(np.count_nonzero(gaps < 128))
    if found != total:
        raise ModelFormatError(f"{name}.gaps holds {found} numbers; expected {total} by {name}.lengths")
    if len(gaps) and gaps[-1] >= 128:
        raise ModelFormatError(f"{name}.gaps ends within a number")
    indices = np.empty(total, dtype)
    firsts = indptr[:-1][lengths > 0]
    # In the running sum of gaps, where the list that is being read began; the next entry; the next byte.
    origin, entry, position = 0, 0, 0
    while position < len(gaps):
        chunk = gaps[position : position + _CHUNK]
        sums, used = _running_sums(name, chunk)
        position += used
        begin, end = np.searchsorted(firsts, (entry, entry + len(sums)))
        first = firsts[begin:end] - entry
        origins = np.concatenate([[origin], np.where(first > 0, sums[first - 1], 0)])
        rising = sums - np.repeat(origins, np.diff(first, prepend=0, append=len(sums))) - 1
        if (most := int(rising.max())) >= bound:
            raise ModelFormatError(f"{name}.gaps lead to {most}; expected numbers below {bound}")
        indices[entry : entry + len(sums)] = rising
        entry += len(sums)
        origin = -int(rising[-1]) - 1
    return indptr, indices


def _running_sums(name: str, chunk: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int]:
    """Add up the gaps that end in a chunk, each with the number behind it, and tell how many bytes they take.

    A byte is worth its seven bits times 128 for each byte that follows in its number, so that a sum over
    bytes is one over numbers.
    """
    ends = np.flatnonzero(chunk < 128)
    if not len(ends):
        raise _too_long(name)
    chunk = chunk[: ends[-1] + 1]
    worth = (chunk & 127).astype(np.int64)
    followed = np.flatnonzero(chunk >= 128)
    for ahead in range(1, _MAX_BYTES):
        worth[followed] <<= 7
        followed = followed[chunk[followed + ahead] >= 128]
        if not len(followed):
            return np.cumsum(worth)[ends] + np.arange(1, len(ends) + 1), len(chunk)
    raise _too_long(name)


def _too_long(name: str) -> ModelFormatError:
    return ModelFormatError(f"{name}.gaps holds a number of more than {_MAX_BYTES} bytes")
