"""Recommendations from a trained model, with NumPy alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import SettingError
from sparserec_np.runtime.bounds import first_outside
from sparserec_np.runtime.ids import Id, IdMap, Ids
from sparserec_np.runtime.model_data import ModelData
from sparserec_np.runtime.model_file import load_model
from sparserec_np.runtime.people import NO_ROWS, People, Person, Rows
from sparserec_np.runtime.scoring import NO_VECTOR, TableScorer, Vector, scorer_type
from sparserec_np.runtime.topk import TopK, best_of

Batch = list[Any] | tuple[Any, ...] | NDArray[Any]

# Entries of the dense user rows that `predict` holds at once.
_BLOCK_ENTRIES = 1 << 19


class Recommender:
    """Answers from a trained model: what next, what is similar, how well something fits.

    People's own ids go in and come out. One recommender may serve several threads, also while `update`
    tells it of new interactions; the model itself is never changed. It can be pickled and copied, with what
    `update` was told; a pickle holds the whole model and needs no file.

    Parameters
    ----------
    data : ModelData
        The model's arrays, such as `load_model` returns. They are not copied, and are taken to satisfy
        ``data.check()``.
    accelerate : bool
        Whether to rank with a kernel of numba, which must be installed: the same answers, sooner.

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

    def __init__(self, data: ModelData, *, accelerate: bool = False) -> None:
        self.data = data
        self.user_ids: IdMap = data.user_ids
        self.item_ids: IdMap = data.item_ids
        self.info: Mapping[str, Any] = data.info
        self._accelerate = accelerate
        self._items = scorer_type(accelerate)(data.items, data.item_bias, data.popularity)
        self._people = People(data, self._items)

    def __getstate__(self) -> dict[str, Any]:
        """Return the model and what `update` was told; a copy derives again what is derived."""
        return {"data": self.data, "accelerate": self._accelerate, "news": self._people.news()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Recommender.__init__(self, state["data"], accelerate=state["accelerate"])
        self._people.replace_news(state["news"])

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, accelerate: bool = False, verify: bool = False
    ) -> Recommender:
        """Open a model file.

        The file is mapped into memory. What is needed of it is read, and checked, when it is needed: a
        damaged part gives `ModelFormatError` then, from any method.

        Parameters
        ----------
        path : path-like
        accelerate : bool
            Whether to rank with a kernel of numba, which must be installed: the same answers, sooner.
        verify : bool
            Whether to check all of the file now, so that no later call finds it damaged.

        Raises
        ------
        ModelFormatError
            If the file is damaged or foreign.
        MissingPackageError
            If `accelerate` is asked for without numba.
        OSError
            If the file cannot be read.
        """
        return cls(load_model(path, verify=verify), accelerate=accelerate)

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

        Of items of equal score, the more popular ones come first, then those of lower rows. Of somebody of
        whom nothing is known, because their history is empty or none of its items has a stored entry, or
        because their row has no entry that could tell items apart, the answer is the most popular items,
        and the scores are their interactions in the training data. In a rating model, users without
        entries keep their biases.

        Parameters
        ----------
        user : int or str, or list, tuple or array of them
            A user that the model was trained on. Several users get a list of answers.
        history : iterable of item ids
            Instead of `user`: the items of a person whom the model need not know.
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
        excluded = NO_ROWS if exclude is None else self._item_rows("exclude", exclude)
        pool = None if candidates is None else np.unique(self._item_rows("candidates", candidates))
        _check_either(user, history, weights)
        if isinstance(user, list | tuple | np.ndarray):
            people = self._people.of_users(user)
            return [self._answer(person, k, filter_seen, excluded, pool) for person in people]
        if history is None:
            return self._answer(self._people.of_user(user), k, filter_seen, excluded, pool)
        rows = self._item_rows("history", history)
        return self._answer(self._people.of_history(rows, weights), k, filter_seen, excluded, pool)

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
            return self._scores(self._people.of_user(user).vector)[rows]
        person = self._people.of_history(self._item_rows("history", history), weights)
        return self._scores(person.vector)[rows]

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
        if len(users) != len(items):
            raise SettingError(f"users has length {len(users)} and items {len(items)}; expected pairs")
        if self._people.has_news(users):
            scored = (self.score([item], user=user)[0] for user, item in zip(users, items, strict=True))
            return np.fromiter(scored, np.float32, len(users))
        user_rows, item_rows = self._people.rows(users), self._item_rows("items", items)
        scores, unknown = np.empty(len(user_rows), np.float32), np.empty(len(user_rows), np.bool_)
        step = max(_BLOCK_ENTRIES // self.data.dim, 1)
        for start in range(0, len(scores), step):
            block = slice(start, start + step)
            distinct, which = np.unique(user_rows[block], return_inverse=True)
            vectors = self._people.dense(distinct)
            scores[block] = self._items.paired_dots(item_rows[block], vectors, which)
            unknown[block] = ~self._people.known(vectors)[which]
        if self.data.item_bias is not None:
            scores += self.data.item_bias[item_rows]
        scores = scores + self._people.base(user_rows)
        scores[unknown] = self.data.popularity[item_rows[unknown]]
        return scores

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
        k = _checked_k(k)
        if isinstance(item, list | tuple | np.ndarray):
            rows = self.item_ids.rows(item).tolist()
            return [_similar(self._items, self.item_ids, self._items.row(row), row, k) for row in rows]
        row = self.item_ids.row(item)
        return _similar(self._items, self.item_ids, self._items.row(row), row, k)

    @overload
    def similar_users(self, user: Id, k: int = 10) -> TopK: ...

    @overload
    def similar_users(self, user: Batch, k: int = 10) -> list[TopK]: ...

    def similar_users(self, user: Id | Batch, k: int = 10) -> TopK | list[TopK]:
        """Find the users of the model whose rows point most nearly the same way; as `similar_items`."""
        if isinstance(user, list | tuple | np.ndarray):
            return [self.similar_users(one, k) for one in user]
        k = _checked_k(k)
        vector = self._people.vector(user)
        row = self.user_ids.row(user) if user in self.user_ids else -1
        return _similar(self._people.table, self.user_ids, vector, row, k)

    def user_vectors(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return what users of the model are scored by: stored rows, or what their histories encode to.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers, as `user_ids` has them.

        Returns
        -------
        ndarray of float32, shape (len(rows), dim)

        Raises
        ------
        SettingError
            If a number is not the row of a user.
        """
        rows = np.asarray(rows)
        at = first_outside(rows, 0, self.data.n_users)
        if at is not None:
            raise SettingError(
                f"rows hold {rows.reshape(-1)[at]}; expected row numbers from 0 to {self.data.n_users - 1}"
            )
        return self._people.dense(rows.astype(np.int64))

    def update(self, user: Id, items: Iterable[Id], weights: Iterable[float] | None = None) -> None:
        """Remember new interactions of a person, and answer by them from now on.

        The person is encoded anew, from the training items that the file holds of them and all new ones,
        as `recommend` does for a history; a rating model takes for the ratings of the training items,
        which no file holds, what it predicts. The new items are left out of recommendations, as training
        items are. Memory only: `save_state` keeps what was told.

        Parameters
        ----------
        user : int or str
            A user of the model, or anyone new.
        items : iterable of item ids
        weights : iterable of float
            How much each counts, 1 by default; its rating, if the model was trained on ratings. An item
            told again has the last weight.

        Raises
        ------
        UnknownIdError
            For an item that the model does not know.
        SettingError
            If the user is of another type than the model's users, or the weights make no sense.
        """
        self._people.tell(user, self._item_rows("items", items), weights)

    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Write what `update` was told to a file of its own, whole or not at all.

        It holds people's own ids, so that it still fits when the model is trained anew.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        self._people.save_state(path)

    def load_state(self, path: str | os.PathLike[str]) -> None:
        """Take up what `save_state` wrote; it replaces what `update` was told so far.

        Items that the model does not know (any more) are passed over.

        Raises
        ------
        ModelFormatError
            If the file is damaged or foreign.
        OSError
            If the file cannot be read.
        """
        self._people.load_state(path)

    def _item_rows(self, name: str, items: Iterable[Id] | NDArray[Any]) -> NDArray[np.int64]:
        if isinstance(items, str) or not isinstance(items, Iterable):
            raise SettingError(f"{name} is {items!r}; expected several item ids, such as a list")
        return self.item_ids.rows(items if isinstance(items, np.ndarray) else list(items))

    def _answer(self, person: Person, k: int, filter_seen: bool, excluded: Rows, pool: Rows | None) -> TopK:
        if filter_seen:
            excluded = np.concatenate([excluded, person.seen])
        if person.vector is None:
            best, scores = best_of(self._scores(None), k, excluded, pool, self.data.popularity)
        else:
            best, scores = self._items.best(person.vector, k, excluded, pool)
        return TopK(self.item_ids.ids(best), scores)

    def _scores(self, vector: Vector | None) -> NDArray[np.float32]:
        """Scores of all items; of no vector, their popularity."""
        return self.data.popularity.astype(np.float32) if vector is None else self._items.scores(vector)


def _similar(table: TableScorer, ids: IdMap, vector: Vector | None, row: int, k: int) -> TopK:
    best, cosines = table.most_similar(NO_VECTOR if vector is None else vector, k, row)
    return TopK(ids.ids(best), cosines)


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
