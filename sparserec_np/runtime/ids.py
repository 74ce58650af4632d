"""The map between people's own ids and row numbers.

Ids are sorted, so a row number is found by binary search: there is no hash table to build when a model
is opened, and the search works over arrays that are mapped from a file. Nothing is ever changed after
construction, so a map may be shared by threads.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from numbers import Integral
from operator import lt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import DataError, ModelFormatError, UnknownIdError

Id = int | str
Ids = Sequence[Id] | NDArray[Any]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_UNSIGNED = (np.uint8, np.uint16, np.uint32)
# Ids that are looked at together, where there are many.
_PIECE = 1 << 14

#: Names of the tensors of an id map, whatever kind it is of.
ID_PARTS = ("numbers", "text", "offsets")


class IdMap(ABC):
    """Sorted, unique ids of one kind; the position of an id is its row number.

    Made by `IdMap.from_ids`, `IdMap.range` or, when a model file is read, `IdMap.from_tensors`.

    Attributes
    ----------
    kind : str
        ``"int"`` or ``"str"``: the type of the ids. Strings are sorted by code point.
    entity : str
        What the ids stand for, ``"user"`` or ``"item"``; error messages use it.
    """

    kind: str
    entity: str

    @staticmethod
    def from_ids(ids: Ids, *, entity: str = "item") -> IdMap:
        """Build a map from ids that are sorted ascending and unique.

        Parameters
        ----------
        ids : sequence or array of int, or of str
            Copied; all of one type. ``numpy.unique`` brings ids into the right form.
        entity : str
            ``"user"`` or ``"item"``.

        Returns
        -------
        IdMap

        Raises
        ------
        DataError
            If the ids are of several types, not sorted, repeated, or cannot be stored as int64 or UTF-8.
        """
        array = np.asarray(ids) if isinstance(ids, np.ndarray) else np.array(list(ids), dtype=object)
        if array.ndim != 1:
            raise DataError(f"{entity} ids have shape {array.shape}; expected one dimension")
        types = {type(id) for id in array} if array.dtype.kind == "O" else {array.dtype.type}
        if types and all(issubclass(type_, str) for type_ in types):
            return _StrIds.from_strings(array.tolist(), entity)
        if not all(issubclass(type_, Integral) for type_ in types):
            found = ", ".join(sorted(type_.__name__ for type_ in types))
            raise DataError(f"{entity} ids are of type {found}; expected all int or all str")
        try:
            # By way of Python's integers, where NumPy would let large unsigned ones wrap round.
            unsure = array.dtype.kind == "O" or array.dtype == np.uint64
            numbers = np.array([int(id) for id in array] if unsure else array, dtype=np.int64)
        except OverflowError:
            raise DataError(f"{entity} ids hold an integer beyond 64 bits; give ids as strings") from None
        return _IntIds.from_numbers(numbers, entity)

    @staticmethod
    def range(n: int, *, entity: str = "item") -> IdMap:
        """Build the map in which an id is its own row number: ids 0 to ``n - 1``, stored without an array."""
        if n < 0:
            raise DataError(f"number of {entity}s is {n}; expected 0 or more")
        return _IntIds(range(n), entity)

    @staticmethod
    def from_tensors(
        encoding: str,
        tensors: Mapping[str, NDArray[Any]],
        n: int,
        *,
        entity: str = "item",
        source: str = "ids",
    ) -> IdMap:
        """Build a map over the arrays of a model file, without copying them; the inverse of `tensors`.

        What the arrays hold is checked when the map is first used, or by `check`.

        Parameters
        ----------
        encoding : str
            ``"range"``, ``"int"`` or ``"str"``.
        tensors : mapping of str to ndarray
            Nothing for ``"range"``, ``numbers`` for ``"int"``, ``text`` and ``offsets`` for ``"str"``.
        n : int
            Number of ids.
        entity : str
            ``"user"`` or ``"item"``.
        source : str
            Begins the messages: the name of the tensors, and of the file where it is not said elsewhere.

        Returns
        -------
        IdMap

        Raises
        ------
        ModelFormatError
            If a tensor is missing, or does not hold ``n`` sorted, unique ids; the latter from the methods
            of the map.
        """
        names = {"range": (), "int": ("numbers",), "str": ("text", "offsets")}.get(encoding)
        if names is None:
            raise ModelFormatError(f"{source}: encoding is {encoding!r}; expected 'range', 'int' or 'str'")
        for name in names:
            if name not in tensors:
                raise ModelFormatError(
                    f"{source}: {name} is missing, although the ids are stored as {encoding!r}"
                )
            if tensors[name].ndim != 1 or tensors[name].dtype.kind not in "iu":
                found = f"{tensors[name].dtype} of shape {tensors[name].shape}"
                raise ModelFormatError(f"{source}: {name} is {found}; expected integers in one dimension")
        if surplus := sorted(tensors.keys() - set(names)):
            raise ModelFormatError(f"{source}: {surplus[0]} has no place beside ids stored as {encoding!r}")
        if encoding == "range":
            return _IntIds(range(n), entity)
        if encoding == "int":
            return _IntIds.from_stored(tensors["numbers"], n, entity, source)
        return _StrIds.from_stored(tensors["text"], tensors["offsets"], n, entity, source)

    @property
    @abstractmethod
    def encoding(self) -> str:
        """How a file stores the ids: ``"range"``, ``"int"`` or ``"str"``."""

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays from which `from_tensors` rebuilds the map, in the smallest integer types that hold them."""

    @abstractmethod
    def check(self) -> None:
        """Check what a file holds; the arrays of any other map are right by the way it is made.

        Raises
        ------
        ModelFormatError
            If the ids are not sorted, unique and of one kind.
        """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, row: int) -> Id: ...

    @abstractmethod
    def ids(self, rows: Iterable[int] | NDArray[np.integer] | None = None) -> Any:
        """Ids of the given rows, or of all: an int64 array or a list of str, by `kind`."""

    @abstractmethod
    def rows(self, ids: Ids) -> NDArray[np.int64]:
        """Row numbers of the given ids.

        Raises
        ------
        UnknownIdError
            For the first id that the map does not hold.
        """

    @abstractmethod
    def closest(self, id: object, n: int = 3) -> list[Any]:
        """Find known ids that look most like `id`, best first.

        It looks at a bounded number of candidates, so that an unknown id costs a service milliseconds at
        most: integers are compared by distance, strings by spelling.
        """

    @abstractmethod
    def parse(self, text: str) -> Id:
        """Read an id typed by a person, in the type of the map's ids; it need not be a known one.

        Raises
        ------
        UnknownIdError
            If the ids are integers and the text is none.
        """

    @abstractmethod
    def _find(self, id: object) -> int:
        """Row of an id, or -1."""

    def __contains__(self, id: object) -> bool:
        return self._find(id) >= 0

    def row(self, id: object) -> int:
        """Row number of one id.

        Raises
        ------
        UnknownIdError
            If the map does not hold it; the error carries the closest ids that it does hold.
        """
        row = self._find(id)
        if row < 0:
            raise self._unknown(id)
        return row

    def _unknown(self, id: Any) -> UnknownIdError:
        return UnknownIdError(self.entity, id, self.closest(id))

    def _checked(self, row: int) -> int:
        # Without this, a row of -1 would quietly be the last id, as it is in any Python sequence.
        if not 0 <= row < len(self):
            raise IndexError(f"{self.entity} row {row}; expected 0 to {len(self) - 1}")
        return row

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IdMap):
            return NotImplemented
        mine, theirs = self.tensors(), other.tensors()
        return (
            (self.encoding, len(self)) == (other.encoding, len(other))
            and mine.keys() == theirs.keys()
            and all(np.array_equal(mine[name], theirs[name]) for name in mine)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<IdMap of {len(self)} {self.entity}s, {self.kind} ids>"


class _IntIds(IdMap):
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
    def from_numbers(cls, numbers: NDArray[np.int64], entity: str) -> _IntIds:
        if (bad := _first_not_increasing(numbers)) is not None:
            raise _not_sorted(entity, numbers[bad - 1], numbers[bad], bad)
        n = len(numbers)
        if n == 0 or (numbers[0] == 0 and numbers[-1] == n - 1):
            return cls(range(n), entity)
        numbers.flags.writeable = False
        return cls(numbers, entity)

    @classmethod
    def from_stored(cls, numbers: NDArray[Any], n: int, entity: str, source: str) -> _IntIds:
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
        if not isinstance(id, Integral):
            return -1
        number = int(id)
        row = bisect_left(self._numbers, number)
        return row if row < len(self) and self._numbers[row] == number else -1

    def rows(self, ids: Ids) -> NDArray[np.int64]:
        wanted = np.asarray(ids)
        if wanted.dtype.kind not in "iu" or wanted.dtype == np.uint64:
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
            number = int(digits.group())
        row = bisect_left(self._numbers, number)
        near = [int(self._numbers[i]) for i in range(max(row - n, 0), min(row + n, len(self)))]
        return sorted(near, key=lambda known: (abs(known - number), known))[:n]

    def parse(self, text: str) -> int:
        if _INTEGER.fullmatch(text.strip()) is None:
            raise self._unknown(text)
        return int(text)


class _StrIds(IdMap):
    """String ids: one block of UTF-8 and, for each id, where it starts; sorted by bytes."""

    kind = "str"

    # Up to this many ids, a misspelt one is compared with all of them.
    _ALL_CANDIDATES = 2000
    # Above it, with this many neighbours in the alphabet, on either side.
    _NEIGHBOURS = 100

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
    def from_strings(cls, strings: list[Any], entity: str) -> _StrIds:
        try:
            parts = [string.encode() for string in strings]
        except UnicodeEncodeError as error:
            raise DataError(f"{entity} id {error.object!r} is not valid Unicode: {error.reason}") from None
        for row, (one, next_) in enumerate(pairwise(parts), start=1):
            if one >= next_:
                raise _not_sorted(entity, one.decode(), next_.decode(), row)
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        offsets.flags.writeable = False
        return cls(np.frombuffer(b"".join(parts), np.uint8), offsets, entity)

    @classmethod
    def from_stored(
        cls, text: NDArray[Any], offsets: NDArray[Any], n: int, entity: str, source: str
    ) -> _StrIds:
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
        rows = np.fromiter((table.get(id, -1) for id in wanted), np.int64, len(wanted))
        if rows.size and rows.min() < 0:
            raise self._unknown(wanted[int(rows.argmin())])
        return rows

    def closest(self, id: object, n: int = 3) -> list[str]:
        import difflib  # only an unknown id needs it

        wanted = str(id)
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
            by_folded.setdefault(candidate.casefold(), candidate)
        found = difflib.get_close_matches(wanted.strip().casefold(), by_folded, n)
        return [by_folded[folded] for folded in found]

    def parse(self, text: str) -> str:
        return text


def smallest_integers(values: NDArray[Any]) -> NDArray[Any]:
    """Convert integers to the smallest of uint8, uint16, uint32, int32 and int64 that holds them all."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for dtype in (*_UNSIGNED, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype, copy=False)
    return values.astype(np.int64, copy=False)


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


def _first_not_increasing(numbers: NDArray[Any]) -> int | None:
    """Find the first position whose value is not larger than the one before."""
    bad = np.flatnonzero(numbers[1:] <= numbers[:-1])
    return int(bad[0]) + 1 if bad.size else None


def _not_sorted(entity: str, one: object, next_: object, row: int) -> DataError:
    return DataError(
        f"{entity} ids are not sorted and unique: {next_!r} after {one!r} at position {row}; "
        "bring them into order with numpy.unique"
    )
