"""Negative sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.kernels.draws import build_alias, draw_uniform, draw_weighted
from sparserec_np.kernels.workers import ONE_THREAD, Workers
from sparserec_np.matrices import as_csr


class NegativeSampler:
    """Draws items that a user has not interacted with.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        What counts as seen; columns sorted and unique within a row.
    popularity_power : float
        An item is drawn in proportion to (its interactions + 1) ** power; 0 is uniform.
    seed : int
        Draw ``n`` is a function of the seed and ``n`` alone.
    workers : Workers
        Threads to draw with; the draws do not depend on their number.
    """

    def __init__(
        self, user_items: sparse.csr_array, popularity_power: float, seed: int, workers: Workers
    ) -> None:
        user_items = as_csr(user_items, "user_items")
        self.n_items = user_items.shape[1]
        self._indptr, self._items = user_items.indptr, user_items.indices
        self._seed = np.uint64(seed)
        self._workers = workers
        self._drawn = 0
        self._alias: tuple[npt.NDArray[Any], ...] | None = None
        if popularity_power:
            weights = (np.bincount(self._items, minlength=self.n_items) + 1.0) ** popularity_power
            keep = np.empty(self.n_items, dtype=np.float64)
            alias = np.empty(self.n_items, dtype=np.int32)
            build_alias(weights, keep, alias)
            self._alias = (keep, alias)

    def reserve(self, n: int) -> int:
        """Return the number of the first of the next ``n`` draws, which are nobody else's then."""
        first, self._drawn = self._drawn, self._drawn + n
        return first

    def state(self) -> tuple[int, int]:
        """Return the seed, and how many draws were reserved so far."""
        return int(self._seed), self._drawn

    def restore(self, state: tuple[int, int]) -> None:
        """Go on drawing where another sampler of the same items was; `state` is what its method returned."""
        seed, self._drawn = state
        self._seed = np.uint64(seed)

    def fill(self, users: npt.NDArray[Any], out: npt.NDArray[Any], first: int | None = None) -> None:
        """Write negatives of ``users[e]`` to ``out[e, 1:]``; every user must have an unseen item.

        The users are row numbers of the interactions, which the caller has checked.

        By the next draws; or, in the calling thread alone, by those that `reserve` numbered from ``first``.
        """
        workers = self._workers
        if first is None:
            first = self.reserve(len(users) * (out.shape[1] - 1))
        else:
            workers = ONE_THREAD
        arguments = (self._seed, first, users, self._indptr, self._items, self.n_items)
        if self._alias is None:
            workers.run(draw_uniform, len(users), *arguments, out)
        else:
            workers.run(draw_weighted, len(users), *arguments, *self._alias, out)
