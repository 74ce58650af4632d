"""What a trained model consists of, as arrays, and when these arrays make sense together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.runtime.ids import IdMap, in_memory
from sparserec_np.runtime.parts import ITEMS, Parts
from sparserec_np.runtime.table_data import MAX_MAGNITUDE, TableData, check_csr, check_length, check_values


class SeenItems:
    """The items of each user in the training data.

    Parameters
    ----------
    indptr, indices : ndarray of int
        The pattern of a CSR matrix, users in rows, with sorted columns.

    Attributes
    ----------
    n_users : int
    """

    def __init__(self, indptr: NDArray[np.integer], indices: NDArray[np.integer]) -> None:
        self.indptr = indptr
        self.indices = indices
        self.n_users = len(indptr) - 1

    def __getstate__(self) -> dict[str, Any]:
        """Return everything in memory: a pickle needs no file."""
        return in_memory(self.__dict__)

    def __iter__(self) -> Iterator[NDArray[np.integer]]:
        """Unpack into ``indptr, indices``."""
        return iter((self.indptr, self.indices))

    def of(self, user: int) -> NDArray[np.int64]:
        """Return the item rows of one user."""
        return self.indices[int(self.indptr[user]) : int(self.indptr[user + 1])].astype(np.int64)


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
        The user table. Without it users are encoded from what they have `seen`.
    user_ids : IdMap, optional
        One id per user, and none without `users` and `seen`.
    seen : SeenItems, optional
        The training items of each user, which `recommend` leaves out.
    item_bias : ndarray of float32, shape (n_items,), optional
    user_bias : ndarray of float32, shape (n_users,), optional
    offset : float
        Mean rating of a rating model; else 0.
    encoder : str
        How a person is encoded from a history: ``"ridge"``, ``"sum"`` or ``"ratings"``, see
        `sparserec_np.runtime.encoding`; or ``"parts"`` for a score that is a sum, see
        `sparserec_np.runtime.parts`.
    encoder_settings : mapping
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
    encoder_settings: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        """Number of users that the model knows: by their row, or by what they have seen."""
        if self.users is not None:
            return self.users.n_rows
        return self.seen.n_users if self.seen is not None else 0

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
    def has_bias(self) -> bool:
        """Whether scores are more than dot products, so that those of a user without entries differ."""
        return self.item_bias is not None or self.user_bias is not None or self.offset != 0

    @property
    def density(self) -> float:
        """Share of the positions of both tables that are stored."""
        return self.nnz / max((self.n_users + self.n_items) * self.dim, 1)

    @cached_property
    def parts(self) -> Parts:
        """What a score is a sum of."""
        return Parts.of(self.encoder, self.encoder_settings, self.dim)

    def without_neighbours(self) -> ModelData:
        """Return the model without the scores by neighbours, which need the interactions of all users.

        Raises
        ------
        SettingError
            If neighbours are all that the model scores by.
        """
        if self.parts.neighbours is None:
            return self
        if not self.items.nnz:
            raise SettingError(
                "the model scores by neighbours alone, and so by the interactions of its users; "
                "keep these, or train with other parts, such as table"
            )
        encoder, settings = replace(self.parts, neighbours=None).encoder()
        return replace(self, encoder=encoder, encoder_settings=settings)

    def check(self, *, whole: bool = True) -> None:
        """Check every invariant.

        Parameters
        ----------
        whole : bool
            Whether to look into tables, ids and seen items; each is read once. Those of a file check
            themselves where they are used, so that it can be left at what they have in common, and at
            what there is one number of for each row.

        Raises
        ------
        ModelFormatError
            For the first that does not hold; the message names the field.
        """
        if whole:
            self._check_parts()
        self.items.check_dim("items")
        check_length("item_ids", len(self.item_ids), self.n_items)
        _check_counts("popularity", self.popularity, self.n_items)
        if self.users is not None:
            self.users.check_dim("users")
            if self.users.dim != self.dim:
                raise ModelFormatError(f"users have dim {self.users.dim}; expected {self.dim}, as the items")
        elif self.user_bias is not None:
            raise ModelFormatError("user_bias is given although there is no user table")
        check_length("user_ids", len(self.user_ids), self.n_users)
        if self.seen is not None:
            check_length("seen.indptr", self.seen.n_users + 1, self.n_users + 1)
        if self.item_bias is not None:
            check_values("item_bias", self.item_bias, self.n_items)
        if self.user_bias is not None:
            check_values("user_bias", self.user_bias, self.n_users)
        if not abs(self.offset) <= MAX_MAGNITUDE:
            raise ModelFormatError(f"offset is {self.offset}; expected a finite number")
        parts = Parts.of(self.encoder, self.encoder_settings, self.dim)
        for block in parts.blocks:
            if block.encoder == ITEMS and block.width != self.n_items:
                raise ModelFormatError(
                    f"encoder_settings: the width of a block of items is {block.width}; expected "
                    f"{self.n_items}, a column for each item"
                )
        if parts.neighbours and self.seen is None:
            raise ModelFormatError("encoder_settings hold neighbours, but the interactions are missing")

    def check_tables(self, *, seen: bool = True) -> None:
        """Check every number that the tables, and the seen items if asked for, are looked up by.

        Raises
        ------
        ModelFormatError
            For the first that does not exist; the message names the field.
        """
        self.items.check("items")
        if self.users is not None:
            self.users.check("users")
        if self.seen is not None and seen:
            check_csr("seen", self.seen.indptr, self.seen.indices, self.n_items)

    def _check_parts(self) -> None:
        self.check_tables()
        self.item_ids.check()
        self.user_ids.check()


def _check_counts(name: str, counts: NDArray[Any], length: int) -> None:
    if counts.dtype.kind == "f":
        check_values(name, counts, length)
    elif counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise ModelFormatError(
            f"{name} is {counts.dtype} of shape {counts.shape}; expected numbers in one dimension"
        )
    check_length(name, len(counts), length)
    if counts.size and counts.min() < 0:
        raise ModelFormatError(f"{name} holds {counts.min()}; expected counts of 0 or more")
