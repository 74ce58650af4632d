"""The map between people's own ids and row numbers.

Ids are sorted, so a row number is found by binary search: there is no hash table to build when a model
is opened, and the search works over arrays that are mapped from a file. Nothing is ever changed after
construction, so a map may be shared by threads. The two kinds are in `sparserec_np.runtime.int_ids` and
`sparserec_np.runtime.str_ids`, which this module imports where it makes one: they build on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import DataError, ModelFormatError, SettingError, UnknownIdError, shown

Id = int | str
Ids = Sequence[Id] | NDArray[Any]

_UNSIGNED = (np.uint8, np.uint16, np.uint32)

#: Integer ids lie between these.
SMALLEST_ID, LARGEST_ID = -(2**63), 2**63 - 1

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
            from sparserec_np.runtime.str_ids import StrIds

            return StrIds.from_strings(array.tolist(), entity)
        if not all(issubclass(type_, Integral) and type_ is not bool for type_ in types):
            found = ", ".join(sorted(type_.__name__ for type_ in types))
            raise DataError(f"{entity} ids are of type {found}; expected all int or all str")
        try:
            # By way of Python's integers, where NumPy would let large unsigned ones wrap round.
            unsure = array.dtype.kind == "O" or array.dtype == np.uint64
            numbers = np.array([int(id) for id in array] if unsure else array, dtype=np.int64)
        except OverflowError:
            raise DataError(f"{entity} ids hold an integer beyond 64 bits; give ids as strings") from None
        from sparserec_np.runtime.int_ids import IntIds

        return IntIds.from_numbers(numbers, entity)

    @staticmethod
    def range(n: int, *, entity: str = "item") -> IdMap:
        """Build the map in which an id is its own row number: ids 0 to ``n - 1``, stored without an array."""
        if n < 0:
            raise DataError(f"number of {entity}s is {n}; expected 0 or more")
        from sparserec_np.runtime.int_ids import IntIds

        return IntIds(range(n), entity)

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
        from sparserec_np.runtime.int_ids import IntIds
        from sparserec_np.runtime.str_ids import StrIds

        if encoding == "range":
            return IntIds(range(n), entity)
        if encoding == "int":
            return IntIds.from_stored(tensors["numbers"], n, entity, source)
        return StrIds.from_stored(tensors["text"], tensors["offsets"], n, entity, source)

    def __getstate__(self) -> dict[str, Any]:
        """Return everything in memory: a pickle needs no file."""
        return in_memory(self.__dict__)

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


def in_memory(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an object holds, with copies of the arrays that are views of a NumPy file.

    joblib hands such views to other processes by the name of the file, which may be gone when they arrive,
    or be another one.
    """
    return {
        name: np.array(value) if isinstance(value, np.ndarray) and _is_in_file(value) else value
        for name, value in state.items()
    }


def _is_in_file(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def smallest_integers(values: NDArray[Any]) -> NDArray[Any]:
    """Convert integers to the smallest of uint8, uint16, uint32, int32 and int64 that holds them all."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for dtype in (*_UNSIGNED, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype, copy=False)
    return values.astype(np.int64, copy=False)


def is_id(value: object) -> bool:
    """Whether a value can be an id: an integer or a string. Booleans and floats that equal one are not."""
    return isinstance(value, str | Integral) and not isinstance(value, bool)


def plain_id(value: object, name: str) -> Id:
    """Return an id in Python's own type, once it is certain that a file can hold it.

    Parameters
    ----------
    value : object
        What the caller gave as an id.
    name : str
        What the message calls it.

    Raises
    ------
    SettingError
        If it is neither an integer of 64 bits nor a string of Unicode characters.
    """
    if not is_id(value):
        raise SettingError(f"{name} is {shown(value)}; expected an integer or a string")
    if not isinstance(value, str):
        number = int(value)  # type: ignore[call-overload]
        if not SMALLEST_ID <= number <= LARGEST_ID:
            raise SettingError(
                f"{name} is {shown(number)}; expected an integer of 64 bits, at most 2**63 - 1; "
                "give larger numbers as strings"
            )
        return int(number)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SettingError(f"{name} is {shown(value)}, which is not valid Unicode: {error.reason}") from None
    return str(value)


def flat(ids: Ids, entity: str) -> NDArray[Any]:
    """Return ids as an array of one dimension.

    Raises
    ------
    SettingError
        If they are nested.
    """
    try:
        array = np.asarray(ids)
    except ValueError:  # lists of several lengths
        array = np.empty((0, 0))
    if array.ndim != 1:
        raise SettingError(f"{entity} ids are nested, such as {shown(ids)}; expected a flat list or array")
    return array


def not_sorted(entity: str, one: object, next_: object, row: int) -> DataError:
    """Make the error for ids that are not sorted and unique."""
    return DataError(
        f"{entity} ids are not sorted and unique: {next_!r} after {one!r} at position {row}; "
        "bring them into order with numpy.unique"
    )
