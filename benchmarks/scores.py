"""Ranking metrics of models that are no sparse tables: scores of all items, a block of users at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparserec_np import metrics

#: Scores of all items for some users, by row: a new array (n, n_items) of float32 each time.
Score = Callable[[NDArray[np.int64]], NDArray[np.float32]]

_BLOCK_BYTES = 64 << 20


def evaluate_scores(score: Score, train: Any, test: Any, k: int = 20) -> dict[str, float]:
    """Rank all items except a user's ``train`` items by ``score``; the metrics of `metrics.evaluate`.

    Parameters
    ----------
    score : callable
        Scores of all items; one of -inf is no candidate.
    train, test : CSR arrays (n_users, n_items)
        What is no candidate, and what is to be found.
    k : int
        Length of the lists.
    """
    rows = np.flatnonzero(np.diff(test.indptr))
    popularity = np.bincount(train.indices, minlength=test.shape[1])
    block = max(1, _BLOCK_BYTES // (4 * test.shape[1]))
    ids = np.full((len(rows), k), -1, np.int32)
    best = np.full((len(rows), k), -np.inf, np.float32)
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        scores = score(rows[part])
        seen = train[rows[part]]
        scores[np.repeat(np.arange(len(scores)), np.diff(seen.indptr)), seen.indices] = -np.inf
        _keep_best(scores, popularity, ids[part], best[part])
    ranking = metrics.Ranking(rows, ids, (ids >= 0).sum(axis=1), np.where(ids >= 0, best, np.nan))
    return metrics.evaluate_ranking(ranking, test, k)


@njit(cache=True, nogil=True)
def _keep_best(scores, popularity, ids, best):  # type: ignore[no-untyped-def]
    """Put each row's best items into ``ids``, best first; of equal ones the more popular, then the first."""
    k = ids.shape[1]
    for row in range(scores.shape[0]):
        for item in range(scores.shape[1]):
            score = scores[row, item]
            if score == -np.inf:
                continue
            at = k
            while at > 0 and (
                score > best[row, at - 1]
                or (score == best[row, at - 1] and popularity[item] > popularity[ids[row, at - 1]])
            ):
                if at < k:
                    best[row, at], ids[row, at] = best[row, at - 1], ids[row, at - 1]
                at -= 1
            if at < k:
                best[row, at], ids[row, at] = score, item
