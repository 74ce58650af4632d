"""Neighbour scores of many histories at once, for where numba is installed; the bits of the NumPy ones.

Nothing imports this module unasked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.compilation import njit
from sparserec_np.runtime.neighbours import MOST_USERS, NeighbourFilter


class KernelFilter(NeighbourFilter):
    """A filter that scores by the kernel."""

    def scores(
        self, rows: NDArray[np.integer], weights: NDArray[np.float64] | None = None
    ) -> NDArray[np.float32]:
        """Score all items for a history, as `NeighbourFilter.scores` does."""
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.n_items:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {self.n_items} items")
        shares = self.weights[0][rows]
        if weights is not None:
            shares = shares * weights
        out = np.empty((1, self.n_items), np.float32)
        indptr = np.array([0, len(rows)], np.int64)
        add_neighbours(0, 1, indptr, rows.astype(np.int32), shares, *arguments(self), out)
        return out[0]


def arguments(neighbours: NeighbourFilter) -> tuple[Any, ...]:
    """Return the arrays of a filter in the order in which `add_neighbours` takes them."""
    return (*neighbours.by_user, *neighbours.by_item, *neighbours.weights[1:], MOST_USERS)


@njit(cache=True, nogil=True)
def add_neighbours(  # type: ignore[no-untyped-def]
    start, stop, indptr, history, shares, user_starts, user_items, item_starts, item_users, of_users,
    of_scores, most_users, out,
):  # fmt: skip
    """Write the neighbours' scores of the histories ``start`` to ``stop``.

    Parameters
    ----------
    start, stop : int
    indptr, history : (n + 1,) int64, (m,) int32
        Item rows of history ``h``: ``history[indptr[h]:indptr[h + 1]]``.
    shares : (m,) float64
        What each of these items counts.
    user_starts, user_items : (n_users + 1,) int64, (nnz,) int32
        The interactions by user.
    item_starts, item_users : (n_items + 1,) int64, (nnz,) int32
        The interactions by item.
    of_users, of_scores : (n_users,), (n_items,) float64
        Weights; see `NeighbourFilter.weights`.
    most_users : int
        Users that count, the most similar ones.
    out : (n, n_items) float32
        Written.
    """
    similarity = np.zeros(len(of_users), np.float64)
    met = np.zeros(len(of_users), np.bool_)
    found = np.empty(len(of_users), np.int32)
    total = np.empty(len(of_scores), np.float64)
    for h in range(start, stop):
        n_found = 0
        for place in range(indptr[h], indptr[h + 1]):
            item = history[place]
            for entry in range(item_starts[item], item_starts[item + 1]):
                user = item_users[entry]
                if not met[user]:
                    met[user] = True
                    found[n_found] = user
                    n_found += 1
                similarity[user] += shares[place]
        users = found[:n_found]
        if 16 * n_found < len(met):
            users.sort()
        else:
            # Looking at everybody is cheaper than sorting those who were met.
            place = 0
            for user in range(len(met)):
                if met[user]:
                    users[place] = user
                    place += 1
        values = np.empty(n_found, np.float64)
        for place in range(n_found):
            values[place] = similarity[users[place]] * of_users[users[place]]
            similarity[users[place]] = 0
            met[users[place]] = False
        least, level = -np.inf, n_found
        if n_found > most_users:
            least = np.partition(values, n_found - most_users)[n_found - most_users]
            level = most_users - np.count_nonzero(values > least)
        total[:] = 0
        for place in range(n_found):
            value = values[place]
            if value == least:
                # Of those that are as similar as the last one that counts, the first ones count.
                if level == 0:
                    continue
                level -= 1
            elif value < least:
                continue
            for entry in range(user_starts[users[place]], user_starts[users[place] + 1]):
                total[user_items[entry]] += value
        for item in range(len(total)):
            out[h, item] = np.float32(total[item] * of_scores[item])


def score_histories(
    neighbours: NeighbourFilter,
    indptr: NDArray[np.int64],
    history: NDArray[np.int32],
    workers: Any,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Score all items for some histories.

    Parameters
    ----------
    neighbours : NeighbourFilter
    indptr, history : (n + 1,) int64, (m,) int32
        Item rows of each history, one history after the other.
    workers : sparserec_np.kernels.workers.Workers
        The result does not depend on their number.
    out : (n, n_items) float32, optional
        Written and returned; made if not given.

    Returns
    -------
    ndarray of float32, shape (n, n_items)
        As `NeighbourFilter.scores` gives for each history.
    """
    n = len(indptr) - 1
    if out is None:
        out = np.empty((n, neighbours.n_items), np.float32)
    shares = neighbours.weights[0][history]
    workers.run(add_neighbours, n, indptr, history, shares, *arguments(neighbours), out, min_share=4)
    return out
