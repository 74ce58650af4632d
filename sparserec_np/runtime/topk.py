"""The k best of many scores, exactly, with one rule for ties."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


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


def top_k(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Find the positions of the k largest scores, best first; of equal scores, the lower position first.

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
        Without NaN.
    k : int
        At least 0; above ``n`` it means all.

    Returns
    -------
    ndarray of int, shape (min(k, n),)
    """
    k = min(k, len(scores))
    if k == 0:
        return np.empty(0, np.intp)
    # Scores are first split into groups: k group maxima are k scores, so the k-th best of all is no
    # worse than the k-th best maximum, and few scores reach that. It spares the partition of them all.
    groups = max(512, 8 * k)
    pool = None
    if len(scores) >= 4 * groups:
        whole = len(scores) - len(scores) % groups
        maxima = scores[:whole].reshape(-1, groups).max(axis=0)
        bound = np.partition(maxima, groups - k)[groups - k]
        pool = np.flatnonzero(scores >= bound)
        scores = scores[pool]
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    above = np.flatnonzero(scores > kth)
    level = np.flatnonzero(scores == kth)[: k - len(above)]
    best = np.concatenate([above, level])
    best = best[np.lexsort((best, -scores[best]))]
    return best if pool is None else pool[best]


def best_of(
    scores: NDArray[np.float32],
    k: int,
    excluded: NDArray[np.integer],
    candidates: NDArray[np.integer] | None = None,
) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
    """Find the k best rows that are not excluded.

    Parameters
    ----------
    scores : ndarray of float32, shape (n,)
        Finite, or -inf where a row is out of question; overwritten at the excluded rows.
    k : int
        At least 0.
    excluded : ndarray of int
        Rows to leave out.
    candidates : ndarray of int, optional
        The only rows to choose from, rising.

    Returns
    -------
    rows : ndarray of int
        At most k, best first; of equal scores, the lower row first.
    scores : ndarray of float32
        Theirs.
    """
    scores[excluded] = -np.inf
    best: NDArray[np.integer]
    best = top_k(scores, k) if candidates is None else candidates[top_k(scores[candidates], k)]
    # What is left out comes last and is recognised.
    best = best[scores[best] > -np.inf]
    return best, scores[best]
