"""Recommendations from a trained model, with NumPy alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from numbers import Integral
from typing import Any, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import SettingError
from sparserec_np.runtime.bounds import first_outside
from sparserec_np.runtime.format import Mapped
from sparserec_np.runtime.ids import Id, IdMap, Ids
from sparserec_np.runtime.model_data import ModelData
from sparserec_np.runtime.model_file import load_model
from sparserec_np.runtime.people import NO_ROWS, People, Person, Rows
from sparserec_np.runtime.scoring import NO_VECTOR, TableScorer, Vector, scorer_type
from sparserec_np.runtime.topk import TopK, best_of

Method = TypeVar("Method", bound=Callable[..., Any])
Batch = list[Any] | tuple[Any, ...] | NDArray[Any]

# Attributes that a recommender keeps when its model is replaced.
_OWN = ("_accelerate", "_source", "_reloading", "_telling")

# Entries of the dense user rows that `predict` holds at once.
_BLOCK_ENTRIES = 1 << 19


def _by_one_model(method: Method) -> Method:
    """Let a method have the same model from beginning to end, while another thread reloads."""

    @wraps(method)
    def by_one_model(self: Recommender, *arguments: Any, **keywords: Any) -> Any:
        return method(self._now(), *arguments, **keywords)

    return cast(Method, by_one_model)


class Recommender:
    """Answers from a trained model: what next, what is similar, how well something fits.

    People's own ids go in and come out. One recommender may serve several threads, also while `update`
    tells it of new interactions, or `reload` puts a newer model in the place of this one. It can be pickled
    and copied, with what `update` was told; a pickle holds the whole model and needs no file.

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
        self._source: tuple[str, Mapped] | None = None
        self._reloading = threading.Lock()
        # What is told while a new model takes the place of the old one must not be lost with that.
        self._telling = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        """Return the model and what `update` was told; a copy derives again what is derived."""
        now = self._now()
        return {
            "data": now.data,
            "accelerate": now._accelerate,
            "news": now._people.news(),
            "source": now._source,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Recommender.__init__(self, state["data"], accelerate=state["accelerate"])
        self._people.replace_news(state["news"])
        self._source = state.get("source")

    def _now(self) -> Recommender:
        """Return this recommender with the model that it has now, which `reload` does not replace."""
        one: Recommender = object.__new__(type(self))
        # `reload` does not change the attributes one by one, it replaces all of them at once.
        one.__dict__ = self.__dict__
        return one

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        accelerate: bool = False,
        verify: bool = False,
        mmap: Mapped = True,
    ) -> Recommender:
        """Open a model file.

        The file is mapped into memory. What is needed of it is read, and checked, when it is needed: a
        damaged part gives `ModelFormatError` then, from any method. With ``mmap=False`` all of it is read
        and checked now, and the file does not matter any more.

        Parameters
        ----------
        path : path-like
        accelerate : bool
            Whether to rank with a kernel of numba, which must be installed: the same answers, sooner.
        verify : bool
            Whether to check all of the file now, so that no later call finds it damaged.
        mmap : bool or "auto"
            Whether to map the file. A mapped file may be replaced by renaming another one, as `save_model`
            and every command do; but where it is truncated or written to in place, such as by a copy onto
            it, the system may end the process. "auto" reads a file of up to 32 MiB, and maps a larger one.

        Raises
        ------
        ModelFormatError
            If the file is damaged or foreign.
        MissingPackageError
            If `accelerate` is asked for without numba.
        OSError
            If the file cannot be read.
        """
        loaded = cls(load_model(path, verify=verify, mmap=mmap), accelerate=accelerate)
        loaded._source = os.path.abspath(path), mmap
        return loaded

    def reload(self) -> None:
        """Put the model that the file holds now in the place of this one, for all threads at once.

        Calls that are under way in other threads end with the old model; those that begin afterwards have
        the new one. What `update` was told is kept, except for items that the new model does not know. The
        new file is checked whole; if anything is wrong with it, the old model goes on serving.

        Raises
        ------
        ModelFormatError
            If the file is damaged or foreign.
        SettingError
            If this recommender does not come of a file, or the new model does not take what `update` was
            told, such as users whose ids are of another type.
        OSError
            If the file cannot be read.
        """
        with self._reloading:
            if self._source is None:
                raise SettingError("the recommender was not loaded from a file; there is nothing to reload")
            path, mmap = self._source
            new = Recommender(load_model(path, verify=True, mmap=mmap), accelerate=self._accelerate)
            with self._telling:
                try:
                    new._people.take_up(self._people.histories())
                except SettingError as error:
                    raise SettingError(f"{path} does not take what update was told: {error}") from None
                model = {name: value for name, value in new.__dict__.items() if name not in _OWN}
                self.__dict__ = self.__dict__ | model

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

    @_by_one_model
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

    @_by_one_model
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

    @_by_one_model
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
        if self._people.has_news(users) or self._people.have_neighbours:
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

    @_by_one_model
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
            ``ids, cosines``, best first. A model that scores by neighbours alone has no rows: there it is the
            scores by a history of the item alone.
        """
        k = _checked_k(k)
        if isinstance(item, list | tuple | np.ndarray):
            return [self._similar_items(row, k) for row in self.item_ids.rows(item).tolist()]
        return self._similar_items(self.item_ids.row(item), k)

    @overload
    def similar_users(self, user: Id, k: int = 10) -> TopK: ...

    @overload
    def similar_users(self, user: Batch, k: int = 10) -> list[TopK]: ...

    @_by_one_model
    def similar_users(self, user: Id | Batch, k: int = 10) -> TopK | list[TopK]:
        """Find the users of the model whose rows point most nearly the same way; as `similar_items`."""
        if isinstance(user, list | tuple | np.ndarray):
            return [self.similar_users(one, k) for one in user]
        k = _checked_k(k)
        vector = self._people.vector(user)
        row = self.user_ids.row(user) if user in self.user_ids else -1
        return _similar(self._people.table, self.user_ids, vector, row, k)

    @_by_one_model
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
        with self._telling:
            now = self._now()
            now._people.tell(user, now._item_rows("items", items), weights)

    @_by_one_model
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
        with self._telling:
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

    def _similar_items(self, row: int, k: int) -> TopK:
        if self.data.items.nnz or not self._people.have_neighbours:
            return _similar(self._items, self.item_ids, self._items.row(row), row, k)
        scores = self._scores(self._people.of_history(np.array([row]), None).vector)
        scores[scores <= 0] = -np.inf
        best, scores = best_of(scores, k, np.array([row]), popularity=self.data.popularity)
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
