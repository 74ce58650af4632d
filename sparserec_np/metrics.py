"""How good the top k are: ranking metrics over all users in bounded memory, and errors of ratings.

A user's held-out items are the relevant ones; relevance is binary. Metrics are means over the users that
have held-out items, so users without any neither help nor hurt. The definitions are those of the Gowalla
protocol [1]_ where there is one (recall, NDCG), of the information-retrieval literature elsewhere.

References
----------
.. [1] He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
   SIGIR 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sparserec_np.errors import DataError, SettingError
from sparserec_np.matrices import as_csr, check_rows
from sparserec_np.ranking import Added, Ranking, Represent, rank, rank_blocks
from sparserec_np.runtime.bounds import first_outside

__all__ = [
    "RANKING_METRICS",
    "Ranking",
    "Represent",
    "evaluate",
    "evaluate_popularity",
    "evaluate_ranking",
    "mae",
    "rank",
    "rmse",
]

# ---- one value per user ------------------------------------------------------------------------------
#
# Each takes ``hits`` (n_users, k) bool, whether the item at each rank is one of the user's held-out items,
# and ``n_held_out`` (n_users,) int64, how many of those the user has, at least 1; and returns (n_users,)
# float64. k is the width of ``hits``; ranks behind the end of a short list are no hits.


def recall(hits: NDArray[np.bool_], n_held_out: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hits ÷ the number of held-out items; below 1 at best for a user who has more than k."""
    return hits.sum(axis=1) / n_held_out


def precision(hits: NDArray[np.bool_], n_held_out: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hits ÷ k, also when fewer than k items qualified."""
    return hits.sum(axis=1) / hits.shape[1]


def ndcg(hits: NDArray[np.bool_], n_held_out: NDArray[np.int64]) -> NDArray[np.float64]:
    """Discounted cumulative gain ÷ that of the ideal list, min(k, held-out items) hits from the top."""
    k = hits.shape[1]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(k, n_held_out) - 1]
    return (hits * discounts).sum(axis=1) / ideal


def average_precision(hits: NDArray[np.bool_], n_held_out: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum of the precisions at each hit ÷ min(k, held-out items), so that the ideal list gets 1."""
    k = hits.shape[1]
    precisions = np.cumsum(hits, axis=1) / np.arange(1, k + 1)
    return (precisions * hits).sum(axis=1) / np.minimum(k, n_held_out)


def reciprocal_rank(hits: NDArray[np.bool_], n_held_out: NDArray[np.int64]) -> NDArray[np.float64]:
    """One ÷ the rank of the first hit; 0 without a hit."""
    return hits.any(axis=1) / (hits.argmax(axis=1) + 1.0)


def hit_rate(hits: NDArray[np.bool_], n_held_out: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 with at least one hit, else 0."""
    return np.asarray(hits.any(axis=1), np.float64)


#: Name in the results to function; "coverage" is added by the evaluation, it is no mean over users.
RANKING_METRICS: dict[str, Callable[[NDArray[np.bool_], NDArray[np.int64]], NDArray[np.float64]]] = {
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}


# ---- over all users ----------------------------------------------------------------------------------


def evaluate(
    users: Any,
    items: Any,
    train: Any,
    test: Any,
    k: int | Sequence[int] = 20,
    *,
    item_bias: ArrayLike | None = None,
    popularity: ArrayLike | None = None,
    added: Added | None = None,
    n_jobs: int | None = None,
) -> dict[str, float]:
    """Rank all items except a user's ``train`` items, and measure how ``test`` is met.

    Of items of equal score, the more popular ones come first, then those of lower rows, as in
    `Recommender.recommend`: users without a vector get the most popular items.

    Memory beyond the arguments: a block of users.

    Parameters
    ----------
    users : CSR array (n_users, dim), float32, or callable
        Embedding table of the users; or what makes such rows, a block of users at a time, of their row
        numbers.
    items : CSR array (n_items, dim), float32, or SparseTable
        Embedding table of the items.
    train : CSR array (n_users, n_items) or None
        Items that are no candidates; None to rank them all.
    test : CSR array (n_users, n_items)
        Held-out items: the stored entries, whatever their value.
    k : int or sequence of int
        Length of the lists; several lengths are measured on the same ranking.
    item_bias : (n_items,) float, optional
        Added to every user's scores.
    popularity : (n_items,) int or float, optional
        Interactions of each item; by default what ``train`` says, how many users have each item there.
    added : callable, optional
        Makes what is added to the scores of users; see `sparserec_np.ranking.rank`.
    n_jobs : int, optional
        Threads; None or -1 for one per core. The result does not depend on it.

    Returns
    -------
    dict of str to float
        ``"recall@20"``, ``"precision@20"``, ``"ndcg@20"``, ``"map@20"``, ``"mrr@20"``, ``"hit_rate@20"``,
        ``"coverage@20"`` (share of all items that stand in somebody's list) for every k, and ``"n_users"``,
        the users that have held-out items.

    Raises
    ------
    DataError
        The shapes do not fit each other, or nothing is held out.
    SettingError
        A ``k`` is below 1.
    """
    lengths = _lengths(k)
    test = as_csr(test, "test", None if callable(users) else (users.shape[0], items.shape[0]))
    if train is None:
        train = sparse.csr_array(test.shape, dtype=np.float32)
    rows = np.flatnonzero(np.diff(test.indptr))
    blocks = rank_blocks(
        users,
        items,
        max(lengths),
        exclude=train,
        rows=rows,
        item_bias=item_bias,
        popularity=popularity,
        added=added,
        n_jobs=n_jobs,
    )
    return _measure(blocks, test, lengths)


def evaluate_popularity(
    popularity: ArrayLike,
    train: Any,
    test: Any,
    k: int | Sequence[int] = 20,
    *,
    n_jobs: int | None = None,
) -> dict[str, float]:
    """Measure the most-popular baseline: the same list for everybody, minus the user's ``train`` items.

    Parameters
    ----------
    popularity : (n_items,) float
        For instance how many users have each item in ``train``.
    train, test, k, n_jobs
        As in :func:`evaluate`.

    Returns
    -------
    dict of str to float
        As from :func:`evaluate`.
    """
    # Places in the order of popularity, equal where it is equal: exact in float32 up to 2**24 different
    # popularities, which counts themselves are not.
    _, place = np.unique(np.asarray(popularity), return_inverse=True)
    nobody = sparse.csr_array((as_csr(test, "test").shape[0], 1), dtype=np.float32)
    nothing = sparse.csr_array((len(place), 1), dtype=np.float32)
    return evaluate(nobody, nothing, train, test, k, item_bias=place, popularity=place, n_jobs=n_jobs)


def evaluate_ranking(ranking: Ranking, test: Any, k: int | Sequence[int] = 20) -> dict[str, float]:
    """Measure a ranking that was made elsewhere.

    Parameters
    ----------
    ranking : Ranking
        Lists of at least the largest ``k`` slots; no user and, within a list, no item occurs twice. A slot
        that is not in use holds -1.
    test : CSR array (n_users, n_items)
        Held-out items; ``ranking.rows`` are its rows.
    k : int or sequence of int
        Lengths to measure.

    Returns
    -------
    dict of str to float
        As from :func:`evaluate`, over the users of the ranking that have held-out items.

    Raises
    ------
    DataError
        The ranking names users or items that ``test`` does not have, or one of them twice: an item counted
        twice would make a recall above 1.
    SettingError
        A ``k`` is below 1, or above the number of slots.
    """
    lengths = _lengths(k)
    test = as_csr(test, "test")
    ranking = _checked_ranking(ranking, *test.shape)
    if ranking.ids.shape[1] < max(lengths):
        raise SettingError(f"the ranking has {ranking.ids.shape[1]} slots per user; k is {max(lengths)}")
    return _measure([ranking], test, lengths)


def _checked_ranking(ranking: Ranking, n_users: int, n_items: int) -> Ranking:
    """Return a ranking that somebody made, once its users and items are known to exist, each once."""
    rows, ids = check_rows(ranking.rows, "ranking.rows", n_users), np.asarray(ranking.ids)
    if ids.ndim != 2 or len(ids) != len(rows) or (ids.size and ids.dtype.kind not in "iu"):
        raise DataError(
            f"ranking.ids is {ids.dtype} of shape {ids.shape}; expected item rows of shape "
            f"({len(rows)}, k), a list for each of ranking.rows"
        )
    distinct, first = np.unique(rows, return_index=True)
    if len(distinct) < len(rows):
        at = int(np.setdiff1d(np.arange(len(rows)), first)[0])
        raise DataError(f"ranking.rows holds user row {rows[at]} twice; expected one list for each user")
    at_fault = first_outside(ids, -1, n_items)
    if at_fault is not None:
        place, rank = divmod(at_fault, ids.shape[1])
        raise DataError(
            f"ranking.ids[{place}, {rank}] is {ids[place, rank]}; expected item rows from 0 to "
            f"{n_items - 1}, or -1 for a slot that is not in use"
        )
    ordered = np.sort(ids, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        place, rank = divmod(int(twice.argmax()), twice.shape[1])
        raise DataError(
            f"the list of user row {rows[place]} holds item row {ordered[place, rank]} twice; expected each "
            "item once; keep the first place of it"
        )
    return replace(ranking, rows=rows, ids=ids)


def _measure(rankings: Iterable[Ranking], test: Any, lengths: list[int]) -> dict[str, float]:
    """Means of all metrics over the users in ``rankings`` that have held-out items."""
    n_users, n_items = test.shape
    n_held_out = np.diff(test.indptr)
    # Ascending, since the columns of a row are: a pair is looked up by bisection.
    held_out = np.repeat(np.arange(n_users) * n_items, n_held_out) + test.indices
    if not len(held_out):
        raise DataError("nothing is held out: test has no interactions, so there is nothing to measure")

    sums = {f"{name}@{k}": 0.0 for k in lengths for name in RANKING_METRICS}
    recommended = {k: np.zeros(n_items, bool) for k in lengths}
    measured = 0
    for ranking in rankings:
        keep = n_held_out[ranking.rows] > 0
        rows, ids = ranking.rows[keep], ranking.ids[keep]
        pairs = rows[:, np.newaxis] * n_items + ids
        found = np.searchsorted(held_out, pairs).clip(max=len(held_out) - 1)
        hits = (held_out[found] == pairs) & (ids >= 0)
        for k in lengths:
            for name, metric in RANKING_METRICS.items():
                sums[f"{name}@{k}"] += float(metric(hits[:, :k], n_held_out[rows]).sum())
            recommended[k][ids[:, :k][ids[:, :k] >= 0]] = True
        measured += len(rows)
    if not measured:
        raise DataError("none of the ranked users has held-out items, so there is nothing to measure")
    means = {name: total / measured for name, total in sums.items()}
    coverage = {f"coverage@{k}": float(recommended[k].mean()) for k in lengths}
    return {**means, **coverage, "n_users": measured}


# ---- ratings -----------------------------------------------------------------------------------------


def rmse(observed: ArrayLike, predicted: ArrayLike) -> float:
    """Root of the mean squared difference of two arrays of one shape, in units of the rating."""
    return float(np.sqrt(np.mean(_differences(observed, predicted) ** 2)))


def mae(observed: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute difference of two arrays of one shape, in units of the rating."""
    return float(np.mean(np.abs(_differences(observed, predicted))))


def _differences(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    observed, predicted = np.asarray(observed, np.float64), np.asarray(predicted, np.float64)
    if observed.shape != predicted.shape or not observed.size:
        raise DataError(
            f"observed has shape {observed.shape}, predicted {predicted.shape}; "
            "expected the same shape and at least one rating"
        )
    return observed - predicted


# ---- arguments ---------------------------------------------------------------------------------------


def _lengths(k: int | Sequence[int]) -> list[int]:
    """Every k asked for, ascending."""
    lengths = sorted({int(length) for length in np.atleast_1d(k)})
    if not lengths or lengths[0] < 1:
        raise SettingError(f"k is {k}; expected an integer of at least 1, or several")
    return lengths
