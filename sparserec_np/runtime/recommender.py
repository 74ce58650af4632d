"""Recommendations from a trained model, with NumPy alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import SettingError
from sparserec_np.runtime.encoding import encode
from sparserec_np.runtime.ids import Id, IdMap, Ids
from sparserec_np.runtime.model_data import ModelData
from sparserec_np.runtime.model_file import load_model
from sparserec_np.runtime.scoring import TableScorer
from sparserec_np.runtime.topk import top_k

Batch = list[Any] | tuple[Any, ...] | NDArray[Any]

# Entries of the dense user rows that `predict` holds at once.
_BLOCK_ENTRIES = 1 << 19


class TopK(NamedTuple):
    """The best items (or users) for someone, best first; unpacks into ``ids, scores``.

    Attributes
    ----------
    ids : list of str, or ndarray of int64
        By the kind of the model's ids. Shorter than k where fewer qualify; never padded.
    scores : ndarray of float32
        Falling; of equal scores, the one of the lower row comes first.
    """

    ids: Any
    scores: NDArray[np.float32]


class Recommender:
    """Answers from a trained model: what next, what is similar, how well something fits.

    People's own ids go in and come out. Nothing is changed after construction, so that one recommender
    may serve several threads.

    Parameters
    ----------
    data : ModelData
        The model's arrays, such as `load_model` returns. They are not copied, and are taken to satisfy
        ``data.check()``.

    Attributes
    ----------
    data : ModelData
    user_ids, item_ids : IdMap
        The ids that the model knows.
    info : mapping
        How the model came to be.

    Examples
    --------
    >>> recommender = Recommender.load("films.srec")  # doctest: +SKIP
    >>> ids, scores = recommender.recommend("ann", k=5)  # doctest: +SKIP
    >>> ids, scores = recommender.recommend(history=["Alien", "Heat"])  # doctest: +SKIP
    """

    def __init__(self, data: ModelData) -> None:
        self.data = data
        self.user_ids: IdMap = data.user_ids
        self.item_ids: IdMap = data.item_ids
        self.info: Mapping[str, Any] = data.info
        self._items = TableScorer(data.items)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recommender:
        """Open a model file; its arrays stay in the file and are mapped into memory.

        Raises
        ------
        ModelFormatError
            If the file is damaged or foreign.
        OSError
            If the file cannot be read.
        """
        return cls(load_model(path))

    @overload
    def recommend(
        self,
        user: Id | None = None,
        *,
        history: Iterable[Id] | None = None,
        weights: Iterable[float] | None = None,
        k: int = 10,
        filter_seen: bool = True,
        exclude: Iterable[Id] | None = None,
        candidates: Iterable[Id] | None = None,
    ) -> TopK: ...

    @overload
    def recommend(
        self,
        user: Batch,
        *,
        k: int = 10,
        filter_seen: bool = True,
        exclude: Iterable[Id] | None = None,
        candidates: Iterable[Id] | None = None,
    ) -> list[TopK]: ...

    def recommend(
        self,
        user: Id | Batch | None = None,
        *,
        history: Iterable[Id] | None = None,
        weights: Iterable[float] | None = None,
        k: int = 10,
        filter_seen: bool = True,
        exclude: Iterable[Id] | None = None,
        candidates: Iterable[Id] | None = None,
    ) -> TopK | list[TopK]:
        """Recommend items to a user of the model, or to anyone by their history.

        Parameters
        ----------
        user : int or str, or list, tuple or array of them
            A user that the model was trained on. Several users get a list of answers.
        history : iterable of item ids
            Instead of `user`: the items of a person whom the model need not know. Where it says nothing,
            because it is empty or none of its items has a stored entry, the answer is the most popular
            items, and the scores are their interactions in the training data.
        weights : iterable of float
            With `history`: how much each item counts; its rating, if the model was trained on ratings.
        k : int
            At most so many items.
        filter_seen : bool
            Leave out the items of the history, or the user's training items as far as the file holds
            them.
        exclude : iterable of item ids
            Leave these out as well.
        candidates : iterable of item ids
            Choose among these alone.

        Returns
        -------
        TopK or list of TopK
            ``ids, scores``, best first.

        Raises
        ------
        UnknownIdError
            For a user or item that the model does not know; it names the closest known ones.
        SettingError
            If `k` is below 1, or the arguments contradict each other.
        """
        k = _checked_k(k)
        excluded = np.empty(0, np.int64) if exclude is None else self._item_rows("exclude", exclude)
        pool = None if candidates is None else np.unique(self._item_rows("candidates", candidates))
        if isinstance(user, list | tuple | np.ndarray):
            _check_either(user, history, weights)
            return [
                self._recommend_user(row, k, filter_seen, excluded, pool) for row in self._user_rows(user)
            ]
        _check_either(user, history, weights)
        if history is None:
            return self._recommend_user(self._user_row(user), k, filter_seen, excluded, pool)
        rows = self._item_rows("history", history)
        scores = self._history_scores(rows, weights)
        return self._best(scores, k, np.concatenate([excluded, rows]) if filter_seen else excluded, pool)

    def score(
        self,
        items: Iterable[Id],
        *,
        user: Id | None = None,
        history: Iterable[Id] | None = None,
        weights: Iterable[float] | None = None,
    ) -> NDArray[np.float32]:
        """Score given items for a user, or for anyone by their history, as `recommend` does.

        Parameters
        ----------
        items : iterable of item ids
        user, history, weights
            As for `recommend`.

        Returns
        -------
        ndarray of float32
            One score per item.
        """
        _check_either(user, history, weights)
        rows = self._item_rows("items", items)
        if history is None:
            return self._user_scores(self._user_row(user))[rows]
        return self._history_scores(self._item_rows("history", history), weights)[rows]

    def predict(self, users: Ids, items: Ids) -> NDArray[np.float32]:
        """Score pairs: ``users[i]`` with ``items[i]``. In a rating model, a score is a rating.

        Parameters
        ----------
        users, items : sequence or array of ids
            Of equal length.

        Returns
        -------
        ndarray of float32
            One score per pair, the same as `score` gives.
        """
        user_rows, item_rows = self._user_rows(users), self._item_rows("items", items)
        if len(user_rows) != len(item_rows):
            raise SettingError(
                f"users has length {len(user_rows)} and items {len(item_rows)}; expected pairs"
            )
        scores = np.empty(len(user_rows), np.float32)
        step = max(_BLOCK_ENTRIES // self.data.dim, 1)
        for start in range(0, len(scores), step):
            block = slice(start, start + step)
            distinct, which = np.unique(user_rows[block], return_inverse=True)
            scores[block] = self._items.paired_dots(item_rows[block], self._users.dense(distinct), which)
        if self.data.item_bias is not None:
            scores += self.data.item_bias[item_rows]
        return scores + self._base(user_rows)

    @overload
    def similar_items(self, item: Id, k: int = 10) -> TopK: ...

    @overload
    def similar_items(self, item: Batch, k: int = 10) -> list[TopK]: ...

    def similar_items(self, item: Id | Batch, k: int = 10) -> TopK | list[TopK]:
        """Find the items whose rows point most nearly the same way: by cosine, the item itself left out.

        Parameters
        ----------
        item : int or str, or list, tuple or array of them
            Several items get a list of answers.
        k : int
            At most so many. Rows without stored entries are similar to nothing.

        Returns
        -------
        TopK or list of TopK
            ``ids, cosines``, best first.
        """
        return _similar(self._items, self.item_ids, item, k)

    @overload
    def similar_users(self, user: Id, k: int = 10) -> TopK: ...

    @overload
    def similar_users(self, user: Batch, k: int = 10) -> list[TopK]: ...

    def similar_users(self, user: Id | Batch, k: int = 10) -> TopK | list[TopK]:
        """Find the users whose rows point most nearly the same way; as `similar_items`."""
        return _similar(self._users, self.user_ids, user, k)

    @cached_property
    def _users(self) -> TableScorer:
        if self.data.users is None:
            raise SettingError("the model holds no users; recommend by history=[item, ...] instead")
        return TableScorer(self.data.users)

    def _user_row(self, user: Any) -> int:
        self._users  # noqa: B018 - "no users" says more than "unknown user"
        return self.user_ids.row(user)

    def _user_rows(self, users: Ids) -> NDArray[np.int64]:
        self._users  # noqa: B018
        return self.user_ids.rows(users)

    def _item_rows(self, name: str, items: Iterable[Id] | NDArray[Any]) -> NDArray[np.int64]:
        if isinstance(items, str) or not isinstance(items, Iterable):
            raise SettingError(f"{name} is {items!r}; expected several item ids, such as a list")
        return self.item_ids.rows(items if isinstance(items, np.ndarray) else list(items))

    def _recommend_user(
        self, row: int, k: int, filter_seen: bool, excluded: NDArray[np.int64], pool: NDArray[np.int64] | None
    ) -> TopK:
        seen = self.data.seen
        if filter_seen and seen is not None:
            mine = seen.indices[int(seen.indptr[row]) : int(seen.indptr[row + 1])]
            excluded = np.concatenate([excluded, mine.astype(np.int64)])
        return self._best(self._user_scores(row), k, excluded, pool)

    def _user_scores(self, row: int) -> NDArray[np.float32]:
        return self._scores(*self._users.row(row), self._base(row))

    def _history_scores(
        self, rows: NDArray[np.int64], weights: Iterable[float] | None
    ) -> NDArray[np.float32]:
        checked = self._checked_weights(weights, len(rows))
        if len(rows):
            person = encode(self._items, self.data, rows, checked)
            columns = np.flatnonzero(person.vector)
            if len(columns):
                base = np.float32(self.data.offset + person.bias)
                return self._scores(columns, person.vector[columns], base)
        return self.data.popularity.astype(np.float32)

    def _scores(
        self, columns: NDArray[np.integer], values: NDArray[np.float32], base: np.float32
    ) -> NDArray[np.float32]:
        scores = self._items.dots(columns, values)
        if self.data.item_bias is not None:
            scores += self.data.item_bias
        return scores + base if base else scores

    def _base(self, user_rows: Any) -> Any:
        """Offset plus user bias, of one row or of several: what all items of a user have in common."""
        base = np.float32(self.data.offset)
        return base if self.data.user_bias is None else base + self.data.user_bias[user_rows]

    def _best(
        self,
        scores: NDArray[np.float32],
        k: int,
        excluded: NDArray[np.int64],
        pool: NDArray[np.int64] | None,
    ) -> TopK:
        scores[excluded] = -np.inf
        best = top_k(scores, k) if pool is None else pool[top_k(scores[pool], k)]
        # Scores are finite, so what was excluded is last and is recognised.
        best = best[scores[best] > -np.inf]
        return TopK(self.item_ids.ids(best), scores[best])

    def _checked_weights(self, weights: Iterable[float] | None, length: int) -> NDArray[np.float64] | None:
        if weights is None:
            return None
        checked = np.array(weights if isinstance(weights, np.ndarray) else list(weights), dtype=np.float64)
        if checked.shape != (length,):
            raise SettingError(f"weights have shape {checked.shape}; expected one for each of {length} items")
        least = -np.inf if self.data.encoder == "ratings" else 0.0
        # Beyond float32 a weight would drown all others, and overflow in the scores.
        wrong = ~((checked >= least) & (np.abs(checked) <= np.finfo(np.float32).max))
        if wrong.any():
            expected = "a finite number" if least else "a finite number of at least 0"
            raise SettingError(f"weights hold {checked[wrong][0]}; expected {expected}")
        return checked


def _similar(table: TableScorer, ids: IdMap, id: Any, k: int) -> TopK | list[TopK]:
    k = _checked_k(k)
    if isinstance(id, list | tuple | np.ndarray):
        return [_similar_row(table, ids, row, k) for row in ids.rows(id).tolist()]
    return _similar_row(table, ids, ids.row(id), k)


def _similar_row(table: TableScorer, ids: IdMap, row: int, k: int) -> TopK:
    lengths = table.norms * table.norms[row]
    cosines = np.full(len(lengths), -np.inf, np.float32)
    np.divide(table.dots(*table.row(row)), lengths, out=cosines, where=lengths > 0)
    cosines[row] = -np.inf
    best = top_k(cosines, k)
    best = best[cosines[best] > -np.inf]
    return TopK(ids.ids(best), cosines[best])


def _checked_k(k: Any) -> int:
    if not isinstance(k, Integral) or k < 1:
        raise SettingError(f"k is {k!r}; expected an integer of at least 1")
    return int(k)


def _check_either(user: object, history: object, weights: object) -> None:
    if (user is None) == (history is None):
        found = "neither" if user is None else "both"
        raise SettingError(
            f"{found} of user and history is given; expected one of them. "
            "history=[] asks for what suits someone unknown"
        )
    if weights is not None and history is None:
        raise SettingError("weights are given without a history; they say how much its items count")
