"""A file of interactions made into a folder of arrays, with a part of the rows in memory at a time.

The columns go to temporary files as they are read, for the number of an id is known once all are. The rows
are then dealt out to files of neighbouring users, each of which fits into memory, and is sorted and merged
as a whole would be: so the folder is the same, byte for byte, that `Interactions.from_csv` and `to_dir` make.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from dataclasses import replace as changed
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.chunks import FileChunks
from sparserec_np.data.columns import Numbering
from sparserec_np.data.folder import new_folder, user_blocks, write_rest
from sparserec_np.data.pairs import NO_WEIGHT, Ids, Rows, all_low, all_zero, chosen_ids, id_map, no_ratings
from sparserec_np.data.reader import Table, read_table
from sparserec_np.data.sniff import ColumnChoice
from sparserec_np.data.summary import ReadSummary

ROWS_IN_MEMORY = 1 << 22
"""Rows that are sorted at a time; more where there would be too many files, or a user has more."""

_MOST_PARTS = 256
_LONGEST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Attributes
    ----------
    summary : ReadSummary
        What was read and what became of it.
    n_users, n_items, n_interactions : int
        What the folder holds.
    """

    summary: ReadSummary
    n_users: int
    n_items: int
    n_interactions: int


def convert_csv(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    user: ColumnChoice = None,
    item: ColumnChoice = None,
    weight: ColumnChoice = None,
    time: ColumnChoice = None,
    sep: str | None = None,
    header: bool | None = None,
    min_rating: float | None = None,
    replace: bool = False,
) -> Conversion:
    """Read a file of interactions into a folder for `Interactions.from_dir`, larger than memory as it may be.

    The folder is the one that `Interactions.from_csv` and `Interactions.to_dir` would make. Only the ids are
    held in memory, and some millions of rows; beside the folder, temporary files take about twice its room.

    Parameters
    ----------
    source : str or path-like
        The file; ``"-"`` for standard input.
    folder : path-like
        The folder, to be made; its parent exists.
    user, item, weight, time, sep, header, min_rating
        As for `Interactions.from_csv`.
    replace : bool
        Whether a folder of interactions that is there already may be replaced.

    Returns
    -------
    Conversion

    Raises
    ------
    DataError
        If the file is broken, empty or not understood; no folder is left then.
    SettingError
        If an argument is out of its range, or something is there that may not be replaced.
    OSError
        If the folder cannot be written.
    """
    choices = {"user": user, "item": item, "weight": weight, "time": time}
    with new_folder(Path(folder), replace=replace) as made:
        spill = made / "spill"
        spill.mkdir()
        table = read_table(
            source,
            choices,
            sep=sep,
            header=header,
            allow_negative=min_rating is not None,
            make_chunks=lambda name: FileChunks(spill / name),
        )
        conversion = _Converter(table, min_rating, made, spill).convert()
        shutil.rmtree(spill)
    return conversion


class _Converter:
    def __init__(self, table: Table, min_rating: float | None, folder: Path, spill: Path) -> None:
        if min_rating is not None and table.weights is None:
            raise no_ratings(min_rating, table.source)
        self._table = table
        self._min_rating = min_rating
        self._folder = folder
        self._spill = spill
        self._weighted = table.weights is not None and min_rating is None
        self._items = FileChunks(spill / "merged items")
        fields: list[tuple[str, Any]] = [("users", np.int32), ("items", np.int32)]
        fields += [("weights", np.float32)] if self._weighted else []
        fields += [("times", np.float64)] if table.times is not None else []
        self._row = np.dtype(fields)

    def convert(self) -> Conversion:
        table = self._table
        number_users, user_ids = table.users.numbering()
        number_items, item_ids = table.items.numbering()
        counts = self._count(number_users, len(user_ids))
        dropped = {}
        n_low = table.n_rows - int(counts.sum())
        if n_low:
            dropped[f"rating below {self._min_rating:g}"] = n_low
        cuts = _cut(counts, max(ROWS_IN_MEMORY, table.n_rows // _MOST_PARTS))
        self._deal_out(number_users, number_items, cuts)
        lengths, present, merged, without_weight = self._merge(cuts, counts, user_ids, item_ids)
        nnz = int(lengths.sum())
        if without_weight:
            if not nnz:
                raise all_zero(table.source)
            dropped[NO_WEIGHT] = without_weight
        users = id_map(_present_ids(user_ids, lengths > 0), "user")
        items = id_map(_present_ids(item_ids, present), "item")
        described = self._write(lengths[lengths > 0], present, max(nnz, len(users), len(items)), nnz)
        summary = changed(ReadSummary.of_table(table), dropped=dropped, merged=merged)
        extra = {"weighted": self._weighted, "summary": asdict(summary)}
        write_rest(self._folder, described, {"user": users, "item": items}, extra)
        return Conversion(summary, len(users), len(items), nnz)

    def _kept(self) -> Iterator[NDArray[np.bool_] | slice]:
        """Say which rows of each chunk are rated high enough."""
        weights = self._table.weights
        if self._min_rating is None or weights is None:
            while True:
                yield slice(None)
        for chunk in weights.chunks:
            yield chunk >= np.float32(self._min_rating)

    def _count(self, number_users: Numbering, n_users: int) -> NDArray[np.int64]:
        counts = np.zeros(n_users, np.int64)
        for chunk, kept in zip(self._table.users.chunks, self._kept(), strict=False):
            np.add.at(counts, number_users(chunk[kept]), 1)
        if not counts.any() and self._table.weights is not None and self._min_rating is not None:
            highest = max(float(chunk.max()) for chunk in self._table.weights.chunks if chunk.size)
            raise all_low(self._table.n_rows, highest, self._min_rating, self._table.source)
        return counts

    def _deal_out(self, number_users: Numbering, number_items: Numbering, cuts: NDArray[np.int64]) -> None:
        """Append each row to the file of its users, in the order in which they were read."""
        table = self._table
        columns: list[Any] = [table.users.chunks, table.items.chunks]
        columns += [table.weights.chunks] if self._weighted and table.weights is not None else []
        columns += [table.times.chunks] if table.times is not None else []
        for kept, *chunks in zip(self._kept(), *columns, strict=False):
            users, items, *values = (chunk[kept] for chunk in chunks)
            rows = np.empty(len(users), self._row)
            for name, column in zip(
                self._row.names or (), (number_users(users), number_items(items), *values), strict=True
            ):
                rows[name] = column
            part_of = (np.searchsorted(cuts, rows["users"], side="right") - 1).astype(np.uint16)
            rows = rows[np.argsort(part_of, kind="stable")]
            ends = np.cumsum(np.bincount(part_of, minlength=len(cuts) - 1))
            for part, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                if start < end:
                    with open(self._spill / f"part {part}", "ab") as file:
                        file.write(rows[start:end].tobytes())
        for held in (table.users, table.items, table.weights, table.times):
            if held is not None:
                held.chunks.clear()

    def _merge(
        self, cuts: NDArray[np.int64], counts: NDArray[np.int64], user_ids: Ids, item_ids: Ids
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], int, int]:
        """Sort and merge the rows of each part; values go to where they stay, items to a temporary file.

        Returns
        -------
        lengths : ndarray of int64, shape (n_users,)
            How many distinct items each user has.
        present : ndarray of bool, shape (n_items,)
            Which items occur.
        merged, without_weight : int
            As `SortedRows.merge` tells.
        """
        n_items = len(item_ids)
        lengths = np.zeros_like(counts)
        present = np.zeros(n_items, np.bool_)
        merged = without_weight = 0
        files = {
            name: _ArrayFile(self._folder / f"{name}.npy", kind) for name, kind in self._values().items()
        }
        for part, (first, last) in enumerate(pairwise(cuts.tolist())):
            path = self._spill / f"part {part}"
            if not path.exists():
                continue
            read = np.fromfile(path, self._row)
            path.unlink()
            columns = {name: np.ascontiguousarray(read[name]) for name in read.dtype.names or ()}
            del read
            columns["users"] -= np.int32(first)
            given = Rows(**{name: [column] for name, column in columns.items()})
            columns.clear()
            rows = given.sort(last - first, n_items)
            more_merged, more_without = rows.merge()
            rows.check_sums(user_ids, item_ids, self._table.source, first)
            merged, without_weight = merged + more_merged, without_weight + more_without
            lengths[first:last] = np.diff(rows.indptr)
            present[rows.items] = True
            self._items.append(rows.items)
            files["weights"].append(
                np.ones(len(rows.items), np.float32) if rows.weights is None else rows.weights
            )
            if rows.times is not None:
                files["times"].append(rows.times)
        for file in files.values():
            file.finish()
        return lengths, present, merged, without_weight

    def _write(
        self, lengths: NDArray[np.int64], present: NDArray[np.bool_], largest: int, nnz: int
    ) -> dict[str, tuple[np.dtype[Any], int]]:
        """Write row pointers and items, renumbered where some do not occur; describe the arrays."""
        kind = np.dtype(np.int32 if largest <= _LONGEST else np.int64)
        indptr = np.zeros(len(lengths) + 1, kind)
        np.cumsum(lengths, out=indptr[1:])
        np.save(self._folder / "indptr.npy", indptr, allow_pickle=False)
        rank = None if present.all() else np.cumsum(present, dtype=np.int32) - np.int32(1)
        file = _ArrayFile(self._folder / "items.npy", kind)
        for items in self._items.drain():
            file.append((items if rank is None else rank[items]).astype(kind, copy=False))
        file.finish()
        values = {name: (dtype, nnz) for name, dtype in self._values().items()}
        return {"indptr": (kind, len(indptr)), "items": (kind, nnz), **values}

    def _values(self) -> dict[str, np.dtype[Any]]:
        values = {"weights": np.dtype(np.float32)}
        return values if self._table.times is None else {**values, "times": np.dtype(np.float64)}


class _ArrayFile:
    """A NumPy file of one dimension whose length is known at its end.

    NumPy leaves room in the header for the longest.
    """

    def __init__(self, path: Path, kind: np.dtype[Any]) -> None:
        self._path = path
        self._kind = kind
        self._length = 0
        self._write_header()

    def append(self, array: NDArray[Any]) -> None:
        """Add to its end."""
        with open(self._path, "ab") as file:
            file.write(np.ascontiguousarray(array).data)
        self._length += len(array)

    def finish(self) -> None:
        """Enter the length."""
        self._write_header()

    def _write_header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self._kind)
        with open(self._path, "rb+" if self._path.exists() else "wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": descr, "fortran_order": False, "shape": (self._length,)}
            )


def _cut(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Cut users into parts of about `size` rows; returns the first user of each, and how many there are."""
    starts = np.append(0, np.cumsum(counts))
    return np.array([0, *(stop for _, stop in user_blocks(starts, size))], np.int64)


def _present_ids(ids: Ids, present: NDArray[np.bool_]) -> Ids:
    return ids if present.all() else chosen_ids(ids, present)
