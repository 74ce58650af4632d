"""The k best of many scores, exactly, with one rule for ties.

Of equal scores, the more popular item comes first, and of equally popular ones that of the lower row. All
paths keep to it: this module, the kernels of `sparserec_np.runtime.accelerated` and of
`sparserec_np.kernels.ranking`, and so evaluations and lists for everybody.
"""

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
        Falling; of equal scores, the one of the more popular item comes first, then that of the lower row.
        Of users, who have no popularity, it is the lower row alone.
    """

    ids: Any
    scores: NDArray[np.float32]


def tie_keys(popularity: NDArray[Any]) -> NDArray[np.int64]:
    """Return integers that are in the order of popularity, which may be counts or float32 of 0 or more."""
    if popularity.dtype.kind != "f":
        return popularity.astype(np.int64)
    # The bits of floats that are not negative are in the order of the floats; -0.0 becomes 0.0 first.
    return (popularity.astype(np.float32) + np.float32(0)).view(np.int32).astype(np.int64)


def top_k(
    scores: NDArray[np.floating] | NDArray[np.integer], k: int, popularity: NDArray[Any] | None = None
) -> NDArray[np.intp]:
    """Find the positions of the k largest scores, best first.

    Parameters
    ----------
    scores : ndarray of float or int, shape (n,)
        Without NaN.
    k : int
        At least 0; above ``n`` it means all.
    popularity : ndarray of int or float32, shape (n,), optional
        Of equal scores, the one of the larger popularity comes first, then that of the lower position.

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
    pool, all_scores = None, scores
    if len(scores) >= 4 * groups:
        whole = len(scores) - len(scores) % groups
        maxima = scores[:whole].reshape(-1, groups).max(axis=0)
        bound = np.partition(maxima, groups - k)[groups - k]
        pool = np.flatnonzero(scores >= bound)
        scores = scores[pool]
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    above = np.flatnonzero(scores > kth)
    level = np.flatnonzero(scores == kth)
    wanted = k - len(above)
    if popularity is None:
        best = np.concatenate([above, level[:wanted]])
        best = best[np.lexsort((best, -scores[best]))]
        return best if pool is None else pool[best]
    if pool is not None:
        above, level = pool[above], pool[level]
    if len(level) > wanted:
        level = level[top_k(tie_keys(popularity[level]), wanted)]
    best = np.concatenate([above, level])
    return best[np.lexsort((best, -tie_keys(popularity[best]), -all_scores[best]))]


def best_of(
    scores: NDArray[np.float32],
    k: int,
    excluded: NDArray[np.integer],
    candidates: NDArray[np.integer] | None = None,
    popularity: NDArray[Any] | None = None,
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
    popularity : ndarray of int or float32, shape (n,), optional
        As for `top_k`.

    Returns
    -------
    rows : ndarray of int
        At most k, best first; of equal scores, the more popular first, then the lower row.
    scores : ndarray of float32
        Theirs.
    """
    scores[excluded] = -np.inf
    best: NDArray[np.integer]
    if candidates is None:
        best = top_k(scores, k, popularity)
    else:
        among = None if popularity is None else popularity[candidates]
        best = candidates[top_k(scores[candidates], k, among)]
    # What is left out comes last and is recognised.
    best = best[scores[best] > -np.inf]
    return best, scores[best]
