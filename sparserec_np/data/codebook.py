"""A number for each distinct text, without a Python string for each that is looked up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.words import PADDING, as_words, padded
from sparserec_np.kernels.texts import SLOT, arrange, fill_slots, number_fields, unpack

_LEAST = 1 << 10
_LINE = 8  # words in a cache line
_LONGEST = 64  # bytes of texts that are sorted by NumPy: a column of numbers for every eight

_PIECE = 1 << 14  # texts that are decoded together


@dataclass(frozen=True)
class Texts:
    """Distinct texts, ascending by code point.

    Attributes
    ----------
    content : ndarray of uint8, read-only
        The texts in UTF-8, one behind the other.
    offsets : ndarray of int64, shape (n_texts + 1,), read-only
        Where each begins and ends.
    """

    content: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        self.content.flags.writeable = self.offsets.flags.writeable = False

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def chosen(self, chosen: NDArray[np.bool_]) -> Texts:
        """Return the texts that a mask names."""
        lengths = np.diff(self.offsets)
        return Texts(
            self.content[np.repeat(chosen, lengths)], np.append(0, np.cumsum(lengths[chosen], dtype=np.int64))
        )


class Codebook:
    """Texts, numbered in the order of their first occurrence.

    Blanks around a text are no part of it.
    """

    def __init__(self) -> None:
        self._n_texts = 0
        self._slots = _free_slots(2 * _LEAST)
        self._pool = np.empty(4 * _LEAST, np.uint64)
        self._used = 1
        self._shortest = 1

    def __len__(self) -> int:
        return self._n_texts

    def encode_fields(
        self, buffer: NDArray[np.uint8], starts: NDArray[np.signedinteger], ends: NDArray[np.signedinteger]
    ) -> NDArray[np.int32]:
        """Return the numbers of the texts ``buffer[start:end]``, which are UTF-8, behind the padding."""
        codes = np.empty(len(starts), np.int32)
        done = 0
        while True:
            done, self._used, self._n_texts, shortest = number_fields(
                buffer, starts, ends, done, self._slots, self._pool, self._used, self._n_texts, codes
            )
            self._shortest = min(self._shortest, shortest)
            if done == len(starts):
                return codes
            self._make_room(int(ends[done] - starts[done]))

    def encode(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return the numbers of texts."""
        parts = [text.encode() for text in texts]
        ends = PADDING + np.cumsum([len(part) for part in parts], dtype=np.int64)
        starts = np.append(PADDING, ends)[:-1]
        return self.encode_fields(padded(b"".join(parts)), starts, ends)

    def texts(self) -> Iterator[str]:
        """Walk all texts by their numbers."""
        content, ends = self._unpacked()
        return _decoded(content, ends)

    def ascending(self) -> tuple[NDArray[np.int64], Texts]:
        """Return the numbers of the texts as these ascend by code point, and the texts in that order."""
        content, ends = self._unpacked()
        order = _order(content, ends)
        sorted_content, offsets = np.empty(ends[-1], np.uint8), np.zeros_like(ends)
        arrange(content, ends, order, sorted_content, offsets[1:])
        return order, Texts(sorted_content, offsets)

    def _unpacked(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return all texts one behind the other, some bytes more, and where each begins and ends."""
        content = np.empty(8 * self._used + 8, np.uint8)
        ends = np.zeros(self._n_texts + 1, np.int64)
        unpack(self._pool, content, ends[1:])
        return content, ends

    def holds_empty(self) -> bool:
        """Whether the empty text is among them."""
        return self._shortest == 0

    def _make_room(self, length: int) -> None:
        """Make room for another text of `length` bytes, and for as many more as there are."""
        needed = self._used + 2 + length // 8
        if needed > len(self._pool):
            self._pool = np.append(self._pool, np.empty(max(needed, len(self._pool)), np.uint64))
        n_slots = len(self._slots) // SLOT
        if 2 * self._n_texts == n_slots:
            self._slots = _free_slots(2 * n_slots)
            fill_slots(self._pool, self._used, self._slots)


def _decoded(content: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Iterator[str]:
    for begin in range(0, len(offsets) - 1, _PIECE):
        cuts = offsets[begin : begin + _PIECE + 1].tolist()
        first, piece = cuts[0], content[cuts[0] : cuts[-1]].tobytes()
        for start, stop in pairwise(cuts):
            yield piece[start - first : stop - first].decode()


def _order(content: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of texts as these ascend by code point; seven bytes or more follow on the last."""
    lengths = np.diff(ends)
    longest = int(lengths.max(initial=0))
    if longest > _LONGEST:
        texts = list(_decoded(content, ends))
        return np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
    # Eight bytes at a time, as numbers whose first digits the first ones are: UTF-8 ascends as code
    # points do. Of two texts that differ in zeros at their end alone, the shorter is the lesser.
    words = as_words(content)
    keys = [lengths]
    for done in reversed(range(0, longest, 8)):
        there = np.clip(lengths - done, 0, 8)
        surplus = (64 - 8 * np.maximum(there, 1)).astype(np.uint64)
        first = words[np.minimum(ends[:-1] + done, len(words) - 1)].byteswap() >> surplus << surplus
        keys.append(np.where(there > 0, first, np.uint64(0)))
    return np.lexsort(keys)


def _free_slots(n: int) -> NDArray[np.uint64]:
    """Return a hash table that begins with a cache line."""
    words = np.zeros(n * SLOT + _LINE, np.uint64)
    begin = -(words.ctypes.data // 8) % _LINE
    return words[begin : begin + n * SLOT]
