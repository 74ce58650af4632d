"""The columns that are read: ids, weights and times, taken in block by block.

A column accepts its part of a block whole or raises ValueError; which field was at fault is then asked of
`Column.complaint`, one text at a time. So the fast road carries no bookkeeping for messages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from itertools import count
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.chunks import Chunks, MemoryChunks
from sparserec_np.data.codebook import Codebook, Texts
from sparserec_np.kernels.ids import look_up, mark
from sparserec_np.runtime.table_data import MAX_WEIGHT

_SPARSE_RANGE = 4
"""Integer ids are numbered by a look-up table while their range is at most so many times their count,"""
_WIDEST_RANGE = 1 << 26
"""and at most this: the table is to fit into memory where the ids' rows do not."""

_LEAST_DISTINCT = 1 << 20  # integers that are gathered before they are searched for repeated ones

MakeChunks = Callable[[str], Chunks]
"""Makes what holds the chunks of a column; the text names it."""


class Numbering(Protocol):
    """Takes ids as a column keeps them, and gives their numbers."""

    def __call__(self, ids: NDArray[Any], out: NDArray[np.int32] | None = None, /) -> NDArray[np.int32]:
        """Return the numbers, perhaps in `out`, which may be the ids themselves."""


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
    make_chunks : callable
        Makes what holds the values, chunk by chunk; they are in `chunks`.
    """

    def __init__(self, role: str, make_chunks: MakeChunks = lambda _: MemoryChunks()) -> None:
        self.role = role
        self.chunks = make_chunks(role)

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


class IdColumn(Column):
    """Ids, numbered in ascending order at the end.

    Canonical integers are kept as numbers, anything else as a code per distinct text, so that no more
    than one Python string per distinct id is ever kept.
    """

    def __init__(self, role: str, make_chunks: MakeChunks = lambda _: MemoryChunks()) -> None:
        super().__init__(role, make_chunks)
        self._make_chunks = make_chunks
        self._are_codes = False
        self._book = Codebook()

    def add(self, fields: Fields) -> None:
        """Take in a block's ids."""
        numbers = None if self._are_codes else fields.integers(canonical=True)
        if numbers is not None:
            self.chunks.append(_narrow(numbers))
            return
        if not self._are_codes:
            # Blocks were numbers so far, and canonical: their texts can be had back.
            codes = self._make_chunks(f"{self.role} codes")
            for chunk in self.chunks.drain():
                distinct, inverse = np.unique(chunk, return_inverse=True)
                codes.append(self._book.encode([str(number) for number in distinct.tolist()])[inverse])
            self.chunks, self._are_codes = codes, True
        self.chunks.append(fields.codes(self._book))
        if self._book.holds_empty():
            raise ValueError

    def complaint(self, text: str) -> str | None:
        """Refuse nothing but an empty id."""
        article = "an" if self.role == "item" else "a"
        return None if text else f"{article} {self.role} id; fill it in or remove the line"

    def numbering(self) -> tuple[Numbering, NDArray[np.int64] | Texts]:
        """Give the ids their numbers, and forget their texts; the last to be asked of the column.

        Returns
        -------
        numbering : callable
            Gives the numbers of what is in a chunk.
        ids : ndarray of int64 or Texts
            The distinct ids, ascending: integers if all of them are canonical integers.
        """
        if not self._are_codes:
            return integer_numbering(self.chunks)
        book, self._book = self._book, Codebook()
        integers = canonical_integers(book.texts())
        if integers is not None:
            order = np.argsort(integers)
            return _numbering(order), integers[order]
        order, texts = book.ascending()
        return _numbering(order), texts

    def finish(self) -> tuple[list[NDArray[np.int32]], NDArray[np.int64] | Texts]:
        """Return the rows' numbers in chunks and the distinct ids, as `numbering` gives them; forget both."""
        numbering, ids = self.numbering()
        # In their place where they can be: memory that is new to a process costs it time.
        return [
            numbering(chunk, chunk if chunk.dtype == np.int32 else None) for chunk in self.chunks.drain()
        ], ids


class WeightColumn(Column):
    """Weights or ratings.

    Parameters
    ----------
    allow_negative : bool
        Whether a negative number is a rating like any other.
    """

    def __init__(self, make_chunks: MakeChunks = lambda _: MemoryChunks(), *, allow_negative: bool) -> None:
        super().__init__("weight", make_chunks)
        self._allow_negative = allow_negative

    def add(self, fields: Fields) -> None:
        """Take in a block's weights."""
        values = fields.decimals()
        if values is not None:
            if values.max(initial=0.0) > MAX_WEIGHT:
                raise ValueError
            self.chunks.append(values.astype(np.float32))
            return
        texts = fields.texts()
        if any("_" in text for text in texts):  # float() takes 1_000
            raise ValueError
        values = np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))
        least = -MAX_WEIGHT if self._allow_negative else 0.0
        if not ((values >= least) & (values <= MAX_WEIGHT)).all():
            raise ValueError
        self.chunks.append(values.astype(np.float32))

    def complaint(self, text: str) -> str | None:
        """Refuse what is not a finite number within the limit, and a negative one."""
        mend = "correct or remove the line, or name another column as the weight"
        number = _number(text)
        if number is None:
            return f"a number; {mend}"
        if not abs(number) <= MAX_WEIGHT:
            return f"a finite number of at most {MAX_WEIGHT:g}, as weights are kept in 32 bits; {mend}"
        if number < 0 and not self._allow_negative:
            return (
                "a weight of 0 or more; correct or remove the line, or give min_rating to turn ratings "
                "into positives"
            )
        return None


class TimeColumn(Column):
    """Times: numbers as they are, ISO 8601 dates as seconds since 1970 (UTC where they name no zone).

    They are kept as float64, and as int32 in chunks where that holds them.
    """

    def __init__(self, make_chunks: MakeChunks = lambda _: MemoryChunks()) -> None:
        super().__init__("time", make_chunks)

    def add(self, fields: Fields) -> None:
        """Take in a block's times."""
        integers = fields.integers()
        if integers is not None:
            narrow = _narrow(integers)
            self.chunks.append(narrow if narrow.dtype == np.int32 else narrow.astype(np.float64))
            return
        decimals = fields.decimals()
        self.chunks.append(_times(fields.texts()) if decimals is None else decimals)

    def complaint(self, text: str) -> str | None:
        """Refuse what is neither a finite number nor a date."""
        if parse_time(text) is not None:
            return None
        return (
            "a number or an ISO date such as 2024-05-31 or 2024-05-31T12:00:00; correct or remove the "
            "line, or name another column as the time"
        )


def integer_numbering(chunks: Iterable[NDArray[np.signedinteger]]) -> tuple[Numbering, NDArray[np.int64]]:
    """Give distinct integers their numbers in ascending order.

    Parameters
    ----------
    chunks : iterable of ndarray
        The integers, walked several times.

    Returns
    -------
    numbering : callable
        Gives the numbers of such integers.
    ids : ndarray of int64
        The distinct integers, ascending.
    """
    bounds = [(chunk.size, int(chunk.min()), int(chunk.max())) for chunk in chunks if chunk.size]
    n, low = sum(size for size, _, _ in bounds), min(least for _, least, _ in bounds)
    span = max(most for _, _, most in bounds) - low + 1
    if span <= min(_SPARSE_RANGE * n, _WIDEST_RANGE):
        present = np.zeros(span, dtype=np.bool_)
        for chunk in chunks:
            mark(chunk, low, present)
        rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
        return _looked_up(low, rank), np.flatnonzero(present) + low
    ids = _distinct(chunks)
    return _searched(ids), ids


def number_texts(texts: list[str]) -> tuple[NDArray[np.int32], list[str]]:
    """Return the numbers of strings in the ascending order of the distinct ones, and those."""
    code_of: defaultdict[str, int] = defaultdict(count().__next__)
    codes = np.fromiter(map(code_of.__getitem__, texts), dtype=np.int32, count=len(texts))
    distinct = list(code_of)
    order = np.array(sorted(range(len(distinct)), key=distinct.__getitem__), np.int64)
    return _rank(order)[codes], [distinct[at] for at in order.tolist()]


def canonical_integers(texts: Iterable[str]) -> NDArray[np.int64] | None:
    """Return texts as int64 if each is the usual spelling of one that fits, else None."""
    numbers = []
    try:
        for text in texts:
            number = int(text)
            if str(number) != text:
                return None
            numbers.append(number)
        return np.array(numbers, dtype=np.int64)
    except (ValueError, OverflowError):
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


def _distinct(chunks: Iterable[NDArray[np.signedinteger]]) -> NDArray[np.int64]:
    """Return distinct integers, ascending; what is held on the way grows with them alone."""
    ids = np.empty(0, np.int64)
    gathered: list[NDArray[np.int64]] = []
    for chunk in chunks:
        gathered.append(np.unique(chunk).astype(np.int64))
        if sum(map(len, gathered)) > max(len(ids), _LEAST_DISTINCT):
            ids = np.unique(np.concatenate([ids, *gathered]))
            gathered.clear()
    return np.unique(np.concatenate([ids, *gathered]))


def _numbering(order: NDArray[np.int64]) -> Numbering:
    return _looked_up(0, _rank(order))


def _searched(distinct: NDArray[np.int64]) -> Numbering:
    def numbering(ids: NDArray[Any], out: NDArray[np.int32] | None = None, /) -> NDArray[np.int32]:
        return np.searchsorted(distinct, ids).astype(np.int32)

    return numbering


def _looked_up(low: int, table: NDArray[np.int32]) -> Numbering:
    def numbering(ids: NDArray[Any], out: NDArray[np.int32] | None = None, /) -> NDArray[np.int32]:
        out = np.empty(len(ids), np.int32) if out is None else out
        look_up(ids, low, table, out)
        return out

    return numbering


def _rank(order: NDArray[np.int64]) -> NDArray[np.int32]:
    rank = np.empty(order.size, dtype=np.int32)
    rank[order] = np.arange(order.size, dtype=np.int32)
    return rank
