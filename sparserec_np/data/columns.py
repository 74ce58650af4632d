"""The columns that are read: ids, weights and times, taken in block by block.

A column accepts its part of a block whole or raises ValueError; which field was at fault is then asked of
`Column.complaint`, one text at a time. So the fast road carries no bookkeeping for messages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import count
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.codebook import Codebook

_SPARSE_RANGE = 4
"""Integer ids are numbered by a look-up table while their range is at most so many times their count."""


class Fields(Protocol):
    """One column of one block of a file."""

    def integers(self, *, canonical: bool = False) -> NDArray[np.int64] | None:
        """Return the fields as unsigned integers, or None where that is not quickly done.

        With `canonical`, None also where a leading zero would be lost.
        """

    def decimals(self) -> NDArray[np.float64] | None:
        """Return the fields as unsigned decimals, or None where that is not quickly done."""

    def texts(self) -> list[str]:
        """Return the fields as text without surrounding blanks."""

    def codes(self, book: Codebook) -> NDArray[np.int32]:
        """Return the numbers that a codebook gives the texts."""


class Column(ABC):
    """A column that is read.

    Parameters
    ----------
    role : str
        ``"user"``, ``"item"``, ``"weight"`` or ``"time"``.
    """

    def __init__(self, role: str) -> None:
        self.role = role

    @abstractmethod
    def add(self, fields: Fields) -> None:
        """Take in a block's fields.

        Raises
        ------
        ValueError
            If some field cannot be right; `complaint` says which.
        """

    @abstractmethod
    def complaint(self, text: str) -> str | None:
        """Return what was expected instead of `text`, and how to mend it; None if `text` is fine."""

    @abstractmethod
    def finish(self) -> Any:
        """Return the values of all rows, and forget them."""


class IdColumn(Column):
    """Ids, numbered in ascending order at the end.

    Canonical integers are kept as numbers, anything else as a code per distinct text, so that no more
    than one Python string per distinct id is ever kept.
    """

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self._numbers: list[NDArray[np.signedinteger]] = []
        self._codes: list[NDArray[np.int32]] = []
        self._book = Codebook()

    def add(self, fields: Fields) -> None:
        """Take in a block's ids."""
        numbers = None if self._codes else fields.integers(canonical=True)
        if numbers is not None:
            self._numbers.append(_narrow(numbers))
            return
        # Blocks were numbers so far, and canonical: their texts can be had back.
        for chunk in self._numbers:
            distinct, inverse = np.unique(chunk, return_inverse=True)
            self._codes.append(self._book.encode([str(number) for number in distinct.tolist()])[inverse])
        self._numbers.clear()
        self._codes.append(fields.codes(self._book))
        if self._book.holds_empty():
            raise ValueError

    def complaint(self, text: str) -> str | None:
        """Refuse nothing but an empty id."""
        article = "an" if self.role == "item" else "a"
        return None if text else f"{article} {self.role} id; fill it in or remove the line"

    def finish(self) -> tuple[NDArray[np.int32], NDArray[np.int64] | list[str]]:
        """Give the ids their numbers, and forget them.

        Returns
        -------
        codes : ndarray of int32
            For each row, the number of its id.
        ids : ndarray of int64 or list of str
            The distinct ids, ascending: integers if all of them are canonical integers.
        """
        if not self._codes:
            return number_integers(self._numbers)
        codes = np.concatenate(self._codes)
        self._codes.clear()
        texts = self._book.texts()
        self._book = Codebook()
        integers = canonical_integers(texts)
        if integers is None:
            return _in_order(texts, codes)
        order = np.argsort(integers)
        return _rank(order)[codes], integers[order]


class WeightColumn(Column):
    """Weights or ratings.

    Parameters
    ----------
    allow_negative : bool
        Whether a negative number is a rating like any other.
    """

    def __init__(self, *, allow_negative: bool) -> None:
        super().__init__("weight")
        self._allow_negative = allow_negative
        self._chunks: list[NDArray[np.float32]] = []

    def add(self, fields: Fields) -> None:
        """Take in a block's weights."""
        values = fields.decimals()
        if values is None:
            texts = fields.texts()
            if any("_" in text for text in texts):  # float() takes 1_000
                raise ValueError
            values = np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))
        with np.errstate(over="ignore"):
            chunk = values.astype(np.float32)
        if not np.isfinite(chunk).all() or (not self._allow_negative and np.any(chunk < 0)):
            raise ValueError
        self._chunks.append(chunk)

    def complaint(self, text: str) -> str | None:
        """Refuse what is no finite number, and a negative one."""
        mend = "correct or remove the line, or name another column as the weight"
        number = _number(text)
        if number is None:
            return f"a number; {mend}"
        with np.errstate(over="ignore"):
            if not np.isfinite(np.float32(number)):
                return f"a finite number that fits 32 bits; {mend}"
        if number < 0 and not self._allow_negative:
            return (
                "a weight of 0 or more; correct or remove the line, or give min_rating to turn ratings "
                "into positives"
            )
        return None

    def finish(self) -> NDArray[np.float32]:
        """Return the weights of all rows, and forget them."""
        weights = np.concatenate(self._chunks)
        self._chunks.clear()
        return weights


class TimeColumn(Column):
    """Times: numbers as they are, ISO 8601 dates as seconds since 1970 (UTC where they name no zone)."""

    def __init__(self) -> None:
        super().__init__("time")
        self._chunks: list[NDArray[np.float64]] = []

    def add(self, fields: Fields) -> None:
        """Take in a block's times."""
        values: NDArray[np.float64] | NDArray[np.int64] | None = fields.integers()
        if values is None:
            values = fields.decimals()
        if values is None:
            values = _times(fields.texts())
        self._chunks.append(values.astype(np.float64, copy=False))

    def complaint(self, text: str) -> str | None:
        """Refuse what is neither a finite number nor a date."""
        if parse_time(text) is not None:
            return None
        return (
            "a number or an ISO date such as 2024-05-31 or 2024-05-31T12:00:00; correct or remove the "
            "line, or name another column as the time"
        )

    def finish(self) -> NDArray[np.float64]:
        """Return the times of all rows, and forget them."""
        times = np.concatenate(self._chunks)
        self._chunks.clear()
        return times


def number_integers(chunks: list[NDArray[np.signedinteger]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Give distinct integers their numbers in ascending order.

    Parameters
    ----------
    chunks : list of ndarray
        The integers; the list is emptied on the way, so that they need not be held twice.

    Returns
    -------
    codes : ndarray of int32
        For each integer, its number.
    ids : ndarray of int64
        The distinct integers, ascending.
    """
    n = sum(chunk.size for chunk in chunks)
    low = min(int(chunk.min()) for chunk in chunks if chunk.size)
    span = max(int(chunk.max()) for chunk in chunks if chunk.size) - low + 1
    codes = np.empty(n, dtype=np.int32)
    if span <= _SPARSE_RANGE * n:
        present = np.zeros(span, dtype=np.bool_)
        for chunk in chunks:
            present[chunk - low] = True
        ids = np.flatnonzero(present) + low
        rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
    else:
        ids = np.unique(np.concatenate([np.unique(chunk) for chunk in chunks])).astype(np.int64)
        rank = None
    end = n
    while chunks:
        chunk = chunks.pop()
        codes[end - chunk.size : end] = np.searchsorted(ids, chunk) if rank is None else rank[chunk - low]
        end -= chunk.size
    return codes, ids


def number_texts(texts: list[str]) -> tuple[NDArray[np.int32], list[str]]:
    """Give distinct strings their numbers in ascending order, as `number_integers` does integers."""
    code_of: defaultdict[str, int] = defaultdict(count().__next__)
    codes = np.fromiter(map(code_of.__getitem__, texts), dtype=np.int32, count=len(texts))
    return _in_order(list(code_of), codes)


def canonical_integers(texts: Sequence[str]) -> NDArray[np.int64] | None:
    """Return texts as int64 if each is the usual spelling of one that fits, else None."""
    try:
        numbers = [int(text) for text in texts]
        if all(str(number) == text for number, text in zip(numbers, texts, strict=True)):
            return np.array(numbers, dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    return None


def parse_time(text: str) -> float | None:
    """Return a number or an ISO date as a number (a date in seconds since 1970), or None."""
    number = _number(text)
    if number is not None:
        return number if np.isfinite(number) else None
    try:
        # Python 3.10 does not know the Z.
        date = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        return None
    return date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp()


def _times(texts: list[str]) -> NDArray[np.float64]:
    # NumPy parses dates fast, but takes a negative number for a year and knows no time zones.
    if all(text[4:5] == "-" and not ("+" in text or "-" in text[8:] or text[-1] == "Z") for text in texts):
        try:
            dates = np.array(texts, dtype="datetime64[us]")
        except ValueError:
            pass
        else:
            return dates.astype(np.int64) / 1e6
    values = [parse_time(text) for text in texts]
    if None in values:
        raise ValueError
    return np.array(values, dtype=np.float64)


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _narrow(numbers: NDArray[np.int64]) -> NDArray[np.signedinteger]:
    fits = numbers.max(initial=0) <= np.iinfo(np.int32).max
    return numbers.astype(np.int32) if fits else numbers


def _in_order(distinct: list[str], codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], list[str]]:
    """Renumber codes so that they ascend with the texts that they stand for."""
    order = sorted(range(len(distinct)), key=distinct.__getitem__)
    return _rank(np.array(order))[codes], [distinct[at] for at in order]


def _rank(order: NDArray[np.int64]) -> NDArray[np.int32]:
    rank = np.empty(order.size, dtype=np.int32)
    rank[order] = np.arange(order.size, dtype=np.int32)
    return rank
