"""Sampling inside kernels, with random numbers that are a function of their place.

Each draw hashes ``(seed, number of the draw)`` (SplitMix64, Steele et al. 2014), so there is no generator
whose state threads would share, and example ``e`` gets the same negatives however the batch is cut.
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.prefetch import prefetch

# How many examples before they are needed their memory is asked for.
_AHEAD = 32
# So many items are compared at a time, in a handful of vector instructions.
_WINDOW = np.uint64(64)
# A user's items are marked on a bit map, and this again removed, where they are not more than so many times
# what is drawn for the user.
_WORTH_MARKING = np.uint64(4)
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@njit(cache=True, nogil=True, inline="always")
def _uniform(seed, number):
    """Return the ``number``-th draw from [0, 1) with 53 random bits."""
    z = seed + _GAMMA * (np.uint64(number) + np.uint64(1))
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True, inline="always")
def _unseen(draw, first, last, seen, n_items):
    """Return the item that ``draw`` from [0, 1) picks among those not in the sorted ``seen[first:last]``."""
    n = last - first
    rank = np.uint64(draw * np.float64(n_items - n))
    # The items before seen[first + k] that are unseen number seen[first + k] - k: find how many k have no
    # more than the rank. Steps without a branch, which would be guessed wrong every other time.
    found = np.uint64(0)
    while n > 1:
        half = n >> np.uint64(1)
        k = found + half - np.uint64(1)
        found += half * np.uint64(np.uint64(seen[first + k]) - k <= rank)
        n -= half
    if n > 0:
        found += np.uint64(np.uint64(seen[first + found]) - found <= rank)
    return rank + found


@njit(cache=True, nogil=True, inline="always")
def _contains(item, first, last, seen):
    """Whether ``item`` is among the sorted ``seen[first:last]``; again without a branch."""
    n = last - first
    if n == 0:
        return False
    found = first
    while n > _WINDOW:
        half = n >> np.uint64(1)
        found += half * np.uint64(np.uint64(seen[found + half]) <= np.uint64(item))
        n -= half
    if len(seen) >= _WINDOW:
        # A window of a fixed length may reach into what others have seen. So that it has the item tells
        # little, but it seldom has, and what it has not was not seen.
        window, same = min(found, np.uint64(len(seen)) - _WINDOW), seen.dtype.type(item)
        hits = np.int32(0)
        for k in range(_WINDOW):
            hits |= np.int32(seen[window + k] == same)
        if hits == 0:
            return False
    while n > 1:
        half = n >> np.uint64(1)
        found += half * np.uint64(np.uint64(seen[found + half]) <= np.uint64(item))
        n -= half
    return np.uint64(seen[found]) == np.uint64(item)


@njit(cache=True, nogil=True)
def draw_uniform(start, stop, seed, first_number, users, seen_indptr, seen_items, n_items, out):
    """Fill ``out[e, 1:]`` with items drawn uniformly from those that ``users[e]`` has not seen.

    Any item is drawn first and, if it was seen, one of the unseen: uniform by itself, so both together are.
    Every user must have an unseen item.
    """
    negatives, n_items = np.uint64(out.shape[1] - 1), np.uint64(n_items)
    low_bits, one = np.uint64(63), np.uint64(1)
    seen_bits = np.zeros((n_items >> np.uint64(6)) + one, dtype=np.uint64)
    e, stop = np.uint64(start), np.uint64(stop)
    while e < stop:
        user, end = np.uint64(users[e]), e
        while end < stop and np.uint64(users[end]) == user:
            end += one
        if end < stop:
            # Of the user who comes next; the processor goes on by itself from the second line.
            ahead = np.uint64(seen_indptr[np.uint64(users[end])])
            prefetch(seen_items, ahead)
            prefetch(seen_items, ahead + np.uint64(16))
        first, last = np.uint64(seen_indptr[user]), np.uint64(seen_indptr[user + one])
        marks = last - first < _WORTH_MARKING * negatives * (end - e)
        if marks:
            for k in range(first, last):
                item = np.uint64(seen_items[k])
                seen_bits[item >> np.uint64(6)] |= one << (item & low_bits)
        while e < end:
            number = (np.uint64(first_number) + e * negatives) * np.uint64(2)
            for j in range(negatives):
                item = np.uint64(_uniform(seed, number + j + j) * np.float64(n_items))
                if marks:
                    seen = (seen_bits[item >> np.uint64(6)] >> (item & low_bits)) & one != np.uint64(0)
                else:
                    seen = _contains(item, first, last, seen_items)
                if seen:
                    draw = _uniform(seed, number + j + j + one)
                    item = _unseen(draw, first, last, seen_items, n_items)
                out[e, j + one] = item
            e += one
        if marks:
            for k in range(first, last):
                seen_bits[np.uint64(seen_items[k]) >> np.uint64(6)] = 0


# A popular negative is rejected when it was seen; a user who saw almost all of the popular mass gets a
# uniform one after this many tries.
_TRIES = 16


@njit(cache=True, nogil=True)
def draw_weighted(start, stop, seed, first_number, users, seen_indptr, seen_items, n_items, keep, alias, out):
    """Fill ``out[e, 1:]`` with unseen items drawn from the alias table ``(keep, alias)``.

    Walker's method with Vose's table: constant time a draw, for any distribution over the items.
    """
    negatives = out.shape[1] - 1
    for e in range(start, stop):
        user = np.uint64(users[e])
        first, last = np.uint64(seen_indptr[user]), np.uint64(seen_indptr[user + np.uint64(1)])
        for j in range(negatives):
            number = (first_number + e * negatives + j) * (_TRIES + 1)
            item = np.int64(-1)
            for attempt in range(_TRIES):
                draw = _uniform(seed, number + attempt) * n_items
                slot = np.int64(draw)
                picked = slot if draw - slot < keep[slot] else np.int64(alias[slot])
                if not _contains(picked, first, last, seen_items):
                    item = picked
                    break
            if item < 0:
                draw = _uniform(seed, number + _TRIES)
                item = np.int64(_unseen(draw, first, last, seen_items, np.uint64(n_items)))
            out[e, 1 + j] = item


@njit(cache=True, nogil=True)
def build_alias(weights, keep, alias):
    """Fill Vose's alias table of ``weights`` (non-negative, positive sum).

    Slot ``i`` stands for item ``i`` with probability ``keep[i]`` and for ``alias[i]`` otherwise.
    """
    n = len(weights)
    scale = n / weights.sum()
    small = np.empty(n, dtype=np.int64)
    large = np.empty(n, dtype=np.int64)
    n_small, n_large = 0, 0
    for i in range(n):
        keep[i] = weights[i] * scale
        alias[i] = i
        if keep[i] < 1:
            small[n_small] = i
            n_small += 1
        else:
            large[n_large] = i
            n_large += 1
    while n_small > 0 and n_large > 0:
        n_small -= 1
        lack, rich = small[n_small], large[n_large - 1]
        alias[lack] = rich
        keep[rich] -= 1 - keep[lack]
        if keep[rich] < 1:
            n_large -= 1
            small[n_small] = rich
            n_small += 1
    # What is left over is 1 up to rounding.
    for k in range(n_small):
        keep[small[k]] = 1
    for k in range(n_large):
        keep[large[k]] = 1


# Of every so many-th example it is noted whose it is.
STRIDE = 32


@njit(cache=True, nogil=True)
def take_examples(
    start, stop, batch, ends, landmarks, items, weights, batch_users, batch_items, batch_weights
):
    """Copy the examples with the ascending numbers ``batch``; the items go to the first column.

    ``ends[u]`` is the number after the last example of user ``u``: whose an example is follows from where
    it lies, and is looked for from the user ``landmarks[k]`` of example ``STRIDE · k`` on.
    """
    e, stop, ahead, one = np.uint64(start), np.uint64(stop), np.uint64(_AHEAD), np.uint64(1)
    while e < stop:
        user = np.uint64(landmarks[np.uint64(batch[e]) // np.uint64(STRIDE)])
        while ends[user] <= batch[e]:
            user += one
        end = ends[user]
        while e < stop and batch[e] < end:
            if e + ahead < stop:
                prefetch(items, batch[e + ahead])
                prefetch(weights, batch[e + ahead])
            number = np.uint64(batch[e])
            batch_users[e] = user
            batch_items[e, 0] = items[number]
            batch_weights[e] = weights[number]
            e += one
