"""Matrices, rankings and models whose numbers point to what does not exist, and every way to hand them in.

Run as a program, it takes all of these ways in turn: an interpreter that a wild write ended would not reach
the end. SciPy's constructors let the arrays through, or they were changed in place afterwards.
"""

import numpy as np
from scipy import sparse

from sparserec_np import Interactions, Recommender, SparseBPR, SparseGraph, SparseMF, metrics
from sparserec_np.autograd import Parameter, dot, lookup, match, propagate, square_lengths
from sparserec_np.batch import recommend_all
from sparserec_np.data import make_interactions
from sparserec_np.errors import SparserecError
from sparserec_np.kernels.workers import ONE_THREAD
from sparserec_np.metrics import Ranking
from sparserec_np.runtime import IdMap, ModelData, SeenItems, TableData
from sparserec_np.sampling import NegativeSampler
from sparserec_np.tables import SparseTable
from sparserec_np.teachers import TEACHERS

N_USERS, N_ITEMS, DIM = 40, 30, 8
FORMATS = ("csr", "csc", "coo", "bsr", "lil")
WILD = (N_ITEMS, 10**8, -1, -(10**8))


def pairs(seed=0):
    """Return sound interactions."""
    return make_interactions(N_USERS, N_ITEMS, 300, random_state=seed).user_items.copy()


def spoilt(matrix, number, form="csr"):
    """Return a matrix of some format whose last entry lies in column (for CSC, in row) `number`."""
    made = matrix.asformat(form).copy()
    if form == "coo":
        made.col[-1] = number
    elif form == "lil":
        row = max(row for row, columns in enumerate(made.rows) if columns)
        made.rows[row][-1] = number
    else:
        made.indices[-1] = number
    return made


def with_falling_pointers(matrix):
    """Return a matrix one of whose rows ends before it starts."""
    made = matrix.copy()
    made.indptr[3] = made.nnz + 1000
    return made


def embeddings(n_rows, seed=0):
    """Return a sound table."""
    rng = np.random.default_rng(seed)
    made = sparse.random_array((n_rows, DIM), density=0.5, rng=rng, dtype=np.float32, format="csr")
    made.sort_indices()
    return made


def changed(interactions, number):
    """Return interactions that somebody changed in place."""
    interactions.user_items.indices[-1] = number
    return interactions


def model(**parts):
    """Return a model of plain arrays, some of them replaced."""
    table = embeddings(N_ITEMS)
    seen = pairs()
    whole = {
        "items": TableData(table.indptr, table.indices, table.data, DIM),
        "item_ids": IdMap.range(N_ITEMS),
        "user_ids": IdMap.range(N_USERS, entity="user"),
        "popularity": np.ones(N_ITEMS, np.int32),
        "seen": SeenItems(seen.indptr, seen.indices),
        "encoder": "sum",
    }
    return ModelData(**(whole | parts))


def spoilt_items(number):
    """Return an item table with a column, by row, or a row, by column, that does not exist."""
    by_row, by_column = embeddings(N_ITEMS), embeddings(N_ITEMS).tocsc()
    by_row.indices[-1], by_column.indices[-1] = number, number
    return (
        TableData(by_row.indptr, by_row.indices, by_row.data, DIM),
        TableData.from_columns(by_column.indptr, by_column.indices, by_column.data, N_ITEMS),
    )


def spoilt_seen(number):
    """Return seen items of which one does not exist."""
    seen = spoilt(pairs(), number)
    return SeenItems(seen.indptr, seen.indices)


def ranking(rows=(0, 1), ids=((0, 1, 2), (3, 4, 5))):
    """Return a ranking that was made elsewhere."""
    ids = np.array(ids)
    return Ranking(np.array(rows), ids, np.full(len(ids), ids.shape[1]), np.zeros(ids.shape, np.float32))


def teach(name, user_items, users=(0, 1), items=((0, 1), (1, 2))):
    """Fit a teacher and ask it."""
    teacher = TEACHERS[name](user_items, rng=np.random.default_rng(0), workers=ONE_THREAD)
    return teacher.scores(np.array(users), np.array(items))


def table(n_rows, indices=None):
    """Return a table on the tape."""
    made = SparseTable.from_scipy(embeddings(n_rows))
    if indices is not None:
        made.indices[-1] = indices
    return Parameter(made)


def ways():
    """Yield a name and a call for every way in."""
    good, users, items = pairs(), embeddings(N_USERS), embeddings(N_ITEMS)
    quick = {"epochs": 1, "dim": DIM, "random_state": 0}
    for number in WILD:
        for form in FORMATS:
            bad = spoilt(good, N_USERS if form == "csc" and number == N_ITEMS else number, form)
            yield f"from_matrix {form} {number}", lambda bad=bad: Interactions.from_matrix(bad)
            yield f"fit {form} {number}", lambda bad=bad: SparseBPR(**quick).fit(bad)
            yield (
                f"evaluate test {form} {number}",
                lambda bad=bad: metrics.evaluate(users, items, good, bad, 2),
            )
            yield (
                f"evaluate train {form} {number}",
                lambda bad=bad: metrics.evaluate(users, items, bad, good, 2),
            )
        bad, nobody = spoilt(good, number), N_USERS if number == N_ITEMS else number
        for estimator in (SparseBPR, SparseGraph, SparseMF):
            made = changed(make_interactions(N_USERS, N_ITEMS, 300, random_state=0), number)
            yield f"{estimator.__name__} {number}", lambda e=estimator, made=made: e(**quick).fit(made)
        yield f"rank users {number}", lambda number=number: metrics.rank(spoilt(users, number), items, 2)
        yield f"rank items {number}", lambda number=number: metrics.rank(users, spoilt(items, number), 2)
        yield f"rank exclude {number}", lambda bad=bad: metrics.rank(users, items, 2, exclude=bad)
        yield (
            f"rank represented {number}",
            lambda number=number: metrics.evaluate(
                lambda rows: spoilt(users[rows], number), items, None, good, 2
            ),
        )
        yield (
            f"popularity {number}",
            lambda bad=bad: metrics.evaluate_popularity(np.ones(N_ITEMS), bad, good, 2),
        )
        yield f"ranking test {number}", lambda bad=bad: metrics.evaluate_ranking(ranking(), bad, 2)
        yield f"sampler {number}", lambda bad=bad: NegativeSampler(bad, 0.5, 0, ONE_THREAD)
        for name in TEACHERS:
            yield f"{name} {number}", lambda name=name, bad=bad: teach(name, bad)
            yield f"{name} user {number}", lambda name=name, nobody=nobody: teach(name, good, (0, nobody))
            yield (
                f"{name} item {number}",
                lambda name=name, number=number: teach(name, good, items=((0, 1), (0, number))),
            )
        yield f"table {number}", lambda number=number: SparseTable.from_scipy(spoilt(items, number))
        yield f"table changed {number}", lambda number=number: table(N_ITEMS, number % (1 << 16) | 1 << 10)
        yield (
            f"evaluate table {number}",
            lambda number=number: metrics.evaluate(users, _changed_table(number), good, good, 2),
        )
        yield f"lookup {number}", lambda number=number: lookup(table(N_ITEMS), np.array([0, number]))
        yield f"lengths {number}", lambda number=number: square_lengths(table(N_ITEMS), np.array([number]))
        yield (
            f"dot {number}",
            lambda number=number: dot(table(N_USERS), table(N_ITEMS), np.array([0]), np.array([[number]])),
        )
        yield f"propagate {number}", lambda bad=bad: propagate(table(N_ITEMS), bad)
        yield (
            f"match rows {number}",
            lambda number=number: match(
                np.ones((2, DIM), np.float32), table(N_ITEMS), np.array([0]), np.array([[number]])
            ),
        )
        yield (
            f"match owners {number}",
            lambda number=number: match(
                np.ones((2, DIM), np.float32), table(N_ITEMS), np.array([number]), np.array([[0]])
            ),
        )
        for way, bad_items in zip(("row", "column"), spoilt_items(number), strict=True):
            bad_model = model(items=bad_items)
            yield f"recommend_all {way} {number}", lambda bad=bad_model: list(recommend_all(bad, 2))
            yield (
                f"accelerated {way} {number}",
                lambda bad=bad_model: Recommender(bad, accelerate=True).recommend(history=[0, 1]),
            )
        unseen = model(seen=spoilt_seen(number))
        yield f"recommend_all seen {number}", lambda bad=unseen: list(recommend_all(bad, 2))
        yield (
            f"accelerated seen {number}",
            lambda bad=unseen: Recommender(bad, accelerate=True).recommend(int(N_USERS - 1), k=3),
        )
        yield f"user_vectors {number}", lambda nobody=nobody: Recommender(model()).user_vectors([nobody])
        yield f"rows {number}", lambda nobody=nobody: metrics.rank(users, items, 2, rows=[0, nobody])
        wild = ranking(ids=((0, 1, 2), (3, 4, number if number != -1 else -2)))
        yield f"ranking ids {number}", lambda wild=wild: metrics.evaluate_ranking(wild, good, 3)
        wild = ranking(rows=(0, nobody))
        yield f"ranking rows {number}", lambda wild=wild: metrics.evaluate_ranking(wild, good, 3)
    falling = with_falling_pointers(good)
    yield "from_matrix falling", lambda: Interactions.from_matrix(falling)
    yield "evaluate falling", lambda: metrics.evaluate(users, items, falling, good, 2)
    yield "rank falling", lambda: metrics.rank(with_falling_pointers(users), items, 2)
    yield "table falling", lambda: SparseTable.from_scipy(with_falling_pointers(items))
    yield "short bias", lambda: list(recommend_all(model(item_bias=np.ones(3, np.float32)), 2))
    yield (
        "accelerated short bias",
        lambda: Recommender(model(item_bias=np.ones(3, np.float32)), accelerate=True).recommend(history=[0]),
    )


def _changed_table(number):
    made = SparseTable.from_scipy(embeddings(N_ITEMS))
    made.indices[-1] = number % (1 << 15) | 1 << 10
    return made


def refused(call):
    """Whether a call ends in an error that says something."""
    try:
        call()
    except (SparserecError, IndexError, ValueError) as error:
        return bool(str(error))
    return False


if __name__ == "__main__":
    taken = [name for name, call in ways() if not refused(call)]
    print(f"taken {taken}; tried {len(list(ways()))}")
