"""Who is asking: users of the model, people with a history, and what both did since it was trained."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, SettingError, shown
from sparserec_np.runtime.ids import Id, Ids, is_id, plain_id
from sparserec_np.runtime.model_data import ModelData
from sparserec_np.runtime.parts import HistoryEncoder
from sparserec_np.runtime.scoring import TableScorer, Vector
from sparserec_np.runtime.state import read_state, write_state
from sparserec_np.runtime.table_data import MAX_WEIGHT, TableData

Rows = NDArray[np.int64]

# With vectors of so large numbers no score overflows, as large as those of the table may be.
_SAFE = 1e20

# Numbers of the users that are encoded at a time where a table is made of them.
_BLOCK_NUMBERS = 1 << 20

NO_ROWS: Rows = np.empty(0, np.int64)


class Person(NamedTuple):
    """Someone to answer.

    Attributes
    ----------
    vector : Vector or None
        What their scores are made of; None where nothing is known, and popularity has to serve.
    seen : ndarray of int64
        Rows of the items that they had already.
    """

    vector: Vector | None
    seen: Rows


class _New:
    """What somebody did since the model was trained: item rows and their weights; never changed."""

    def __init__(self, told: Mapping[int, float]) -> None:
        self.rows = np.array(list(told), np.int64)
        self.weights = np.array(list(told.values()), np.float64)
        self.told = told


class People:
    """Everybody who may ask, as vectors in the space of the item table.

    Threads may ask while another tells of new interactions.

    Parameters
    ----------
    data : ModelData
    items : TableScorer
        Of the item table.
    """

    def __init__(self, data: ModelData, items: TableScorer) -> None:
        self.data = data
        self._items = items
        self._encoder = HistoryEncoder(data, items)
        self._new: dict[Id, _New] = {}
        self._lock = threading.Lock()

    @cached_property
    def table(self) -> TableScorer:
        """The user table; where the file has none, one that is made of what the users have seen."""
        self._check_users()
        return TableScorer(self.data.users or self._table_of_histories())

    def rows(self, users: Ids) -> Rows:
        """Rows of users of the model."""
        self._check_users()
        return self.data.user_ids.rows(users)

    def dense(self, rows: Rows) -> NDArray[np.float32]:
        """Vectors of users of the model, by row; shape (len(rows), dim)."""
        if self.data.users is not None:
            return self.table.dense(rows)
        out = np.zeros((len(rows), self.data.dim), np.float32)
        for place, row in enumerate(rows.tolist()):
            vector = self._stored(row).vector
            if vector is not None:
                out[place, vector.columns] = vector.values
        return out

    @property
    def have_neighbours(self) -> bool:
        """Whether what neighbours say is a part of the scores."""
        return self._encoder.neighbours is not None

    def known(self, vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tell which users something is known of, by their vectors; the others get what is popular.

        Parameters
        ----------
        vectors : ndarray of float32, shape (n, dim)
            As `dense` returns them.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        if self.data.users is None:
            return np.asarray(vectors.any(axis=1), np.bool_)
        if self.data.has_bias:
            return np.ones(len(vectors), np.bool_)
        used = self._items.used_columns
        return np.asarray((vectors if used.all() else vectors[:, used]).any(axis=1), np.bool_)

    def of_user(self, user: Any) -> Person:
        """Look up a user, of the model or new."""
        new = self._told(user)
        if new is not None:
            return self._updated(user, new)
        self._check_users()
        return self._stored(self.data.user_ids.row(user))

    def vector(self, user: Any) -> Vector | None:
        """Look up a user's vector, also where it does not tell items apart."""
        if self.data.users is None or self._told(user) is not None:
            return self.of_user(user).vector
        return self._stored_vector(self.data.user_ids.row(user))

    def of_users(self, users: Ids) -> list[Person]:
        """Several users; those of the model are looked up at once."""
        new = [self._told(user) for user in users]
        stored = [user for user, told in zip(users, new, strict=True) if told is None]
        rows = iter(self.rows(stored).tolist() if stored else [])
        return [
            self._stored(next(rows)) if told is None else self._updated(user, told)
            for user, told in zip(users, new, strict=True)
        ]

    def of_history(self, rows: Rows, weights: Iterable[float] | None) -> Person:
        """Encode a person from item rows and, if given, a weight for each."""
        return Person(self._encode(rows, self._checked_weights(weights, len(rows))), rows)

    def has_news(self, users: Iterable[Any]) -> bool:
        """Whether one of several users did something since the model was trained."""
        return bool(self._new) and any(self._told(user) is not None for user in users)

    def tell(self, user: Any, rows: Rows, weights: Iterable[float] | None) -> None:
        """Remember new interactions; see `Recommender.update`."""
        user = plain_id(user, "user")
        given = self._checked_weights(weights, len(rows))
        if given is None:
            given = np.full(len(rows), self._weight_of_one())
        told = dict(zip(rows.tolist(), given.tolist(), strict=True))
        with self._lock:
            self._check_kind(user, self._new)
            old = self._new.get(user)
            self._new[user] = _New(told if old is None else {**old.told, **told})

    def news(self) -> dict[Id, dict[int, float]]:
        """Return what was told of everybody: weights by item row."""
        with self._lock:
            return {user: dict(new.told) for user, new in self._new.items()}

    def replace_news(self, news: Mapping[Id, Mapping[int, float]]) -> None:
        """Take what `news` returned for all that was told."""
        new = {user: _New(told) for user, told in news.items()}
        with self._lock:
            self._new = new

    def histories(self) -> dict[Id, dict[Id, float]]:
        """Return what was told of everybody, by people's own ids: weights by item."""
        item_ids = self.data.item_ids
        return {
            user: {item_ids[row]: weight for row, weight in told.items()}
            for user, told in self.news().items()
        }

    def take_up(self, histories: Mapping[Id, Mapping[Id, float]]) -> None:
        """Take what `histories` returned, perhaps of another model, for all that was told.

        Items that this model does not know are passed over.

        Raises
        ------
        SettingError
            If a user's id or a weight is none that this model takes.
        """
        new: dict[Id, dict[int, float]] = {}
        for user, history in histories.items():
            self._check_kind(user, new)
            self._checked_weights(history.values(), len(history))
            known = {item: weight for item, weight in history.items() if item in self.data.item_ids}
            rows = self.data.item_ids.rows(list(known)).tolist()
            new[user] = dict(zip(rows, known.values(), strict=True))
        self.replace_news(new)

    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Write what was told; see `Recommender.save_state`."""
        write_state(path, self.histories())

    def load_state(self, path: str | os.PathLike[str]) -> None:
        """Take up what was told before; see `Recommender.load_state`."""
        histories = read_state(path)
        try:
            self.take_up(histories)
        except SettingError as error:
            raise ModelFormatError(f"{path}: {error}") from None

    def _check_users(self) -> None:
        """Refuse where there are none: that says more than that one of them is unknown."""
        if not self.data.n_users:
            raise SettingError("the model holds no users; recommend by history=[item, ...] instead")

    def _stored(self, row: int) -> Person:
        seen = NO_ROWS
        if self.data.seen is not None:
            seen = self.data.seen.of(row)
        if self.data.users is None:
            return self.of_history(seen, None)
        vector = self._stored_vector(row)
        return Person(vector if self.data.has_bias or self._items.meets(vector) else None, seen)

    def _table_of_histories(self) -> TableData:
        """Make a user table by encoding everybody, a block at a time."""
        lengths, columns, values = [], [], []
        step = max(_BLOCK_NUMBERS // self.data.dim, 1)
        for start in range(0, self.data.n_users, step):
            block = self.dense(np.arange(start, min(start + step, self.data.n_users)))
            rows, found = np.nonzero(block)
            lengths.append(np.bincount(rows, minlength=len(block)))
            columns.append(found)
            values.append(block[rows, found])
        indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        return TableData(indptr, np.concatenate(columns), np.concatenate(values), self.data.dim)

    def _stored_vector(self, row: int) -> Vector:
        return self.table.row(row)._replace(base=self.base(row))

    def _updated(self, user: Id, new: _New) -> Person:
        """Encode a person from what they did before the training and since."""
        if user not in self.data.user_ids:
            return Person(self._encode(new.rows, new.weights), new.rows)
        stored = self._stored(self.data.user_ids.row(user))
        before = np.setdiff1d(stored.seen, new.rows, assume_unique=True)
        if self.data.encoder == "ratings":
            vector = self._stored_vector(self.data.user_ids.row(user))
            weights = self._items.scores(vector)[before].astype(np.float64)
        else:
            weights = np.ones(len(before))
        rows = np.concatenate([before, new.rows])
        return Person(self._encode(rows, np.concatenate([weights, new.weights])), rows)

    def _encode(self, rows: Rows, weights: NDArray[np.float64] | None) -> Vector | None:
        """Encode a history; None where it says nothing."""
        if not len(rows):
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                encoded = self._encoder.encode(rows, weights)
            except np.linalg.LinAlgError:
                raise self._overflow(weights) from None
            added = self._encoder.added(rows, weights)
            if not len(encoded.columns) and (added is None or not added().any()):
                return None
            base = np.float32(self.data.offset + encoded.bias)
            vector = Vector(encoded.columns, encoded.values, base, added)
            largest = max(np.abs(vector.values).max(initial=0), abs(vector.base))
            if not largest <= _SAFE and not np.isfinite(self._items.scores(vector)).all():
                raise self._overflow(weights)
        return vector

    def _overflow(self, weights: NDArray[np.float64] | None) -> SettingError | ModelFormatError:
        """Make the error for a history whose scores are beyond float32."""
        if weights is None:
            return ModelFormatError(
                "the item table holds numbers so large or so small that the scores by this history overflow"
            )
        return SettingError(
            f"weights of up to {np.abs(weights).max():g} make scores that overflow; give smaller weights"
        )

    def base(self, user_rows: Any) -> Any:
        """Offset plus user bias, of one row or of several: what all items of a user have in common."""
        base = np.float32(self.data.offset)
        return base if self.data.user_bias is None else base + self.data.user_bias[user_rows]

    def _told(self, user: object) -> _New | None:
        """Return what somebody did since the model was trained; None for nothing."""
        # As keys, True and 1.0 equal 1, but neither is an id.
        return self._new.get(user) if self._new and is_id(user) else None  # type: ignore[call-overload]

    def _check_kind(self, user: Id, others: Iterable[Id]) -> None:
        """Check that a user's id is of the type of all others, as it has to be in a file."""
        # Without a user table it is the first new person who decides.
        known = self.data.user_ids[0] if len(self.data.user_ids) else next(iter(others), None)
        if known is not None and isinstance(known, str) != isinstance(user, str):
            expected = "a string" if isinstance(known, str) else "an integer"
            raise SettingError(f"user is {shown(user)}; expected {expected}, as the others are")

    def _weight_of_one(self) -> float:
        """Weight of an interaction that none is given for."""
        if self.data.encoder != "ratings":
            return 1.0
        assumed = self.data.encoder_settings.get("assumed_rating")
        if assumed is None:
            raise SettingError("the model was trained on ratings; give those of the items as weights")
        return assumed

    def _checked_weights(self, weights: Iterable[float] | None, length: int) -> NDArray[np.float64] | None:
        if weights is None:
            return None
        checked = _numbers(weights)
        if checked.shape != (length,):
            raise SettingError(f"weights have shape {checked.shape}; expected one for each of {length} items")
        least = -np.inf if self.data.encoder == "ratings" else 0.0
        wrong = ~((checked >= least) & (np.abs(checked) <= MAX_WEIGHT))
        if wrong.any():
            place = int(wrong.argmax())
            lowest = f"{-MAX_WEIGHT:g}" if least else "0"
            raise SettingError(
                f"weights hold {checked[place]}; expected a finite number of at least {lowest} "
                f"and at most {MAX_WEIGHT:g} at position {place}"
            )
        return checked


def _numbers(weights: object) -> NDArray[np.float64]:
    """Return weights as float64, without taking texts or booleans for numbers."""
    try:
        array = np.array(weights if isinstance(weights, np.ndarray) else list(weights))  # type: ignore[call-overload]
        if array.size and array.dtype.kind not in "iufO":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise SettingError(f"weights are {shown(weights)}; expected a number for each item") from None
