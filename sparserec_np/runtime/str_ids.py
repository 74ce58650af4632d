"""String ids: one block of UTF-8, sorted, searched without making strings of it."""

# ruff: noqa: D102 (what the methods do is told in `IdMap`)

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from operator import lt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import DataError, ModelFormatError
from sparserec_np.runtime.ids import IdMap, Ids, not_sorted, smallest_integers

# Ids that are looked at together, where there are many.
_PIECE = 1 << 14


class StrIds(IdMap):
    """String ids: one block of UTF-8 and, for each id, where it starts; sorted by bytes."""

    kind = "str"

    # Up to this many ids, a misspelt one is compared with all of them.
    _ALL_CANDIDATES = 2000
    # Above it, with this many neighbours in the alphabet, on either side.
    _NEIGHBOURS = 100
    # So many characters of an id are compared.
    _COMPARED = 200

    def __init__(
        self, text: NDArray[np.uint8], offsets: NDArray[Any], entity: str, source: str | None = None
    ) -> None:
        self._text = text
        self._given = offsets
        self.entity = entity
        #: The file, as long as nobody has looked what it holds.
        self._source = source

    @cached_property
    def _offsets(self) -> NDArray[Any]:
        if self._source is not None:
            try:
                _check_strings(self._text, self._given)
            except ModelFormatError as error:
                raise ModelFormatError(f"{self._source}: {error}") from None
        return self._given

    def check(self) -> None:
        _ = self._offsets

    @classmethod
    def from_strings(cls, strings: list[Any], entity: str) -> StrIds:
        """Build a map of strings, and check them."""
        try:
            parts = [string.encode() for string in strings]
        except UnicodeEncodeError as error:
            raise DataError(f"{entity} id {error.object!r} is not valid Unicode: {error.reason}") from None
        if not all(map(lt, parts, parts[1:])):
            row = next(row for row in range(1, len(parts)) if parts[row - 1] >= parts[row])
            raise not_sorted(entity, strings[row - 1], strings[row], row)
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), out=offsets[1:])
        offsets.flags.writeable = False
        return cls(np.frombuffer(b"".join(parts), np.uint8), offsets, entity)

    @classmethod
    def from_stored(
        cls, text: NDArray[Any], offsets: NDArray[Any], n: int, entity: str, source: str
    ) -> StrIds:
        """Build a map over arrays of a file, which are checked when they are first used."""
        if text.dtype != np.uint8:
            raise ModelFormatError(f"{source}: text has dtype {text.dtype}; expected uint8")
        if len(offsets) != n + 1:
            raise ModelFormatError(f"{source}: offsets holds {len(offsets)} values; expected {n + 1}")
        return cls(text, offsets, entity, source)

    @property
    def encoding(self) -> str:
        return "str"

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"text": self._text, "offsets": smallest_integers(self._offsets)}

    def __len__(self) -> int:
        return len(self._given) - 1

    def _bytes(self, row: int) -> bytes:
        return self._text[int(self._offsets[row]) : int(self._offsets[row + 1])].tobytes()

    def __getitem__(self, row: int) -> str:
        return self._bytes(self._checked(row)).decode()

    def ids(self, rows: Iterable[int] | NDArray[np.integer] | None = None) -> list[str]:
        if rows is not None:
            return [self[int(row)] for row in rows]
        block = self._text.tobytes()
        return [block[start:stop].decode() for start, stop in _spans(self._offsets)]

    def _insertion(self, text: str) -> int:
        # Half of a surrogate pair cannot be part of any id; replaced, it can still be looked up and missed.
        wanted = text.encode(errors="replace")
        return bisect_left(range(len(self)), wanted, key=self._bytes)

    def _find(self, id: object) -> int:
        if not isinstance(id, str):
            return -1
        row = self._insertion(id)
        return row if row < len(self) and self[row] == id else -1

    def rows(self, ids: Ids) -> NDArray[np.int64]:
        wanted: Sequence[Any] = ids.tolist() if isinstance(ids, np.ndarray) else ids
        if len(wanted) < len(self) // 16:
            return np.fromiter((self.row(id) for id in wanted), np.int64, len(wanted))
        # For many look-ups, a table is worth its making: some ten searches' time per hundred ids.
        table = {id: row for row, id in enumerate(self.ids())}
        found = (table.get(id, -1) if isinstance(id, str) else -1 for id in wanted)
        rows = np.fromiter(found, np.int64, len(wanted))
        if rows.size and rows.min() < 0:
            raise self._unknown(wanted[int(rows.argmin())])
        return rows

    def closest(self, id: object, n: int = 3) -> list[str]:
        import difflib  # only an unknown id needs it

        try:
            wanted = str(id)[: self._COMPARED]
        except ValueError:  # an integer of thousands of digits
            return []
        if len(self) <= self._ALL_CANDIDATES:
            candidates = self.ids()
        else:
            # A slip of case is as common as one of spelling, but sorts far away.
            spellings = {wanted.strip(), wanted.lower(), wanted.upper(), wanted.title()}
            rows: set[int] = set()
            for start in map(self._insertion, spellings):
                rows.update(range(max(start - self._NEIGHBOURS, 0), min(start + self._NEIGHBOURS, len(self))))
            candidates = self.ids(sorted(rows))
        # Compared without case; of ids that differ in case alone, the first is named.
        by_folded: dict[str, str] = {}
        for candidate in candidates:
            by_folded.setdefault(candidate.casefold()[: self._COMPARED], candidate)
        found = difflib.get_close_matches(wanted.strip().casefold(), by_folded, n)
        return [by_folded[folded] for folded in found]

    def parse(self, text: str) -> str:
        return text


def _spans(offsets: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Walk the pairs (start, stop) in pieces: a list of all of them would take many times the array."""
    for begin in range(0, len(offsets) - 1, _PIECE):
        yield from pairwise(offsets[begin : begin + _PIECE + 1].tolist())


def _check_strings(text: NDArray[np.uint8], offsets: NDArray[Any]) -> None:
    """Check that a block of text is sorted, unique strings of UTF-8, some thousands at a time."""
    if offsets[0] != 0 or offsets[-1] != len(text) or np.any(offsets[1:] < offsets[:-1]):
        raise ModelFormatError(f"offsets do not rise from 0 to {len(text)}, the length of the text")
    previous = None
    for begin in range(0, len(offsets) - 1, _PIECE):
        bounds = offsets[begin : begin + _PIECE + 1].tolist()
        first = bounds[0]
        block = text[first : bounds[-1]].tobytes()
        parts = [block[start - first : stop - first] for start, stop in pairwise(bounds)]
        if previous is not None:
            parts.insert(0, previous)
        if not all(map(lt, parts, parts[1:])):
            row = begin + next(i for i, (one, next_) in enumerate(pairwise(parts)) if one >= next_)
            raise ModelFormatError(f"text is not sorted and unique at id number {row + (previous is None)}")
        # Sound as a whole, and no id begins within a character: then each is sound.
        try:
            block.decode()
            starts = text[np.minimum(bounds[:-1], len(text) - 1)] if len(text) else text
            within = (starts & 0xC0 == 0x80) & (np.diff(bounds) > 0)[: len(starts)]
        except UnicodeDecodeError as error:
            row = begin + int(np.searchsorted(bounds, first + error.start, side="right")) - 1
            raise ModelFormatError(f"text is not UTF-8 at id number {row}: {error.reason}") from None
        if within.any():
            row = begin + int(within.argmax())
            raise ModelFormatError(f"text is not UTF-8 at id number {row}: it begins within a character")
        previous = parts[-1]
