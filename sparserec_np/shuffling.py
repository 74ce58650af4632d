"""The random order in which an epoch goes through its examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.kernels.permuting import permute

# Up to so many numbers they are shuffled where they are held; beyond, an order would take as much memory as
# the interactions themselves.
_HELD = 1 << 22


class RandomOrder:
    """The numbers 0 … n - 1 in a random order, computed where they are looked at.

    Parameters
    ----------
    n : int
        How many.
    key : int
        Names the order, 0 … 2⁶³ - 1.
    """

    def __init__(self, n: int, key: int) -> None:
        self._n, self._key = n, key

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, places: slice) -> npt.NDArray[np.signedinteger[Any]]:
        """Return the numbers at the places of a slice with step 1."""
        start, stop, _ = places.indices(self._n)
        numbers = np.empty(max(0, stop - start), dtype=_number_type(self._n))
        permute(self._key, self._n, start, numbers)
        return numbers


def shuffled(n: int, rng: np.random.Generator) -> npt.NDArray[np.signedinteger[Any]] | RandomOrder:
    """Shuffle the numbers 0 … n - 1; in memory that does not grow with them where they are many."""
    if n > _HELD:
        return RandomOrder(n, int(rng.integers(2**63)))
    order = np.arange(n, dtype=_number_type(n))
    rng.shuffle(order)
    return order


def _number_type(n: int) -> Any:
    return np.int32 if n <= np.iinfo(np.int32).max else np.int64
