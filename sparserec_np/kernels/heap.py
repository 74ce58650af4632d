"""Keeping the best of many scored items in a heap: of equal scores by a key, then the lower numbers."""

from __future__ import annotations

from sparserec_np.compilation import njit


@njit(cache=True, nogil=True)
def _is_worse(score, id_, other_score, other_id, keys):
    """Whether an entry is worse than another: by its score, then by the key of its id, then by its id."""
    if score != other_score:
        return score < other_score
    if len(keys) > 0 and keys[id_] != keys[other_id]:
        return keys[id_] < keys[other_id]
    return id_ > other_id


@njit(cache=True, nogil=True)
def _sift_down(scores, ids, keys, root, size):
    """Restore the heap below ``root``: its worst entry, by `_is_worse`, on top."""
    score, id_ = scores[root], ids[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        right = child + 1
        if right < size and _is_worse(scores[right], ids[right], scores[child], ids[child], keys):
            child = right
        if _is_worse(score, id_, scores[child], ids[child], keys):
            break
        scores[root], ids[root] = scores[child], ids[child]
        root = child
    scores[root], ids[root] = score, id_


@njit(cache=True, nogil=True)
def keep_best(score, item, scores, ids, keys, size):
    """Keep an item if it is better than the worst that is kept; return how many are kept.

    Of equal scores the item of the larger of ``keys`` (n_items,) is better, then the smaller one; without
    keys, (0,), the smaller one.

    Until ``scores`` is full there is no order in it; then it becomes a heap.
    """
    if size < len(scores):
        scores[size], ids[size] = score, item
        size += 1
        if size == len(scores):
            for root in range(size // 2 - 1, -1, -1):
                _sift_down(scores, ids, keys, root, size)
        return size
    if not _is_worse(scores[0], ids[0], score, item, keys):
        return size
    scores[0], ids[0] = score, item
    _sift_down(scores, ids, keys, 0, size)
    return size


@njit(cache=True, nogil=True)
def put_in_order(scores, ids, keys, size):
    """Put what `keep_best` kept in order, best first."""
    if size < len(scores):
        for root in range(size // 2 - 1, -1, -1):
            _sift_down(scores, ids, keys, root, size)
    for last in range(size - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        ids[0], ids[last] = ids[last], ids[0]
        _sift_down(scores, ids, keys, 0, last)
