"""Recommendations for all users of a model, a block at a time, with numba.

The lists are those of `sparserec_np.runtime.Recommender.recommend`, to the last id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import SettingError
from sparserec_np.kernels.ranking import spread_rows, sum_histories
from sparserec_np.kernels.workers import Workers
from sparserec_np.ranking import Added, Ranker, Ranking
from sparserec_np.runtime import ModelData
from sparserec_np.runtime.encoding import ENCODERS, item_shares
from sparserec_np.runtime.ids import Id, IdMap, Ids
from sparserec_np.runtime.neighbour_kernel import score_histories
from sparserec_np.runtime.parts import ITEMS, HistoryEncoder
from sparserec_np.runtime.people import People
from sparserec_np.runtime.scoring import TableScorer
from sparserec_np.runtime.table_data import TableData

Exclude = tuple[NDArray[np.int64], NDArray[np.int32]]


@dataclass(frozen=True)
class Recommendations:
    """What to recommend to some users: their lists, one behind the other.

    Attributes
    ----------
    users : (n,) ndarray of int64, or list of str
        Their ids.
    counts : (n,) ndarray of int64
        Length of each user's list.
    items : (counts.sum(),) ndarray of int64, or list of str
        Ids, each user's best first.
    scores : (counts.sum(),) ndarray of float32
        Theirs; of someone of whom nothing is known, the items' interactions in the training data.
    """

    users: Any
    counts: NDArray[np.int64]
    items: Any
    scores: NDArray[np.float32]

    @property
    def ranks(self) -> NDArray[np.int64]:
        """Place of each item in its user's list, from 1."""
        ends = np.cumsum(self.counts)
        return np.arange(1, len(self.scores) + 1) - np.repeat(ends - self.counts, self.counts)


def recommend_all(
    model: ModelData,
    k: int = 10,
    *,
    users: Ids | None = None,
    filter_seen: bool = True,
    exclude: Iterable[Id] | None = None,
    candidates: Iterable[Id] | None = None,
    n_jobs: int | None = None,
) -> Iterator[Recommendations]:
    """Recommend items to all users of a model, as it was trained, a block of users at a time.

    Memory beyond the model: the items' rows once more and a block of users, however many there are.

    Parameters
    ----------
    model : ModelData
        Such as `Recommender.data` or `load_model`.
    k : int
        Length of the lists; shorter where fewer items qualify.
    users : sequence or array of ids, optional
        Which users, in which order; all of them by default.
    filter_seen : bool
        Leave out a user's training items as far as the model holds them.
    exclude : iterable of item ids, optional
        Leave these out as well.
    candidates : iterable of item ids, optional
        Choose among these alone.
    n_jobs : int, optional
        Threads; None or -1 for one per core. The result does not depend on it.

    Yields
    ------
    Recommendations

    Raises
    ------
    UnknownIdError
        For a user or item that the model does not know.
    SettingError
        If `k` is below 1, or the model holds no users.

    Examples
    --------
    >>> from sparserec_np import SparseGraph
    >>> from sparserec_np.data import make_interactions
    >>> interactions = make_interactions(60, 50, 900, random_state=0)
    >>> model = SparseGraph(dim=16, epochs=1, random_state=0).fit(interactions)
    >>> sum(len(block.users) for block in recommend_all(model.recommender.data, k=5))
    60
    """
    if k < 1:
        raise SettingError(f"k is {k}; expected an integer of at least 1")
    if not model.n_users:
        raise SettingError("the model holds no users, so there is nobody to recommend to")
    rows = np.arange(model.n_users) if users is None else model.user_ids.rows(users)
    pool = _pool(model, exclude, candidates)
    return _blocks(model, k, rows, filter_seen, pool, n_jobs)


def added_by(model: ModelData) -> Added | None:
    """Return what makes the scores that a model adds to those of its tables, as rankings take it.

    Parameters
    ----------
    model : ModelData

    Returns
    -------
    callable or None
        ``added(rows, workers)`` for users by row, see `sparserec_np.ranking.rank`; None for a model of tables
        alone.
    """
    neighbours = HistoryEncoder(model, TableScorer(model.items)).neighbours
    if neighbours is None:
        return None

    def added(rows: NDArray[np.int64], workers: Workers) -> NDArray[np.float32]:
        indptr, items = neighbours.by_user
        starts, entries = _entries(indptr, rows)
        return score_histories(neighbours, starts, items[entries], workers)

    return added


def _blocks(
    model: ModelData,
    k: int,
    rows: NDArray[np.int64],
    filter_seen: bool,
    pool: NDArray[np.int64] | None,
    n_jobs: int | None,
) -> Iterator[Recommendations]:
    # Kernels read wherever the numbers of an array point to, and a model may be of anybody's making.
    model.check(whole=False)
    by_seen = model.users is None or model.parts.neighbours is not None
    model.check_tables(seen=filter_seen or by_seen)
    vectors = _Vectors(model)
    items = _Items(model, pool)
    add = added_by(model)
    item_ids = _looked_up_often(model.item_ids)
    with Workers(n_jobs) as workers:
        step = items.ranker.block_size(k, workers.n_jobs, add is not None)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            people, base, known = vectors.of(part, workers)
            added = None if add is None else add(part, workers)
            if added is not None:
                known |= added.any(axis=1)
                added = added if pool is None else added[:, pool]
            exclude = items.seen(part) if filter_seen else _nothing(len(part))
            if known.all():
                ranking = items.ranker.rank(people, k, np.arange(len(part)), exclude, workers, base, added)
            else:
                friends, strangers = np.flatnonzero(known), np.flatnonzero(~known)
                nobody = np.zeros((len(strangers), 1), np.float32)
                added = added if added is None else added[friends]
                ranking = _together(
                    items.ranker.rank(people[friends], k, friends, exclude, workers, base[friends], added),
                    items.popular.rank(nobody, k, strangers, exclude, workers),
                )
            yield _recommendations(model, part, ranking, items, item_ids)


def _together(one: Ranking, other: Ranking) -> Ranking:
    """Put the lists of two rankings of different rows into the order of the rows."""
    rows = np.concatenate([one.rows, other.rows])
    order = np.argsort(rows)
    ids, counts, scores = (
        np.concatenate([getattr(one, part), getattr(other, part)])[order]
        for part in ("ids", "counts", "scores")
    )
    return Ranking(rows[order], ids, counts, scores)


def _recommendations(
    model: ModelData, rows: NDArray[np.int64], ranking: Ranking, items: _Items, item_ids: Any
) -> Recommendations:
    used = np.arange(ranking.ids.shape[1]) < ranking.counts[:, np.newaxis]
    return Recommendations(
        model.user_ids.ids(rows),
        ranking.counts,
        item_ids(items.rows(ranking.ids[used])),
        ranking.scores[used],
    )


class _Items:
    """The items to choose from: the pool, or all of them."""

    def __init__(self, model: ModelData, pool: NDArray[np.int64] | None) -> None:
        self._model = model
        self._pool = pool
        indptr, columns, values = model.items.by_row
        bias, popularity = model.item_bias, model.popularity
        if pool is not None:
            indptr, entries = _entries(indptr, pool)
            columns, values = columns[entries], values[entries]
            bias, popularity = None if bias is None else bias[pool], popularity[pool]
            self._place = np.full(model.n_items, -1, np.int32)
            self._place[pool] = np.arange(len(pool))
        self.ranker = Ranker(indptr, columns, values, model.dim, bias, popularity)
        no_entries = np.empty(0, np.int32), np.empty(0, np.float32)
        counts = popularity.astype(np.float32)
        self.popular = Ranker(np.zeros(len(counts) + 1), *no_entries, 1, counts, popularity)

    def rows(self, places: NDArray[np.int32]) -> NDArray[np.integer]:
        """Rows of the model's items at these places of the pool."""
        return places if self._pool is None else self._pool[places]

    def seen(self, rows: NDArray[np.int64]) -> Exclude:
        """Return what the users have seen of the pool, row by row."""
        if self._model.seen is None:
            return _nothing(len(rows))
        indptr, entries = _entries(self._model.seen.indptr, rows)
        seen = self._model.seen.indices[entries].astype(np.int32)
        if self._pool is None:
            return indptr, seen
        seen = self._place[seen]
        kept = seen >= 0
        return np.append(0, np.cumsum(kept))[indptr], seen[kept]


class _Vectors:
    """The users' vectors, in the way in which the model has them."""

    def __init__(self, model: ModelData) -> None:
        self._model = model
        self._people = People(model, TableScorer(model.items, model.item_bias))
        self._blocks: list[_Block] | None = None
        if model.users is not None:
            self._table = _typed(model.users.by_row)
        elif model.seen is not None:
            self._blocks = _summed_blocks(model)

    def of(
        self, rows: NDArray[np.int64], workers: Workers
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Return vectors (n, dim), what is added to all scores of a user, and whether anything is known."""
        model = self._model
        people = np.zeros((len(rows), model.dim), np.float32)
        base = np.full(len(rows), model.offset, np.float32)
        if model.users is not None:
            workers.run(spread_rows, len(rows), rows, *self._table, people)
            if model.user_bias is not None:
                base += model.user_bias[rows]
        elif self._blocks is not None:
            for block in self._blocks:
                block.fill(rows, people, workers)
        else:
            for place, person in enumerate(self._people.of_users(model.user_ids.ids(rows))):
                if person.vector is not None:
                    people[place, person.vector.columns] = person.vector.values
                    base[place] = person.vector.base
        return people, base, self._people.known(people)


class _Sums:
    """Columns that hold the sums of a history's rows."""

    def __init__(self, model: ModelData, table: TableData, first: int, settings: Mapping[str, Any]) -> None:
        self._seen = model.seen
        self._columns = slice(first, first + table.dim)
        self._table = _typed(table.by_row)
        self._shares = item_shares(model.popularity, settings["item_power"])
        self._length_power = settings["length_power"]

    def fill(self, rows: NDArray[np.int64], people: NDArray[np.float32], workers: Workers) -> None:
        """Write these columns of some users."""
        assert self._seen is not None
        indptr, indices = self._seen
        starts, ends = indptr[rows].astype(np.int64), indptr[rows + 1].astype(np.int64)
        # By Python's own power, as the recommender does: NumPy's may differ in the last bit.
        lengths, which = np.unique(np.maximum(ends - starts, 1), return_inverse=True)
        factors = np.array([length**-self._length_power for length in lengths.tolist()])[which]
        whole = self._columns.start == 0 and self._columns.stop == people.shape[1]
        out = people if whole else np.zeros((len(rows), self._columns.stop - self._columns.start), np.float32)
        lists = starts, ends, indices, self._shares, factors
        workers.run(sum_histories, len(rows), *lists, *self._table, out, min_share=16)
        if not whole:
            people[:, self._columns] = out


class _Occurrences:
    """Columns that are items: 1 for those of a history, where they score anything."""

    def __init__(self, model: ModelData, used: NDArray[np.bool_], first: int) -> None:
        self._seen, self._used, self._first = model.seen, used, first

    def fill(self, rows: NDArray[np.int64], people: NDArray[np.float32], workers: Workers) -> None:
        """Write these columns of some users."""
        assert self._seen is not None
        starts, entries = _entries(self._seen.indptr, rows)
        items = self._seen.indices[entries].astype(np.int64)
        places = np.repeat(np.arange(len(rows)), np.diff(starts))
        used = self._used[items]
        people[places[used], self._first + items[used]] = 1


_Block = _Sums | _Occurrences


def _summed_blocks(model: ModelData) -> list[_Block] | None:
    """Return the blocks of a model if many users can be encoded at once in all of them."""
    encoder = HistoryEncoder(model, TableScorer(model.items))
    blocks: list[_Block] = []
    first = 0
    for number, block in enumerate(encoder.parts.blocks):
        if block.encoder == ITEMS:
            used = model.items.used_columns[first : first + block.width]
            blocks.append(_Occurrences(model, used, first))
        else:
            settings = {**(ENCODERS[block.encoder].__kwdefaults__ or {}), **block.settings}
            if block.encoder != "sum" or settings["norm"]:
                return None
            blocks.append(_Sums(model, encoder.tables[number].table, first, settings))
        first += block.width
    return blocks


def _typed(table: Any) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Convert a table's arrays to the dtypes that the kernels are compiled for."""
    indptr, columns, values = table
    return indptr.astype(np.int64), columns.astype(np.int32), np.asarray(values, np.float32)


def _entries(indptr: NDArray[Any], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row pointers of some rows of a CSR pattern on their own, and the place of each of their entries."""
    starts = indptr[rows].astype(np.int64)
    lengths = indptr[rows + 1].astype(np.int64) - starts
    own = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(lengths, out=own[1:])
    return own, np.repeat(starts - own[:-1], lengths) + np.arange(own[-1])


def _pool(
    model: ModelData, exclude: Iterable[Id] | None, candidates: Iterable[Id] | None
) -> NDArray[np.int64] | None:
    """Rows of the items to choose from, rising; None for all of them."""
    if exclude is None and candidates is None:
        return None
    chosen = np.full(model.n_items, candidates is None)
    if candidates is not None:
        chosen[model.item_ids.rows(list(candidates))] = True
    if exclude is not None:
        chosen[model.item_ids.rows(list(exclude))] = False
    return np.flatnonzero(chosen)


def _nothing(n: int) -> Exclude:
    return np.zeros(n + 1, np.int64), np.empty(0, np.int32)


def _looked_up_often(ids: IdMap) -> Any:
    """Return a function from rows to ids that is fast for many more rows than there are ids."""
    if ids.kind == "int":
        return ids.ids
    names = np.array(ids.ids(), dtype=object)
    return lambda rows: names[rows].tolist()
