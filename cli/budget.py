"""A width, density and precision for which the model file fits into a number of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparserec_np.errors import SettingError

from .output import size

# The header: names, settings, metrics. It takes some three kilobytes.
_HEADER = 5000
_VALUE_BYTES = {"float32": 4, "float16": 2, "int8": 1}
# Above it, a wider table uses the same entries better. 145,000 entries on Gowalla, NDCG@20 on a validation
# split: 0.067 at width 32 (density 0.064), 0.083 at 64 (0.032), 0.095 at 128 (0.016).
_MOST_DENSITY = 0.02
# At 256 it is 0.101, but longer gaps take a third of the entries away again, and the factorization that finds
# the mask takes minutes.
_MOST_DIM = 128


@dataclass(frozen=True)
class Choice:
    """What fits.

    Attributes
    ----------
    dim, density, precision
        Of the tables.
    seen : bool
        Whether the file holds what the users were trained on.
    reasons : list of str
        Why, for people.
    """

    dim: int
    density: float
    precision: str
    seen: bool
    reasons: list[str]


def choose(
    interactions: Any,
    max_bytes: int,
    *,
    dim: int,
    may_widen: bool,
    precision: str | None,
    biases: bool,
) -> Choice:
    """Choose width, density and precision so that the file as written fits.

    Every size is an upper bound, so that it fits whatever pattern the training arrives at. Values are int8
    unless another precision is asked for: it costs no recall and leaves room for twice the entries. The
    items that users were trained on are kept where the tables still have half of the bytes.

    Parameters
    ----------
    interactions : Interactions
    max_bytes : int
    dim : int
        Width; with `may_widen`, doubled while more than a fiftieth of the positions would be stored, since
        the same number of entries is worth more in a wider table.
    may_widen : bool
    precision : str or None
        Taken if given.
    biases : bool
        Whether the model has a bias for each user and item.

    Raises
    ------
    SettingError
        If nothing fits; it names the least that works.
    """
    precision = precision or "int8"
    n_rows = interactions.n_users + interactions.n_items
    fixed = _fixed_bytes(interactions, biases)
    seen_bytes = _seen_bytes(interactions)
    least = fixed + _table_bytes(interactions, n_rows, dim, precision)
    if max_bytes < least:
        raise SettingError(
            f"max_bytes is {max_bytes:,}; expected at least {least:,} for {interactions.n_users:,} users and "
            f"{interactions.n_items:,} items with an entry each: ids, popularity and settings alone take "
            f"{fixed:,}"
        )
    seen = max_bytes - fixed - seen_bytes >= max(max_bytes / 2, least - fixed)
    room = max_bytes - fixed - (seen_bytes if seen else 0)
    entries = _entries(interactions, room, dim, precision)
    widest = min(_MOST_DIM, interactions.n_users, interactions.n_items) if may_widen else dim
    while entries > _MOST_DENSITY * n_rows * dim and 2 * dim <= widest:
        dim *= 2
        entries = _entries(interactions, room, dim, precision)
    density = entries / (n_rows * dim)
    reasons = [
        f"{size(fixed)} for ids, popularity and settings; {size(room)} for the tables",
        f"{precision} values: with their columns {1 + _VALUE_BYTES[precision]} bytes an entry",
        f"dim {dim}, density {density:.4g}: {entries:,} entries, {entries / n_rows:.1f} a row",
        f"what users were trained on, {size(seen_bytes)}, is "
        + ("kept" if seen else "left out: it would take more than half of the bytes"),
    ]
    return Choice(dim, density, precision, seen, reasons)


def _entries(interactions: Any, room: int, dim: int, precision: str) -> int:
    """Most entries whose tables fit into `room` bytes, by bisection."""
    low, high = 0, (interactions.n_users + interactions.n_items) * dim
    while low < high:
        middle = (low + high + 1) // 2
        if _table_bytes(interactions, middle, dim, precision) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _table_bytes(interactions: Any, entries: int, dim: int, precision: str) -> int:
    """Upper bound of the bytes of both tables in a file."""
    n_users, n_items = interactions.n_users, interactions.n_items
    lengths = n_users * (1 if dim < 256 else 2) + 4 * dim
    scales = n_users + n_items if precision == "int8" else 0
    # A gap takes a byte more for each seven bits; with the entries behind them, those of a row or a column
    # add up to its length at most.
    longer = sum(
        min(entries, n_users * (dim // (gap + 1)) + dim * (n_items // (gap + 1)))
        for gap in (1 << 7, 1 << 14, 1 << 21)
    )
    return lengths + scales + longer + entries * (1 + _VALUE_BYTES[precision])


def _fixed_bytes(interactions: Any, biases: bool) -> int:
    from sparserec_np.runtime.ids import smallest_integers

    ids = (interactions.users, interactions.items)
    popularity = np.bincount(interactions.user_items.indices, minlength=interactions.n_items)
    return (
        _HEADER
        + sum(array.nbytes for id_map in ids for array in id_map.tensors().values())
        + smallest_integers(popularity).nbytes
        + 4 * biases * (interactions.n_users + interactions.n_items)
    )


def _seen_bytes(interactions: Any) -> int:
    from sparserec_np.runtime.packing import pack

    parts = pack(interactions.user_items.indptr, interactions.user_items.indices)
    return sum(part.nbytes for part in parts)
