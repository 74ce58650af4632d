"""Synthetic interactions with planted tastes, a long tail and noise.

Every user and every item belongs to two tastes, mainly to the first. A user picks one of the own tastes,
then an item of that taste in proportion to the item's popularity; a share of the picks is noise instead.
A model that finds the tastes therefore beats one that only knows what is popular.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparserec_np.data.interactions import Interactions
from sparserec_np.data.pairs import canonical_csr
from sparserec_np.data.summary import ReadSummary
from sparserec_np.errors import SettingError
from sparserec_np.runtime.ids import IdMap

_MAIN_SHARE = (0.7, 1.0)  # how far a user or item belongs to its main taste, uniformly drawn
_ROUNDS = 12  # of drawing anew what was drawn before; what is then missing is drawn among the unseen
_CHUNK = 1 << 20  # pairs drawn at a time, as drawing takes a dozen numbers for each
_YEAR = 365.0 * 24 * 3600
_FIRST_TIME = 1_600_000_000.0


class _Tastes(NamedTuple):
    """To which two tastes each user or item belongs, and how far to the first."""

    main: NDArray[np.int32]
    second: NDArray[np.int32]
    main_share: NDArray[np.float32]


def make_interactions(
    n_users: int,
    n_items: int,
    n_interactions: int,
    *,
    n_tastes: int = 10,
    noise: float = 0.1,
    popularity_exponent: float = 1.0,
    activity_exponent: float = 0.5,
    ratings: bool = False,
    times: bool = False,
    random_state: int | np.random.Generator | None = None,
) -> Interactions:
    """Generate interactions with planted tastes.

    Parameters
    ----------
    n_users, n_items : int
        Shape of ``user_items``. Every user has an interaction; an item of the long tail may have none.
    n_interactions : int
        Number of distinct pairs, from `n_users` to ``n_users * n_items``; met exactly.
    n_tastes : int
        Number of latent groups.
    noise : float
        Share of interactions with items drawn uniformly, whatever the taste; from 0 to 1.
    popularity_exponent, activity_exponent : float
        An item's popularity, a user's number of interactions fall with the rank to this power (Zipf's
        law); 0 makes all alike.
    ratings : bool
        Whether to give ratings from 1 to 5, higher where tastes agree.
    times : bool
        Whether to give times, Unix seconds within a year.
    random_state : int, Generator or None
        Seed; the same one gives the same interactions.

    Returns
    -------
    Interactions
        With ids that are row and column numbers.

    Raises
    ------
    SettingError
        If a setting is out of its range, or so many distinct pairs are impossible.
    """
    _check(n_users, n_items, n_interactions, n_tastes, noise, popularity_exponent, activity_exponent)
    rng = np.random.default_rng(random_state)
    user_tastes, item_tastes = _draw_tastes(n_users, n_tastes, rng), _draw_tastes(n_items, n_tastes, rng)
    popularity = _zipf(n_items, popularity_exponent, rng)
    activity = _apportion(_zipf(n_users, activity_exponent, rng), n_interactions, n_items)
    draw = _ItemSampler(user_tastes, item_tastes, popularity, n_tastes)
    keys = _draw_pairs(activity, n_items, draw, noise, rng)

    columns = (keys % n_items).astype(np.int32)
    indptr = np.zeros(n_users + 1, dtype=np.int64)
    np.cumsum(activity, out=indptr[1:])
    data = np.ones(n_interactions, dtype=np.float32)
    if ratings:
        users = np.repeat(np.arange(n_users, dtype=np.int32), activity)
        data = _draw_ratings(users, columns, user_tastes, item_tastes, rng)
    return Interactions(
        canonical_csr(data, columns, indptr, (n_users, n_items)),
        IdMap.range(n_users, entity="user"),
        IdMap.range(n_items, entity="item"),
        np.floor(_FIRST_TIME + _YEAR * rng.random(n_interactions)) if times else None,
        ratings,
        ReadSummary(source="a synthetic generator", n_rows=n_interactions),
    )


class _ItemSampler:
    """Draws items for users: a taste of the user, then an item of that taste by popularity.

    The items of each taste lie side by side with their popularity accumulated, so that one binary search
    in one array draws from any taste.
    """

    def __init__(
        self, users: _Tastes, items: _Tastes, popularity: NDArray[np.float64], n_tastes: int
    ) -> None:
        self._users = users
        tastes = np.concatenate([items.main, items.second])
        weights = np.concatenate([popularity * items.main_share, popularity * (1 - items.main_share)])
        order = np.argsort(tastes, kind="stable")
        self._items = (order % popularity.size).astype(np.int32)
        self._cumulative = np.cumsum(weights[order])
        bounds = np.searchsorted(tastes[order], np.arange(n_tastes + 1))
        self._bounds = np.append(0.0, self._cumulative)[bounds]

    def __call__(self, users: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int32]:
        tastes = np.where(
            rng.random(users.size, dtype=np.float32) < self._users.main_share[users],
            self._users.main[users],
            self._users.second[users],
        )
        low, high = self._bounds[tastes], self._bounds[tastes + 1]
        at = np.searchsorted(self._cumulative, low + (high - low) * rng.random(users.size), side="right")
        return self._items[np.minimum(at, self._items.size - 1)]


def _draw_tastes(n: int, n_tastes: int, rng: np.random.Generator) -> _Tastes:
    # In turn, then shuffled: no taste is left without users or items while there are enough of them.
    main = rng.permutation(np.arange(n, dtype=np.int32) % n_tastes)
    second = rng.integers(0, n_tastes, n, dtype=np.int32)
    return _Tastes(main, second, rng.uniform(*_MAIN_SHARE, n).astype(np.float32))


def _zipf(n: int, exponent: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return shares that fall with the rank to a power, in random order."""
    shares = rng.permutation(np.arange(1, n + 1, dtype=np.float64) ** -exponent)
    return shares / shares.sum()


def _apportion(shares: NDArray[np.float64], total: int, limit: int) -> NDArray[np.int64]:
    """Split `total` into whole numbers from 1 to `limit`, as near to `shares` as can be."""
    extra = np.zeros(shares.size)
    free = np.full(shares.size, limit > 1)
    left = float(total - shares.size)
    while left > 0.5:  # each pass fills somebody up, or ends it
        extra[free] += left * shares[free] / shares[free].sum()
        over = extra >= limit - 1
        left = float((extra[over] - (limit - 1)).sum())
        extra[over] = limit - 1
        free &= ~over
        if not free.any():
            break
    counts = 1 + np.floor(extra).astype(np.int64)
    # Largest remainders first, ties by number; whoever is at the limit has none to give.
    remainder = np.where(counts < limit, extra - np.floor(extra), -1.0)
    missing = total - int(counts.sum())
    counts[np.argsort(-remainder, kind="stable")[:missing]] += 1
    return counts


def _draw_pairs(
    activity: NDArray[np.int64],
    n_items: int,
    draw: _ItemSampler,
    noise: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw `activity` distinct items for each user; return sorted ``user * n_items + item``."""
    keys = np.empty(0, dtype=np.int64)
    missing = activity
    for _ in range(_ROUNDS):
        users = np.repeat(np.arange(activity.size, dtype=np.int32), missing)
        new = users.astype(np.int64) * n_items
        for begin in range(0, users.size, _CHUNK):
            chunk = slice(begin, begin + _CHUNK)
            items = draw(users[chunk], rng)
            is_noise = rng.random(items.size, dtype=np.float32) < noise
            items[is_noise] = rng.integers(0, n_items, int(np.count_nonzero(is_noise)), dtype=np.int32)
            new[chunk] += items
        del users
        # Of equal keys one stays. A stable sort of two sorted stretches is a merge.
        new.sort()
        keys = np.concatenate([keys, new])
        del new
        keys.sort(kind="stable")
        keys = keys[np.append(True, keys[1:] != keys[:-1])]
        if keys.size == activity.sum():
            return keys
        missing = activity - np.bincount(keys // n_items, minlength=activity.size)
    return _fill_up(keys, missing, n_items, rng)


def _fill_up(
    keys: NDArray[np.int64], missing: NDArray[np.int64], n_items: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Give each user what is missing, drawn uniformly from the items not yet drawn."""
    added = [keys]
    for user in np.flatnonzero(missing).tolist():
        low, high = np.searchsorted(keys, [user * n_items, (user + 1) * n_items])
        unseen = np.ones(n_items, dtype=np.bool_)
        unseen[keys[low:high] - user * n_items] = False
        chosen = rng.choice(np.flatnonzero(unseen), size=int(missing[user]), replace=False)
        added.append(user * n_items + chosen)
    keys = np.concatenate(added)
    keys.sort(kind="stable")
    return keys


def _draw_ratings(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    user_tastes: _Tastes,
    item_tastes: _Tastes,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Rate from 1 to 5: around 2 where no taste is shared, around 4.5 where all is."""
    agreement = np.zeros(users.size, dtype=np.float32)
    for of_user, user_share in _memberships(user_tastes):
        for of_item, item_share in _memberships(item_tastes):
            agreement += user_share[users] * item_share[items] * (of_user[users] == of_item[items])
    ratings = 2.0 + 2.5 * agreement + 0.5 * rng.standard_normal(users.size, dtype=np.float32)
    return np.clip(np.rint(ratings), 1, 5).astype(np.float32)


def _memberships(tastes: _Tastes) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    return [(tastes.main, tastes.main_share), (tastes.second, 1 - tastes.main_share)]


def _check(
    n_users: int,
    n_items: int,
    n_interactions: int,
    n_tastes: int,
    noise: float,
    popularity_exponent: float,
    activity_exponent: float,
) -> None:
    for name, count in (("n_users", n_users), ("n_items", n_items), ("n_tastes", n_tastes)):
        if count < 1:
            raise SettingError(f"{name} is {count}; expected 1 or more")
    if not 0 <= noise <= 1:
        raise SettingError(f"noise is {noise}; expected a share from 0 to 1")
    for name, exponent in (("popularity", popularity_exponent), ("activity", activity_exponent)):
        if not 0 <= exponent < np.inf:
            raise SettingError(f"{name}_exponent is {exponent}; expected a finite number, 0 or more")
    if not n_users <= n_interactions <= n_users * n_items:
        raise SettingError(
            f"n_interactions is {n_interactions}; expected from {n_users}, one for each user, to "
            f"{n_users * n_items}, all pairs of {n_users} users and {n_items} items"
        )
