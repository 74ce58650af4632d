"""Integer ids: a sorted array, searched in the type in which a file stores it."""

# ruff: noqa: D102 (what the methods do is told in `IdMap`)

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError
from sparserec_np.runtime.ids import (
    LARGEST_ID,
    SMALLEST_ID,
    IdMap,
    Ids,
    flat,
    is_id,
    not_sorted,
    smallest_integers,
)

_INTEGER = re.compile(r"[+-]?[0-9]+")
# Digits of the largest integer id.
_MOST_DIGITS = 19


class IntIds(IdMap):
    """Integer ids: a sorted array of any integer type, or a Python range."""

    kind = "int"

    def __init__(self, numbers: NDArray[Any] | range, entity: str, source: str | None = None) -> None:
        self._given = numbers
        self.entity = entity
        #: The file, as long as nobody has looked what it holds.
        self._source = source

    @cached_property
    def _numbers(self) -> NDArray[Any] | range:
        numbers = self._given
        if self._source is None or isinstance(numbers, range):
            return numbers
        if (bad := _first_not_increasing(numbers)) is not None:
            found = f"{numbers[bad]} after {numbers[bad - 1]} at position {bad}"
            raise ModelFormatError(f"{self._source}: numbers are not sorted and unique: {found}")
        return numbers

    def check(self) -> None:
        _ = self._numbers

    @classmethod
    def from_numbers(cls, numbers: NDArray[np.int64], entity: str) -> IntIds:
        """Build a map over numbers that nobody else changes, and check them."""
        if (bad := _first_not_increasing(numbers)) is not None:
            raise not_sorted(entity, numbers[bad - 1], numbers[bad], bad)
        n = len(numbers)
        if n == 0 or (numbers[0] == 0 and numbers[-1] == n - 1):
            return cls(range(n), entity)
        numbers.flags.writeable = False
        return cls(numbers, entity)

    @classmethod
    def from_stored(cls, numbers: NDArray[Any], n: int, entity: str, source: str) -> IntIds:
        """Build a map over an array of a file, which is checked when it is first used."""
        if len(numbers) != n:
            raise ModelFormatError(f"{source}: numbers holds {len(numbers)} ids; expected {n}")
        return cls(numbers if n else range(0), entity, source if n else None)

    @property
    def encoding(self) -> str:
        return "range" if isinstance(self._given, range) else "int"

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {} if isinstance(self._numbers, range) else {"numbers": smallest_integers(self._numbers)}

    def __len__(self) -> int:
        return len(self._given)

    def __getitem__(self, row: int) -> int:
        return int(self._numbers[self._checked(row)])

    def ids(self, rows: Iterable[int] | NDArray[np.integer] | None = None) -> NDArray[np.int64]:
        if rows is None:
            return np.array(self._numbers, dtype=np.int64)
        wanted = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), dtype=np.int64)
        if wanted.size:
            self._checked(int(wanted.min()))
            self._checked(int(wanted.max()))
        return wanted.copy() if isinstance(self._numbers, range) else self._numbers[wanted].astype(np.int64)

    def _find(self, id: object) -> int:
        if not isinstance(id, Integral) or not is_id(id):
            return -1
        number = int(id)
        row = self._place(number)
        return row if row < len(self) and int(self._numbers[row]) == number else -1

    def _place(self, number: int) -> int:
        """Return the first row whose id is not below a number."""
        # Numbers of Python: NumPy 1 compares its own as floats with an integer beyond 64 bits.
        return bisect_left(self._numbers, number, key=int)

    def rows(self, ids: Ids) -> NDArray[np.int64]:
        wanted = flat(ids, self.entity)
        unsure = wanted.dtype == np.uint64 or (isinstance(ids, list | tuple) and bool in set(map(type, ids)))
        if unsure or wanted.dtype.kind not in "iu":
            # Not (all) int64: one by one, so that the right element is named or, in a mixed list, found.
            return np.fromiter((self.row(id) for id in ids), np.int64, len(ids))
        if isinstance(self._numbers, range):
            known = (wanted >= 0) & (wanted < len(self))
            rows = wanted.astype(np.int64)
        else:
            # Search in the stored type: searchsorted would copy the whole map to make the types agree.
            limits = np.iinfo(self._numbers.dtype)
            clipped = np.clip(wanted.astype(np.int64), limits.min, limits.max).astype(self._numbers.dtype)
            rows = np.minimum(np.searchsorted(self._numbers, clipped), len(self) - 1).astype(np.int64)
            known = self._numbers[rows] == wanted
        if not known.all():
            raise self._unknown(int(wanted[known.argmin()]))
        return rows

    def closest(self, id: object, n: int = 3) -> list[int]:
        if isinstance(id, Integral):
            number = int(id)
        else:
            digits = _INTEGER.search(str(id))
            if digits is None:
                return []
            number = _integer(digits.group())
        row = self._place(number)
        near = [int(self._numbers[i]) for i in range(max(row - n, 0), min(row + n, len(self)))]
        return sorted(near, key=lambda known: (abs(known - number), known))[:n]

    def parse(self, text: str) -> int:
        typed = text.strip()
        if _INTEGER.fullmatch(typed) is None:
            raise self._unknown(text)
        number = _integer(typed)
        if not SMALLEST_ID <= number <= LARGEST_ID:
            raise self._unknown(text)
        return number


def _integer(text: str) -> int:
    """Read an integer; one of so many digits that Python would take long becomes one beyond all ids."""
    digits = text.lstrip("+-0")
    if len(digits) > _MOST_DIGITS:
        return SMALLEST_ID - 1 if text[0] == "-" else LARGEST_ID + 1
    return int(text[0].strip("0123456789") + (digits or "0"))


def _first_not_increasing(numbers: NDArray[Any]) -> int | None:
    """Find the first position whose value is not larger than the one before."""
    bad = np.flatnonzero(numbers[1:] <= numbers[:-1])
    return int(bad[0]) + 1 if bad.size else None
