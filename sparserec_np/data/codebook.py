"""A number for each distinct text, without a Python string for each that is looked up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sparserec_np.kernels.texts import fill_slots, number_fields

_LEAST = 1 << 10


class Codebook:
    """Texts, numbered in the order of their first occurrence.

    Blanks around a text are no part of it.
    """

    def __init__(self) -> None:
        self._n_texts = 0
        self._slots = np.zeros(2 * _LEAST, np.uint64)
        self._offsets = np.zeros(_LEAST + 1, np.int64)
        self._pool = np.empty(16 * _LEAST, np.uint8)

    def __len__(self) -> int:
        return self._n_texts

    def encode_fields(
        self, buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the numbers of the texts ``buffer[start:end]``, which are UTF-8."""
        codes = np.empty(len(starts), np.int32)
        done = 0
        while True:
            done, self._n_texts, _ = number_fields(
                buffer,
                starts,
                ends,
                done,
                self._slots,
                self._pool,
                self._offsets,
                self._n_texts,
                codes,
            )
            if done == len(starts):
                return codes
            self._make_room(int(ends[done] - starts[done]))

    def encode(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return the numbers of texts."""
        parts = [text.encode() for text in texts]
        lengths = np.array([len(part) for part in parts], np.int64)
        ends = np.cumsum(lengths)
        # A byte more, as there is no buffer of none.
        return self.encode_fields(np.frombuffer(b"".join([*parts, b" "]), np.uint8), ends - lengths, ends)

    def texts(self) -> list[str]:
        """Return all texts by their numbers."""
        pool = self._pool[: self._offsets[self._n_texts]].tobytes()
        ends = self._offsets[: self._n_texts + 1].tolist()
        return [pool[begin:end].decode() for begin, end in pairwise(ends)]

    def holds_empty(self) -> bool:
        """Whether the empty text is among them."""
        return bool(np.any(np.diff(self._offsets[: self._n_texts + 1]) == 0))

    def _make_room(self, length: int) -> None:
        """Make room for another text of `length` bytes, and for as many more as there are."""
        used = int(self._offsets[self._n_texts])
        if used + length > len(self._pool):
            self._pool = np.append(self._pool, np.empty(len(self._pool) + length, np.uint8))
        room = len(self._offsets) - 1
        if self._n_texts == room:
            self._offsets = np.append(self._offsets, np.empty(room, np.int64))
            self._slots = np.zeros(4 * room, np.uint64)
            fill_slots(self._pool, self._offsets[: room + 1], self._slots)
