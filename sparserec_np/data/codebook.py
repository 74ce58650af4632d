"""A number for each distinct text, without a Python string for each that is looked up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.words import PADDING, as_words, padded
from sparserec_np.kernels.texts import fill_slots, number_fields, unpack

_LEAST = 1 << 10


class Codebook:
    """Texts, numbered in the order of their first occurrence.

    Blanks around a text are no part of it.
    """

    def __init__(self) -> None:
        self._n_texts = 0
        self._slots = np.zeros(2 * _LEAST, np.uint64)
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
        words = as_words(buffer)
        done = 0
        while True:
            done, self._used, self._n_texts, shortest = number_fields(
                words, starts, ends, done, self._slots, self._pool, self._used, self._n_texts, codes
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

    def texts(self) -> list[str]:
        """Return all texts by their numbers."""
        content = np.empty(8 * self._used, np.uint8)
        ends = np.empty(self._n_texts, np.int64)
        unpack(self._pool, content, ends)
        cuts = [0, *ends.tolist()]
        text = content[: cuts[-1]].tobytes()
        if text.isascii():
            letters = text.decode()
            return [letters[begin:end] for begin, end in pairwise(cuts)]
        return [text[begin:end].decode() for begin, end in pairwise(cuts)]

    def holds_empty(self) -> bool:
        """Whether the empty text is among them."""
        return self._shortest == 0

    def _make_room(self, length: int) -> None:
        """Make room for another text of `length` bytes, and for as many more as there are."""
        needed = self._used + 2 + length // 8
        if needed > len(self._pool):
            self._pool = np.append(self._pool, np.empty(max(needed, len(self._pool)), np.uint64))
        if 2 * self._n_texts == len(self._slots):
            self._slots = np.zeros(2 * len(self._slots), np.uint64)
            fill_slots(self._pool, self._used, self._slots)
