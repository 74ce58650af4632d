"""Keeping the best of many scored items in a heap: of equal scores those of the lower numbers."""

from __future__ import annotations

from sparserec_np.compilation import njit


@njit(cache=True, nogil=True)
def _sift_down(scores, ids, root, size):
    """Restore the heap below ``root``: its worst entry (lowest score, then highest id) on top."""
    score, id_ = scores[root], ids[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            scores[right] < scores[child] or (scores[right] == scores[child] and ids[right] > ids[child])
        ):
            child = right
        if score < scores[child] or (score == scores[child] and id_ > ids[child]):
            break
        scores[root], ids[root] = scores[child], ids[child]
        root = child
    scores[root], ids[root] = score, id_


@njit(cache=True, nogil=True)
def keep_best(score, item, scores, ids, size):
    """Keep an item that is better than the worst that is kept; return how many are kept.

    Until ``scores`` is full there is no order in it; then it becomes a heap.
    """
    if size < len(scores):
        scores[size], ids[size] = score, item
        size += 1
        if size == len(scores):
            for root in range(size // 2 - 1, -1, -1):
                _sift_down(scores, ids, root, size)
        return size
    scores[0], ids[0] = score, item
    _sift_down(scores, ids, 0, size)
    return size


@njit(cache=True, nogil=True)
def put_in_order(scores, ids, size):
    """Put what `keep_best` kept in order, best first."""
    if size < len(scores):
        for root in range(size // 2 - 1, -1, -1):
            _sift_down(scores, ids, root, size)
    for last in range(size - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        ids[0], ids[last] = ids[last], ids[0]
        _sift_down(scores, ids, 0, last)
