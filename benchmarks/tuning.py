"""Choosing the settings of a peer: hill climbing over a grid of powers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

Settings = dict[str, float]


def climb(
    start: Mapping[str, float],
    goodness: Callable[[Settings], float],
    factors: Sequence[float] = (4, 2),
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[Settings, list[tuple[Settings, float]]]:
    """Go to the best neighbour until none is better, in large steps first.

    A neighbour has one setting multiplied or divided by the factor, or all of them: good settings lie along
    ridges, such as more weight of the positives with more regularization.

    Parameters
    ----------
    start : mapping
        Positive numbers by name.
    goodness : callable
        Called once for each tried setting; larger is better.
    factors : sequence of float
        Size of the steps, one after the other.
    bounds : mapping, optional
        Lowest and highest value of a setting; by default there are none.

    Returns
    -------
    best : dict
    tried : list of (dict, float)
        All that were tried, in order.
    """
    names = list(start)
    bounds = bounds or {}
    found: dict[tuple[float, ...], float] = {}

    def reach(point: tuple[float, ...]) -> float:
        if point not in found:
            found[point] = goodness(dict(zip(names, point, strict=True)))
        return found[point]

    best = tuple(float(start[name]) for name in names)
    reach(best)
    for factor in factors:
        better = True
        while better:
            here = best
            for move in _moves(len(names)):
                point = tuple(value * factor**power for value, power in zip(here, move, strict=True))
                inside = all(
                    low <= value <= high
                    for value, (low, high) in zip(
                        point, (bounds.get(n, (0, float("inf"))) for n in names), strict=True
                    )
                )
                if inside and reach(point) > found[best]:
                    best = point
            better = best != here
    return dict(zip(names, best, strict=True)), [
        (dict(zip(names, point, strict=True)), value) for point, value in found.items()
    ]


def _moves(n: int) -> list[tuple[int, ...]]:
    """Powers of the factor: each setting alone, and all together."""
    single = [tuple(sign * (i == j) for j in range(n)) for i, sign in itertools.product(range(n), (1, -1))]
    return single + ([(1,) * n, (-1,) * n] if n > 1 else [])
