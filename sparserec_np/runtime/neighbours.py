"""Scores by neighbours: what the users who share items with a history interacted with.

The part has no trained numbers. It needs the interactions that a model file holds, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError

if TYPE_CHECKING:
    from sparserec_np.runtime.model_data import SeenItems

#: The users that count, at most: the most similar ones. It bounds the time of an answer. On the validation
#: splits of the development sets, NDCG@20 with 1,000 is within half a percent of that with all, or above it.
MOST_USERS = 1000

_RANGES = {
    "item_power": (0.0, 4.0),
    "user_power": (0.0, 4.0),
    "score_power": (0.0, 4.0),
    "weight": (0.0, 1e12),
}


@dataclass(frozen=True)
class NeighbourSettings:
    """How neighbours are weighted; see `NeighbourFilter`.

    Attributes
    ----------
    item_power : float
        How much less a popular item of the history counts.
    user_power : float
        How much less a neighbour with many items counts.
    score_power : float
        How much lower a popular item is scored.
    weight : float
        Factor of all scores of this part in the sum of parts.
    """

    item_power: float = 1.0
    user_power: float = 1.0
    score_power: float = 0.25
    weight: float = 1.0

    def as_dict(self) -> dict[str, float]:
        """Return the settings by name, as a model file holds them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Any) -> NeighbourSettings:
        """Read settings that a model file holds.

        Raises
        ------
        ModelFormatError
            For anything but one finite number in its range for each setting.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(settings, Mapping) or set(settings) != set(names):
            raise ModelFormatError(f"encoder_settings: neighbours must hold {', '.join(names)}")
        for name in names:
            least, most = _RANGES[name]
            value = settings[name]
            if type(value) not in (int, float) or not least <= value <= most:
                raise ModelFormatError(
                    f"encoder_settings: {name} of neighbours is {value!r}; expected {least:g} to {most:g}"
                )
        return cls(**settings)


class NeighbourFilter:
    r"""A linear graph filter over the interactions :math:`R`.

    .. math:: s = w \, x D_i^{-a} R^T D_u^{-c} R D_i^{-b}

    for a history :math:`x`, with the numbers of interactions of items and users in :math:`D_i` and
    :math:`D_u`. The middle step gives each user a similarity to the history; only the `MOST_USERS` largest
    of them go on, equal ones by row. RP3beta [1]_ and the propagation of graph models are of this form.

    What is derived from the interactions is made when it is first needed and then kept. Threads that need
    it at once may each make it; they make the same.

    Parameters
    ----------
    seen : SeenItems
        The interactions, users in rows.
    n_items : int
    settings : NeighbourSettings
        The exponents :math:`a` (``item_power``), :math:`c` (``user_power``), :math:`b` (``score_power``) and
        the weight :math:`w`.

    References
    ----------
    .. [1] B. Paudel et al., "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive
       Applications", ACM TiiS 7 (1), 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sparserec_np.runtime import SeenItems
    >>> seen = SeenItems(np.array([0, 2, 4]), np.array([0, 1, 1, 2]))  # users 0 and 1 share item 1
    >>> scores = NeighbourFilter(seen, 3, NeighbourSettings(score_power=0.0)).scores(np.array([1]))
    >>> scores.tolist()
    [0.25, 0.5, 0.25]
    """

    def __init__(self, seen: SeenItems, n_items: int, settings: NeighbourSettings) -> None:
        self.seen = seen
        self.n_items = n_items
        self.settings = settings

    @cached_property
    def by_user(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Where each user's items begin, and the items, ascending; shapes (n_users + 1,) and (nnz,)."""
        indptr, indices = self.seen
        return indptr.astype(np.int64), indices.astype(np.int32)

    @cached_property
    def by_item(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Where each item's users begin, and the users, ascending; shapes (n_items + 1,) and (nnz,)."""
        indptr, items = self.by_user
        starts = np.zeros(self.n_items + 1, np.int64)
        np.cumsum(np.bincount(items, minlength=self.n_items), out=starts[1:])
        # NumPy's stable sort of short integers is a radix sort, and most catalogues are that short.
        keys = items.astype(np.uint16) if self.n_items <= 1 << 16 else items
        order = np.argsort(keys, kind="stable")
        users = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
        return starts, users[order]

    @cached_property
    def weights(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Weight of each item of a history, of each user, and of each item that is scored."""
        of_items = np.maximum(np.diff(self.by_item[0]), 1.0)
        of_users = np.maximum(np.diff(self.by_user[0]), 1.0)
        settings = self.settings
        return (
            of_items**-settings.item_power,
            of_users**-settings.user_power,
            settings.weight * of_items**-settings.score_power,
        )

    def scores(
        self, rows: NDArray[np.integer], weights: NDArray[np.float64] | None = None
    ) -> NDArray[np.float32]:
        """Score all items for a history.

        Parameters
        ----------
        rows : ndarray of int
            Rows of the history's items; one that is repeated counts repeatedly.
        weights : ndarray of float64, optional
            How much each counts; 1 by default.

        Returns
        -------
        ndarray of float32, shape (n_items,)
            Sums are made in float64: the users in the order of the history, the items in that of the users.
        """
        of_history, of_users, of_scores = self.weights
        shares = of_history[rows]
        if weights is not None:
            shares = shares * weights
        users, each = _gathered(*self.by_item, rows, shares)
        found, similarity = _summed(users, each, len(of_users))
        similarity *= of_users[found]
        if len(found) > MOST_USERS:
            kept = _largest(similarity, MOST_USERS)
            found, similarity = found[kept], similarity[kept]
        items, each = _gathered(*self.by_user, found, similarity)
        return (np.bincount(items, each, self.n_items) * of_scores).astype(np.float32)


def _gathered(
    starts: NDArray[np.int64], members: NDArray[np.int32], rows: NDArray[np.integer], shares: Any
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the members of some rows, one row after the other, and for each the share of its row."""
    begins = starts[rows]
    lengths = starts[rows + 1] - begins
    ends = np.cumsum(lengths)
    entries = np.repeat(begins - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
    return members[entries], np.repeat(shares, lengths)


def _summed(
    users: NDArray[np.int32], shares: NDArray[np.float64], n_users: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Add up the shares of each user; rows, ascending, and sums of the users that occur."""
    if n_users <= 8 * len(users):
        counts = np.bincount(users, minlength=n_users)
        found = np.flatnonzero(counts)
        return found, np.bincount(users, shares, n_users)[found].astype(np.float64)
    # Among many more users, sorting those that occur is cheaper. The order of the additions is the same.
    found, which = np.unique(users, return_inverse=True)
    return found.astype(np.intp), np.bincount(which, shares, len(found)).astype(np.float64)


def _largest(values: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Return the positions, ascending, of the n largest values; of equal ones the first."""
    least = np.partition(values, len(values) - n)[len(values) - n]
    kept = values > least
    level = np.flatnonzero(values == least)
    kept[level[: n - np.count_nonzero(kept)]] = True
    return np.flatnonzero(kept)
