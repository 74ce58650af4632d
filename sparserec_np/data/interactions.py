"""Interactions: who had to do with what, how much and when."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from sparserec_np.data.arrays import id_array, number_array, number_ids, weight_array
from sparserec_np.data.folder import read_folder, write_folder
from sparserec_np.data.pairs import NO_WEIGHT, Ids, Rows, canonical_csr, id_map, make_pairs
from sparserec_np.data.reader import read_table
from sparserec_np.data.sniff import ColumnChoice
from sparserec_np.data.summary import ReadSummary
from sparserec_np.errors import DataError
from sparserec_np.matrices import checked_csr
from sparserec_np.runtime.ids import IdMap
from sparserec_np.runtime.table_data import MAX_WEIGHT

# Weights that are checked at a time.
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Interactions of users with items, one for each pair that occurs.

    Made by `from_csv`, `from_arrays`, `from_matrix` or `from_dir`.

    Attributes
    ----------
    user_items : csr_array of float32, shape (n_users, n_items)
        Weights, all 1 where none were given; sorted column numbers, no pair twice, no zero stored.
    users, items : IdMap
        From ids to rows and columns, and back. Ids ascend with their numbers.
    times : ndarray of float64 or None
        The latest time of each pair, aligned with ``user_items.data``.
    weighted : bool
        Whether the weights say more than that there was an interaction.
    summary : ReadSummary
        What was read and what became of it.
    """

    user_items: sp.csr_array
    users: IdMap
    items: IdMap
    times: NDArray[np.float64] | None
    weighted: bool
    summary: ReadSummary

    @property
    def n_users(self) -> int:
        """Number of users."""
        return int(self.user_items.shape[0])

    @property
    def n_items(self) -> int:
        """Number of items."""
        return int(self.user_items.shape[1])

    @property
    def n_interactions(self) -> int:
        """Number of distinct pairs of a user and an item."""
        return int(self.user_items.nnz)

    def __repr__(self) -> str:
        extras = [
            name for name, has in (("weights", self.weighted), ("times", self.times is not None)) if has
        ]
        with_ = f", with {' and '.join(extras)}" if extras else ""
        return (
            f"<Interactions: {self.n_users} users x {self.n_items} items, {self.n_interactions} pairs{with_}>"
        )

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        *,
        user: ColumnChoice = None,
        item: ColumnChoice = None,
        weight: ColumnChoice = None,
        time: ColumnChoice = None,
        sep: str | None = None,
        header: bool | None = None,
        min_rating: float | None = None,
    ) -> Interactions:
        """Read a text file with a line for each interaction.

        The separator (comma, tab, semicolon, ``::``, bar or space), the header and the columns are found
        out. Columns are known by the names that people use (``userId``, ``user_id:token``, ``movieId``,
        ``rating``, ``timestamp``, ...); without a header they are user, item, and then a rating and a time
        in either order, where those are numbers or dates. Compression (gzip, bzip2, xz) is found out too.

        Ids that are all written as integers become integers, others strings. Weights of a repeated pair are
        summed, of its times the latest is kept.

        Parameters
        ----------
        path : str or path-like
            The file; ``"-"`` for standard input.
        user, item, weight, time : str or int, optional
            A column's name or position, counted from 1.
        sep : str, optional
            The separator.
        header : bool, optional
            Whether the first line holds column names.
        min_rating : float, optional
            Keep only rows rated at least so high, each as a positive of weight 1.

        Returns
        -------
        Interactions

        Raises
        ------
        DataError
            If the file is broken, empty or not understood. The message names file, line, column, what was
            found, what was expected and how to mend it.
        SettingError
            If an argument is out of its range or contradicts another.

        Examples
        --------
        >>> interactions = Interactions.from_csv("ratings.csv", min_rating=4)  # doctest: +SKIP
        """
        choices = {"user": user, "item": item, "weight": weight, "time": time}
        table = read_table(path, choices, sep=sep, header=header, allow_negative=min_rating is not None)
        return cls._from_rows(*table.rows(), min_rating, ReadSummary.of_table(table))

    @classmethod
    def from_arrays(
        cls,
        users: ArrayLike,
        items: ArrayLike,
        weights: ArrayLike | None = None,
        times: ArrayLike | None = None,
        *,
        min_rating: float | None = None,
    ) -> Interactions:
        """Take interactions from arrays, lists or columns of equal length.

        Parameters
        ----------
        users, items : array-like of int or str
            Ids, a pair for each interaction. Strings stay strings, whatever they spell.
        weights : array-like of float, optional
            Weights or ratings, 0 or more; weights of a repeated pair are summed.
        times : array-like of float or datetime64, optional
            Times; dates become seconds since 1970. Of a repeated pair's times the latest is kept.
        min_rating : float, optional
            Keep only rows rated at least so high, each as a positive of weight 1.

        Returns
        -------
        Interactions

        Raises
        ------
        DataError
            If the arrays differ in length, are empty, or hold what no id, weight or time can be.
        """
        user_array, item_array = id_array(users, "users"), id_array(items, "items")
        allow_negative = min_rating is not None
        weights = None if weights is None else weight_array(weights, allow_negative=allow_negative)
        times = None if times is None else number_array(times, "times")
        n_rows = len(user_array)
        given = {"items": item_array, "weights": weights, "times": times}
        for name, array in given.items():
            if array is not None and len(array) != n_rows:
                raise DataError(
                    f"users and {name} have {n_rows} and {len(array)} elements; expected one each for every "
                    "interaction; give arrays of equal length"
                )
        if not n_rows:
            raise DataError("users and items are empty; expected at least one interaction; give some rows")
        user_codes, user_ids = number_ids(user_array)
        item_codes, item_ids = number_ids(item_array)
        rows = Rows(
            [user_codes],
            [item_codes],
            None if weights is None else [weights],
            None if times is None else [times],
        )
        summary = ReadSummary(source="arrays", n_rows=n_rows)
        return cls._from_rows(rows, user_ids, item_ids, min_rating, summary)

    @classmethod
    def from_matrix(
        cls, matrix: Any, *, user_ids: Sequence[Any] | None = None, item_ids: Sequence[Any] | None = None
    ) -> Interactions:
        """Take interactions from a matrix, users in rows and items in columns.

        Parameters
        ----------
        matrix : scipy.sparse matrix or array, shape (n_users, n_items)
            Weights, 0 or more, in any sparse format; it is not modified. Entries of 0 are left out.
        user_ids, item_ids : sequence of int or str, optional
            Ids of rows and columns, ascending; by default their numbers from 0.

        Returns
        -------
        Interactions
            Of the matrix's shape, rows and columns without entries included.

        Raises
        ------
        DataError
            If it is no sparse matrix of two dimensions, is empty, holds negative or infinite values or NaN
            or entries outside of its shape, or if there are more or fewer ids than rows or columns.
        """
        found = checked_csr(matrix, "matrix")
        with np.errstate(over="ignore"):
            # Of any format but CSR, these arrays are new already.
            user_items = sp.csr_array(found, dtype=np.float32, copy=matrix.format == "csr")
        n_stored = user_items.nnz
        _refuse_values(user_items)
        user_items.sum_duplicates()
        _refuse_values(user_items)
        n_distinct = user_items.nnz
        user_items.eliminate_zeros()
        if not user_items.nnz:
            raise DataError(
                f"matrix of shape {matrix.shape} holds nothing but 0; expected at least one interaction"
            )
        n_zero = n_distinct - user_items.nnz
        return cls(
            canonical_csr(user_items.data, user_items.indices, user_items.indptr, user_items.shape),
            _id_map(user_ids, user_items.shape[0], "user"),
            _id_map(item_ids, user_items.shape[1], "item"),
            None,
            bool(np.any(user_items.data != 1)),
            ReadSummary(
                source="a matrix",
                n_rows=n_stored,
                dropped={NO_WEIGHT: n_zero} if n_zero else {},
                merged=n_stored - n_distinct,
            ),
        )

    @classmethod
    def from_dir(cls, path: str | os.PathLike[str]) -> Interactions:
        """Open a folder that `to_dir` wrote: its arrays are mapped into memory, not read.

        Parameters
        ----------
        path : path-like
            The folder.

        Returns
        -------
        Interactions
            Of read-only arrays, which the system reads where they are looked at and drops when it needs the
            memory.

        Raises
        ------
        DataError
            If it is no such folder or is damaged; the message names the file and what is wrong with it.
        """
        arrays, ids, header = read_folder(Path(path))
        user_items = canonical_csr(
            arrays["weights"], arrays["items"], arrays["indptr"], (header["n_users"], header["n_items"])
        )
        return cls(
            user_items,
            ids["user"],
            ids["item"],
            arrays.get("times"),
            bool(header.get("weighted")),
            ReadSummary.from_plain(header.get("summary"), str(path)),
        )

    def to_dir(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Write a folder of arrays for `from_dir`, whole or not at all.

        It opens at once, however many interactions there are, and need not fit into memory.

        Parameters
        ----------
        path : path-like
            The folder, to be made; its parent exists.
        replace : bool
            Whether a folder of interactions that is there already may be replaced.

        Raises
        ------
        SettingError
            If something is there that may not be replaced.
        OSError
            If the folder cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = {
            "indptr": self.user_items.indptr,
            "items": self.user_items.indices,
            "weights": self.user_items.data,
        }
        if self.times is not None:
            arrays["times"] = self.times
        extra = {"weighted": self.weighted, "summary": asdict(self.summary)}
        write_folder(Path(path), arrays, {"user": self.users, "item": self.items}, extra, replace=replace)

    def check(self) -> None:
        """Check that the matrix, the ids and the times are whole and belong together; `fit` does so first.

        Raises
        ------
        DataError
            If the arrays were changed so that they do not; the message names the row and the column.
        """
        user_items = self.user_items
        csr = checked_csr(user_items, "user_items", (len(self.users), len(self.items)))
        if user_items.format != "csr" or csr.dtype != np.float32 or not csr.has_canonical_format:
            raise DataError(
                f"user_items is {user_items.format} of type {csr.dtype}; expected CSR of type float32 with "
                "sorted columns and no pair twice; make the interactions with Interactions.from_matrix"
            )
        _refuse_values(csr, "user_items")
        if self.times is not None and self.times.shape != (csr.nnz,):
            raise DataError(f"times have shape {self.times.shape}; expected one for each of {csr.nnz} pairs")

    @classmethod
    def _from_rows(
        cls, rows: Rows, user_ids: Ids, item_ids: Ids, min_rating: float | None, summary: ReadSummary
    ) -> Interactions:
        weighted = rows.weights is not None and min_rating is None
        pairs = make_pairs(rows, user_ids, item_ids, min_rating, summary.source)
        return cls(
            pairs.user_items,
            id_map(pairs.user_ids, "user"),
            id_map(pairs.item_ids, "item"),
            pairs.times,
            weighted,
            replace(summary, dropped=pairs.dropped, merged=pairs.merged),
        )


def _refuse_values(user_items: sp.csr_array, name: str = "matrix") -> None:
    """Refuse NaN, infinite and negative values by their place."""
    data = user_items.data
    for begin in range(0, data.size, _BLOCK):
        part = data[begin : begin + _BLOCK]
        fine = (part >= 0) & (part <= MAX_WEIGHT)
        if fine.all():
            continue
        at = begin + int(fine.argmin())
        row = int(np.searchsorted(user_items.indptr, at, side="right")) - 1
        raise DataError(
            f"{name}[{row}, {user_items.indices[at]}] is {data[at]}; expected a finite weight of 0 or "
            f"more, at most {MAX_WEIGHT:g}; correct or remove it"
        )


def _id_map(ids: Sequence[Any] | None, n: int, entity: str) -> IdMap:
    if ids is None:
        return IdMap.range(n, entity=entity)
    if len(ids) != n:
        raise DataError(
            f"{entity}_ids has {len(ids)} elements for a matrix with {n} {entity}s; expected one for each; "
            "users stand in rows, items in columns: perhaps the matrix is to be transposed"
        )
    return IdMap.from_ids(ids, entity=entity)
