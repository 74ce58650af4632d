"""Splits into a train part and a hold-out, over the same users and items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.interactions import Interactions
from sparserec_np.data.pairs import canonical_csr, stable_order
from sparserec_np.errors import DataError, SettingError

# Interactions that are looked up at a time.
_PART = 1 << 20


def split_random(
    interactions: Interactions,
    fraction: float = 0.2,
    random_state: int | np.random.Generator | None = None,
    allow_unknown: bool = False,
    n_users: int | None = None,
    least: int = 1,
) -> tuple[Interactions, Interactions]:
    """Hold out a random share of each user's interactions.

    Of a user's n interactions ``fraction * n`` are held out, rounded to the nearest whole number, halves up.

    Parameters
    ----------
    interactions : Interactions
        What to split; not modified.
    fraction : float
        Share to hold out, above 0 and below 1.
    random_state : int, Generator or None
        Seed; the same one gives the same split.
    allow_unknown : bool
        Whether the hold-out may have users and items that the train part has no interaction of. If not,
        every user keeps one interaction at least, and of an item that would be held out entirely one
        interaction, the first in random order, goes back to the train part.
    n_users : int or None
        Hold out from so many random users at most, and leave all of the others' interactions in the train
        part; None for all users.
    least : int
        Hold out only from users who have so many interactions.

    Returns
    -------
    train, held_out : Interactions
        Of the same shape and ids as `interactions`.

    Raises
    ------
    SettingError
        If `fraction`, `n_users` or `least` is out of its range.

    Examples
    --------
    >>> from sparserec_np.data import make_interactions, split_random
    >>> interactions = make_interactions(50, 40, 1000, random_state=0)
    >>> train, held_out = split_random(interactions, 0.2, random_state=0)
    >>> train.n_interactions + held_out.n_interactions
    1000
    """
    if not 0 < fraction < 1:
        raise SettingError(f"fraction is {fraction}; expected a share above 0 and below 1")
    if n_users is not None and n_users < 1:
        raise SettingError(f"n_users is {n_users}; expected 1 or more, or None for all users")
    if least < 1:
        raise SettingError(f"least is {least}; expected 1 or more, which is all users")
    rng = np.random.default_rng(random_state)
    lengths = np.diff(interactions.user_items.indptr).astype(np.int64)
    n_held = np.floor(lengths * fraction + 0.5).astype(np.int64)
    n_held[lengths < least] = 0
    among = np.flatnonzero(lengths >= least)
    if n_users is not None and n_users < len(among):
        n_held[rng.choice(among, len(among) - n_users, replace=False)] = 0
    n = interactions.n_interactions
    kind: Any = np.int32 if n <= np.iinfo(np.int32).max else np.int64
    order = np.arange(n, dtype=kind)
    rng.shuffle(order)
    return _hold_out_last(interactions, order, n_held, allow_unknown)


def split_last(
    interactions: Interactions, n: int = 1, allow_unknown: bool = False
) -> tuple[Interactions, Interactions]:
    """Hold out each user's latest interactions.

    Of equal times, that with the larger item row counts as the later.

    Parameters
    ----------
    interactions : Interactions
        What to split, with times; not modified.
    n : int
        How many to hold out for each user, 1 or more.
    allow_unknown : bool
        Whether the hold-out may have users and items that the train part has no interaction of. If not,
        every user keeps one interaction at least, and of an item that would be held out entirely the
        earliest interaction goes back to the train part.

    Returns
    -------
    train, held_out : Interactions
        Of the same shape and ids as `interactions`.

    Raises
    ------
    DataError
        If there are no times.
    SettingError
        If `n` is out of its range.
    """
    if interactions.times is None:
        raise DataError(
            "these interactions have no times; expected one for each, to tell which came last; give a time "
            "column, or use split_random"
        )
    if n < 1:
        raise SettingError(f"n is {n}; expected 1 or more")
    lengths = np.diff(interactions.user_items.indptr).astype(np.int64)
    order = np.argsort(interactions.times, kind="stable")
    return _hold_out_last(interactions, order, np.minimum(lengths, n), allow_unknown)


def _hold_out_last(
    interactions: Interactions,
    order: NDArray[np.signedinteger],
    n_held: NDArray[np.int64],
    allow_unknown: bool,
) -> tuple[Interactions, Interactions]:
    """Hold out the last `n_held` interactions of each user; `order` names all, the earliest first."""
    lengths = np.diff(interactions.user_items.indptr).astype(np.int64)
    if not allow_unknown:
        n_held = np.minimum(n_held, np.maximum(lengths - 1, 0))
    is_held = np.repeat(n_held > 0, lengths)
    # Of users who have nothing to give nothing more is looked at; there may be many of them.
    order = np.concatenate([part[is_held[part]] for part in _parts(order)])
    givers = np.flatnonzero(n_held)
    rows = np.repeat(np.arange(interactions.n_users, dtype=np.int32), lengths)
    within_rows = order[stable_order(rows[order], interactions.n_users)]
    del rows
    # Whose last ones are held out begin there in it.
    first_held = np.cumsum(lengths[givers]) - n_held[givers]
    is_held[within_rows] = np.arange(order.size) >= np.repeat(first_held, lengths[givers])
    if not allow_unknown:
        is_held[_earliest_of_unknown_items(interactions, order, is_held)] = False
    indptr = interactions.user_items.indptr
    n_held_before = np.searchsorted(np.flatnonzero(is_held), indptr)
    held_out = _select(interactions, is_held, n_held_before)
    np.logical_not(is_held, out=is_held)
    return _select(interactions, is_held, indptr - n_held_before), held_out


def _parts(array: NDArray[Any]) -> list[NDArray[Any]]:
    """Cut an array into parts: NumPy makes a copy of every index, in eight bytes."""
    return [array[start : start + _PART] for start in range(0, max(1, array.size), _PART)]


def _earliest_of_unknown_items(
    interactions: Interactions, order: NDArray[np.signedinteger], is_held: NDArray[np.bool_]
) -> NDArray[np.signedinteger]:
    """Return the place of the earliest interaction of each item that would be held out entirely."""
    items = interactions.user_items.indices
    known = np.zeros(interactions.n_items, dtype=np.bool_)
    for part, held in zip(_parts(items), _parts(is_held), strict=True):
        known[part[~held]] = True
    places = order[~known[items[order]]]
    _, first = np.unique(items[places], return_index=True)
    return places[first]


def _select(
    interactions: Interactions, chosen: NDArray[np.bool_], indptr: NDArray[np.signedinteger]
) -> Interactions:
    """Return the chosen interactions, over the same users and items, each user's from `indptr` on."""
    user_items = interactions.user_items
    part = canonical_csr(user_items.data[chosen], user_items.indices[chosen], indptr, user_items.shape)
    times = None if interactions.times is None else interactions.times[chosen]
    return replace(interactions, user_items=part, times=times)
