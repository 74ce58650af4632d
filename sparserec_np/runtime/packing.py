"""Lists of rising numbers in few bytes: the pattern of a sparse table, or of the seen items, in a file.

A list is its length and the gaps between its numbers, a byte for a gap below 128. At density 0.1 that is
a byte for an entry whatever the width of the table, where numbers of two bytes would be needed from width
257 on; and numbers that are made by adding up gaps are sorted and unique whatever the bytes say.

Gaps differ in bytes, so the file says besides at which byte every so many lists start: a list is read,
and checked, without those before it.
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


def block_starts(
    lengths: NDArray[np.integer], gaps: NDArray[np.uint8], lists_per_block: int
) -> NDArray[np.integer]:
    """Find the byte of `gaps` at which each block of lists starts, and where the last one ends."""
    entries = np.cumsum(np.concatenate([[0], _per_block(lengths, lists_per_block)]))
    ends = np.concatenate([[0], np.flatnonzero(gaps < 128) + 1])
    return smallest_integers(ends[entries])


class PackedLists:
    """Packed lists of a file, unpacked and checked as they are asked for.

    Nothing but types and the number of entries is looked at here; what is used is checked then.

    Parameters
    ----------
    name : str
        What the lists are, for messages.
    lengths, gaps, starts : ndarray
        From a stranger's file, of one dimension: what `pack` and `block_starts` made.
    lists_per_block : int
        As in `block_starts`.
    bound : int
        Numbers are below it; at most 2³².
    dtype : dtype
        Type of the numbers; it holds ``bound - 1``.

    Attributes
    ----------
    n_lists, total : int
        Number of lists, and of their numbers together.
    lengths : ndarray of int, shape (n_lists,)
        Numbers in each list.

    Raises
    ------
    ModelFormatError
        Naming the tensor; here, and by every method that reads a damaged part.
    """

    def __init__(
        self,
        name: str,
        lengths: NDArray[Any],
        gaps: NDArray[Any],
        starts: NDArray[Any],
        lists_per_block: int,
        bound: int,
        dtype: Any,
    ) -> None:
        _check_types(name, lengths, gaps)
        n_blocks = -(-len(lengths) // lists_per_block)
        if starts.dtype.kind != "u" or len(starts) != n_blocks + 1:
            raise ModelFormatError(
                f"{name}.starts is {starts.dtype} of length {len(starts)}; "
                f"expected unsigned integers of length {n_blocks + 1}"
            )
        self._name, self.lengths, self._gaps, self._starts = name, lengths, gaps, starts
        self._lists_per_block, self._bound, self._dtype = lists_per_block, bound, dtype
        self.n_lists = len(lengths)
        #: The entry at which each block begins.
        self._entries = np.zeros(n_blocks + 1, np.int64)
        np.cumsum(_per_block(lengths, lists_per_block), out=self._entries[1:])
        self.total = int(self._entries[-1])

    def list(self, number: int) -> tuple[int, NDArray[Any]]:
        """Unpack one list: the entry at which it begins among all, and its numbers."""
        block, place = divmod(number, self._lists_per_block)
        begin, end = int(self._starts[block]), int(self._starts[block + 1])
        if not begin <= end <= len(self._gaps):
            raise ModelFormatError(
                f"{self._name}.starts lead from {begin} to {end}; expected them to rise to {len(self._gaps)}"
            )
        lists = slice(block * self._lists_per_block, (block + 1) * self._lists_per_block)
        indptr, numbers = unpack(
            self._name, self.lengths[lists], self._gaps[begin:end], self._bound, self._dtype
        )
        own = slice(int(indptr[place]), int(indptr[place + 1]))
        return int(self._entries[block]) + own.start, numbers[own]

    def all(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Unpack all lists, as a CSR pattern."""
        found = unpack(self._name, self.lengths, self._gaps, self._bound, self._dtype)
        self._check_starts()
        return found

    def _check_starts(self) -> None:
        """Check that the blocks, one by one, are what all of them are together."""
        begins = self._starts[:-1].astype(np.intp)
        ends = self._starts[1:].astype(np.intp)
        fine = begins[:1].sum() == 0 and self._starts[-1] == len(self._gaps) and (begins <= ends).all()
        if fine:
            # Of an empty block, reduceat would give the byte after it.
            filled = begins < ends
            counts = np.zeros(len(begins), np.int64)
            counts[filled] = np.add.reduceat(self._gaps < 128, begins[filled], dtype=np.int64)
            fine = np.array_equal(counts, np.diff(self._entries)) and bool(
                (self._gaps[ends[filled] - 1] < 128).all()
            )
        if not fine:
            raise ModelFormatError(f"{self._name}.starts are not where the lists start")


def _per_block(lengths: NDArray[np.integer], lists_per_block: int) -> NDArray[np.int64]:
    """Add up the lengths of the lists of each block."""
    n_whole = len(lengths) // lists_per_block
    whole = lengths[: n_whole * lists_per_block].reshape(n_whole, lists_per_block)
    sums = np.zeros(-(-len(lengths) // lists_per_block), np.int64)
    # Unlike reduceat, sum converts a few at a time.
    whole.sum(axis=1, dtype=np.int64, out=sums[:n_whole])
    sums[n_whole:] = lengths[n_whole * lists_per_block :].sum(dtype=np.int64)
    return sums


def _check_types(name: str, lengths: NDArray[Any], gaps: NDArray[Any]) -> None:
    if lengths.dtype.kind != "u" or gaps.dtype != np.uint8:
        raise ModelFormatError(
            f"{name}.lengths and {name}.gaps are {lengths.dtype} and {gaps.dtype}; "
            "expected unsigned integers and uint8"
        )


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
    _check_types(name, lengths, gaps)
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
    whole = chunk < 128
    if whole.all():
        return np.cumsum(chunk + np.uint8(1), dtype=np.int64), len(chunk)
    ends = np.flatnonzero(whole)
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
