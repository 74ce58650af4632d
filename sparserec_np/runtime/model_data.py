"""What a trained model consists of, as arrays, and when these arrays make sense together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError
from sparserec_np.runtime.encoding import check_encoder
from sparserec_np.runtime.ids import IdMap

#: Widest table that a model may have: column numbers take two bytes at most.
MAX_DIM = 1 << 16

# Far beyond any trained value, and small enough that no score of float32 overflows.
_MAX_MAGNITUDE = 1e12


class SeenItems(NamedTuple):
    """The items of each user in the training data, as the pattern of a CSR matrix with sorted columns."""

    indptr: NDArray[np.integer]
    indices: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class TableData:
    """A sparse embedding table in CSR form.

    Attributes
    ----------
    indptr : ndarray of int, shape (n_rows + 1,)
        Where each row starts among the stored entries.
    indices : ndarray of int, shape (nnz,)
        Column numbers, rising within each row.
    values : ndarray of float32, shape (nnz,)
    dim : int
        Width of the table.
    """

    indptr: NDArray[np.integer]
    indices: NDArray[np.integer]
    values: NDArray[np.float32]
    dim: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        return len(self.indices)


@dataclass(frozen=True, eq=False)
class ModelData:
    """Everything that recommending needs, in plain arrays; what a model file holds.

    The score of an item for a user is ``offset + user_bias[user] + item_bias[item] + <u, v>``, where a
    missing bias counts as zero.

    Attributes
    ----------
    items : TableData
        The item table.
    item_ids : IdMap
        One id per row of `items`.
    popularity : ndarray of int or float32, shape (n_items,)
        Interactions of each item in the training data; what a person without a history is shown by.
    users : TableData, optional
        The user table. A model for people it never saw needs none.
    user_ids : IdMap, optional
        One id per row of `users`, and none without it.
    seen : SeenItems, optional
        The training items of each user, which `recommend` leaves out.
    item_bias : ndarray of float32, shape (n_items,), optional
    user_bias : ndarray of float32, shape (n_users,), optional
    offset : float
        Mean rating of a rating model; else 0.
    encoder : str
        How a person is encoded from a history: ``"ridge"``, ``"sum"`` or ``"ratings"``; see
        `sparserec_np.runtime.encoding`.
    encoder_settings : mapping of str to float
        The encoder's settings, where they differ from its defaults.
    info : mapping
        How the model came to be: the estimator's name and settings, a summary of the training. Plain
        JSON; names are strings.
    """

    items: TableData
    item_ids: IdMap
    popularity: NDArray[Any]
    users: TableData | None = None
    user_ids: IdMap = field(default_factory=lambda: IdMap.range(0, entity="user"))
    seen: SeenItems | None = None
    item_bias: NDArray[np.float32] | None = None
    user_bias: NDArray[np.float32] | None = None
    offset: float = 0.0
    encoder: str = "ridge"
    encoder_settings: Mapping[str, float] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        """Number of users that have a row."""
        return self.users.n_rows if self.users is not None else 0

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.items.n_rows

    @property
    def dim(self) -> int:
        """Width of both tables."""
        return self.items.dim

    @property
    def nnz(self) -> int:
        """Stored entries of both tables together."""
        return self.items.nnz + (self.users.nnz if self.users is not None else 0)

    @property
    def density(self) -> float:
        """Share of the positions of both tables that are stored."""
        return self.nnz / max((self.n_users + self.n_items) * self.dim, 1)

    def check(self) -> None:
        """Check every invariant, at the cost of one pass over the arrays.

        Raises
        ------
        ModelFormatError
            For the first that does not hold; the message names the field.
        """
        _check_table("items", self.items)
        _check_length("item_ids", len(self.item_ids), self.n_items)
        _check_counts("popularity", self.popularity, self.n_items)
        if self.users is not None:
            _check_table("users", self.users)
            if self.users.dim != self.dim:
                raise ModelFormatError(f"users have dim {self.users.dim}; expected {self.dim}, as the items")
        elif self.seen is not None or self.user_bias is not None:
            extra = "seen" if self.seen is not None else "user_bias"
            raise ModelFormatError(f"{extra} is given although there is no user table")
        _check_length("user_ids", len(self.user_ids), self.n_users)
        if self.seen is not None:
            _check_length("seen.indptr", len(self.seen.indptr), self.n_users + 1)
            _check_csr("seen", self.seen.indptr, self.seen.indices, self.n_items)
        if self.item_bias is not None:
            _check_values("item_bias", self.item_bias, self.n_items)
        if self.user_bias is not None:
            _check_values("user_bias", self.user_bias, self.n_users)
        if not abs(self.offset) <= _MAX_MAGNITUDE:
            raise ModelFormatError(f"offset is {self.offset}; expected a finite number")
        check_encoder(self.encoder, self.encoder_settings)


def _check_table(name: str, table: TableData) -> None:
    if not 1 <= table.dim <= MAX_DIM:
        raise ModelFormatError(f"dim of {name} is {table.dim}; expected 1 to {MAX_DIM}")
    _check_csr(name, table.indptr, table.indices, table.dim)
    _check_values(f"{name}.values", table.values, table.nnz)


def _check_csr(name: str, indptr: NDArray[Any], indices: NDArray[Any], n_columns: int) -> None:
    """Check that a CSR pattern has sorted, unique columns in range."""
    for part, array in (("indptr", indptr), ("indices", indices)):
        if array.ndim != 1 or array.dtype.kind not in "iu":
            found = f"{array.dtype} of shape {array.shape}"
            raise ModelFormatError(f"{name}.{part} is {found}; expected integers in one dimension")
    nnz = len(indices)
    if len(indptr) == 0 or indptr[0] != 0 or indptr[-1] != nnz:
        ends = f"{indptr[0]} to {indptr[-1]}" if len(indptr) else "nowhere"
        raise ModelFormatError(f"{name}.indptr leads from {ends}; expected 0 to {nnz}, the stored entries")
    # Compared, not subtracted: a difference of unsigned numbers is never negative.
    if (falls := np.flatnonzero(indptr[1:] < indptr[:-1])).size:
        raise ModelFormatError(
            f"{name}.indptr falls after row {falls[0]}; expected no row to end before it starts"
        )
    if nnz == 0:
        return
    if indices.min() < 0 or indices.max() >= n_columns:
        found = f"{indices.min()} to {indices.max()}"
        raise ModelFormatError(f"{name}.indices lie in {found}; expected 0 to {n_columns - 1}")
    rising = indices[1:] > indices[:-1]
    starts = indptr[1:-1].astype(np.intp)
    rising[starts[(starts > 0) & (starts < nnz)] - 1] = True
    if not rising.all():
        entry = int(rising.argmin()) + 1
        row = int(np.searchsorted(indptr, entry, side="right")) - 1
        raise ModelFormatError(
            f"{name}.indices are not rising within row {row}; expected sorted, unique columns"
        )


def _check_values(name: str, values: NDArray[Any], length: int) -> None:
    if values.ndim != 1 or values.dtype != np.float32:
        raise ModelFormatError(
            f"{name} is {values.dtype} of shape {values.shape}; expected float32 in one dimension"
        )
    _check_length(name, len(values), length)
    # A comparison with NaN is false; some NumPy versions warn of it besides.
    with np.errstate(invalid="ignore"):
        fine = np.abs(values) <= _MAX_MAGNITUDE
    if not fine.all():
        bad = int(fine.argmin())
        raise ModelFormatError(f"{name} holds {values[bad]} at position {bad}; expected finite numbers")


def _check_counts(name: str, counts: NDArray[Any], length: int) -> None:
    if counts.dtype.kind == "f":
        _check_values(name, counts, length)
    elif counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise ModelFormatError(
            f"{name} is {counts.dtype} of shape {counts.shape}; expected numbers in one dimension"
        )
    _check_length(name, len(counts), length)
    if counts.size and counts.min() < 0:
        raise ModelFormatError(f"{name} holds {counts.min()}; expected counts of 0 or more")


def _check_length(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise ModelFormatError(f"{name} has length {found}; expected {expected}")
