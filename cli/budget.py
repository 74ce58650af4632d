"""A width, density and precision for which the model file fits into a number of bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparserec_np.errors import SettingError

from .output import size

if TYPE_CHECKING:
    from sparserec_np.runtime import ModelData, TableData

# The header: names, settings, metrics. It takes some three kilobytes.
_HEADER = 5000
_VALUE_BYTES = {"float32": 4, "float16": 2, "int8": 1}
# Trained entries lie closer together than random ones: on Gowalla, at width 512, they take a twentieth less.
# What does not fit in the end is trimmed.
_CLOSER = 0.95
# Item-item weights are a table of as many columns as there are items, each with 8 bytes of its own. They are
# tried where so large a share of the entries still fits as would fit into a table.
_ENOUGH = 0.85
# Above it, a wider table of users and items uses the same entries better. 145,000 entries on Gowalla, NDCG@20
# on a validation split: 0.067 at width 32 (density 0.064), 0.083 at 64 (0.032), 0.095 at 128 (0.016).
_MOST_DENSITY = 0.02
# At 256 it is 0.101, but longer gaps take a third of the entries away again.
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
    weights : bool
        Whether item-item weights may be a part.
    reasons : list of str
        Why, for people.
    """

    dim: int
    density: float
    precision: str
    seen: bool
    weights: bool
    reasons: list[str]

    @property
    def parts(self) -> str:
        """The sums of parts to choose among."""
        tables = ("table", "linear", "table+linear") if self.weights else ("table",)
        ends = ("", "+neighbours") if self.seen else ("",)
        return ",".join(table + end for table in tables for end in ends)


def choose(
    interactions: Any,
    max_bytes: int,
    *,
    dim: int,
    may_widen: bool,
    precision: str | None,
    biases: bool,
) -> Choice:
    """Choose width, density and precision of a model with a row for each user and item.

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
    return Choice(dim, density, precision, seen, False, reasons)


def choose_items(
    interactions: Any,
    max_bytes: int,
    *,
    dim: int,
    widest: int,
    precision: str | None,
    may_weigh: bool = False,
) -> Choice:
    """Choose density and precision of a model whose users are made of their items; the rest, as `choose`.

    Which width such entries are worth most in, the training finds out on held-out interactions. So their
    number is what is expected to fit at the widest, where gaps are longest; `trim` leaves out the smallest of
    them to the last byte.
    Without seen items the file knows no users: whoever asks brings a history. On Gowalla they would take a
    megabyte, for 500 KB of tables (benchmarks/budget.py measures what bytes are best spent on).

    Parameters
    ----------
    interactions : Interactions
    max_bytes : int
    dim : int
        Width by which the density is counted.
    widest : int
        Most that the table may be wide.
    precision : str or None
        Taken if given.
    may_weigh : bool
        Whether the model may be item-item weights, or have them beside the table, if that takes few bytes.

    Raises
    ------
    SettingError
        If nothing fits; it names the least that works.
    """
    precision = precision or "int8"
    n_items = interactions.n_items
    fixed = _fixed_bytes(interactions, biases=False, users=False)
    about_users = _seen_bytes(interactions) + _id_bytes(interactions.users)
    least = fixed + _item_table_bytes(n_items, n_items, widest, precision)
    if max_bytes < least:
        raise SettingError(
            f"max_bytes is {max_bytes:,}; expected at least {least:,} for {n_items:,} items with an entry "
            f"each: ids, popularity and settings alone take {fixed:,}"
        )
    seen = max_bytes - fixed - about_users >= max(max_bytes / 2, least - fixed)
    room = max_bytes - fixed - (about_users if seen else 0)
    n_positions = (interactions.n_users + n_items) * dim

    def fitting(width: int) -> int:
        most = min(n_items * width, n_positions)
        return _most(most, lambda n: _CLOSER * _item_table_bytes(n_items, n, width, precision) <= room)

    entries, beside_weights = fitting(widest), fitting(widest + n_items)
    weights = may_weigh and beside_weights >= _ENOUGH * entries
    if weights:
        entries = beside_weights
    reasons = [
        f"{size(fixed)} for ids, popularity and settings; {size(room)} for the item table",
        f"{precision} values: with its place an entry takes "
        f"{_item_table_bytes(n_items, entries, widest, precision) / max(entries, 1):.1f} bytes",
        f"{entries:,} entries at first, {entries / n_items:.1f} an item; "
        + (
            f"held-out interactions choose the width, {widest} at most" if widest > dim else f"width {widest}"
        ),
        f"what users were trained on, {size(about_users)}, is "
        + ("kept" if seen else "left out, and users with it: ask by history=[item, ...]"),
    ]
    return Choice(dim, entries / n_positions, precision, seen, weights, reasons)


def trim(model: ModelData, precision: str, max_bytes: int) -> ModelData:
    """Leave out the smallest entries of the item table, as few as it takes to fit."""
    from sparserec_np.runtime import save_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.srec")
        while True:
            save_model(path, model, precision)
            surplus = path.stat().st_size - max_bytes
            if surplus <= 0 or not model.items.nnz:
                return model
            dropped = 1 + surplus // (1 + _VALUE_BYTES[precision])
            model = replace(model, items=_largest(model.items, max(model.items.nnz - dropped, 0)))


def _largest(table: TableData, n: int) -> TableData:
    """Keep the n entries of largest magnitude; of equal ones, the first."""
    from sparserec_np.runtime import TableData

    kept = np.zeros(table.nnz, bool)
    kept[np.argsort(-np.abs(table.values), kind="stable")[:n]] = True
    before = np.concatenate([[0], np.cumsum(kept)])
    return TableData(before[table.indptr], table.indices[kept], table.values[kept], table.dim)


def _item_table_bytes(n_items: int, entries: int, width: int, precision: str) -> int:
    """Bytes that an item table takes by its columns, if its entries lie anywhere."""
    # The share of gaps that are as long: those of entries drawn at random.
    empty = max(1 - entries / (n_items * width), 0.0)
    longer = entries * sum(empty**gap for gap in (1 << 7, 1 << 14, 1 << 21))
    scales = n_items if precision == "int8" else 0
    return 8 * width + 4 + scales + round(longer) + entries * (1 + _VALUE_BYTES[precision])


def _entries(interactions: Any, room: int, dim: int, precision: str) -> int:
    """Most entries whose tables fit into `room` bytes."""
    most = (interactions.n_users + interactions.n_items) * dim
    return _most(most, lambda n: _table_bytes(interactions, n, dim, precision) <= room)


def _most(limit: int, fits: Callable[[int], bool]) -> int:
    """Largest number up to `limit` that fits, by bisection."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _table_bytes(interactions: Any, entries: int, dim: int, precision: str) -> int:
    """Upper bound of the bytes of both tables in a file."""
    n_users, n_items = interactions.n_users, interactions.n_items
    lengths = n_users * (1 if dim < 256 else 2) + 4 * (n_users // 64 + 2) + 8 * dim + 4
    scales = n_users + n_items if precision == "int8" else 0
    # A gap takes a byte more for each seven bits; with the entries behind them, those of a row or a column
    # add up to its length at most.
    longer = sum(
        min(entries, n_users * (dim // (gap + 1)) + dim * (n_items // (gap + 1)))
        for gap in (1 << 7, 1 << 14, 1 << 21)
    )
    return lengths + scales + longer + entries * (1 + _VALUE_BYTES[precision])


def _fixed_bytes(interactions: Any, biases: bool, users: bool = True) -> int:
    from sparserec_np.runtime.model_file import popularity_tensors

    popularity = np.bincount(interactions.user_items.indices, minlength=interactions.n_items)
    return (
        _HEADER
        + _id_bytes(interactions.items)
        + (_id_bytes(interactions.users) if users else 0)
        + sum(array.nbytes for array in popularity_tensors(popularity).values())
        + 4 * biases * (interactions.n_users + interactions.n_items)
    )


def _id_bytes(ids: Any) -> int:
    return sum(array.nbytes for array in ids.tensors().values())


def _seen_bytes(interactions: Any) -> int:
    from sparserec_np.runtime.packing import pack

    parts = pack(interactions.user_items.indptr, interactions.user_items.indices)
    return sum(part.nbytes for part in parts) + 4 * (interactions.n_users // 64 + 2)
