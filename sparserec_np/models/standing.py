"""Where a training stands, as tensors and JSON, and a training that stands there again.

`sparserec_np.models.checkpoint` writes both to a file. What follows from the seed, the data and the settings
is not among them: it is made anew, which gives the same.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.kernels.dense import zeros_in_lines
from sparserec_np.models.outcome import Outcome, Standing
from sparserec_np.tables import SparseTable
from sparserec_np.training import Side, Trainer

Tensors = dict[str, npt.NDArray[Any]]

_TABLE_PARTS = ("indptr", "indices", "data")


def standing_to_plain(standing: Standing) -> tuple[Tensors, dict[str, Any]]:
    """Return the best tables, if they are kept, and the rest as JSON."""
    best = standing.best
    tensors: Tensors = {}
    for name, table in (("best.users", best.users), ("best.items", best.items)):
        if table is not None:
            tensors |= _table_tensors(name, table)
    return tensors, {
        "epoch": standing.epoch,
        "latest": list(standing.latest),
        "trained": list(standing.trained),
        "best": {"epoch": best.epoch, "validation": best.validation, "goodness": best.goodness},
    }


def standing_from_plain(
    plain: dict[str, Any],
    tensors: Tensors,
    shapes: tuple[tuple[int, int], tuple[int, int]],
    window: int,
    needs_users: bool,
) -> Standing:
    """Undo `standing_to_plain`; tensors are taken out of the dict.

    Parameters
    ----------
    plain, tensors
        As `standing_to_plain` made them.
    shapes : two tuples of int
        Of the user and the item table.
    window : int
        Most epochs that are averaged.
    needs_users : bool
        Whether there is a user table where there is an item table.
    """
    users, items = (
        _take_table(f"best.{name}", shape, tensors) if f"best.{name}.indptr" in tensors else None
        for name, shape in zip(("users", "items"), shapes, strict=True)
    )
    if needs_users and (users is None) != (items is None):
        raise ModelFormatError("one of the best tables is there without the other")
    best = plain["best"]
    goodness, number = plain["trained"]
    return Standing(
        plain["epoch"],
        Outcome(users, items, best["epoch"], best["validation"], best["goodness"]),
        deque(plain["latest"], maxlen=window),
        (goodness, number),
    )


def trainer_to_plain(trainer: Trainer) -> tuple[Tensors, dict[str, Any]]:
    """Return what training changes: the tensors, which are not copied, and the rest as JSON."""
    tensors: Tensors = {}
    for name, side in _named_sides(trainer):
        parameter = side.parameter
        tensors |= _table_tensors(name, parameter.table)
        tensors |= {f"{name}.optimizer.{slot}": array for slot, array in side.optimizer.state.items()}
        # Slots are numbered by rising rows; see `draw_probes`.
        tensors[f"{name}.probes"] = np.flatnonzero(parameter.slots >= 0).astype(np.int64)
        tensors[f"{name}.accumulators"] = parameter.accumulators
    generator = trainer.rng.bit_generator.state
    return tensors, {
        "step": trainer.step,
        "n_replaced": trainer.n_replaced,
        "sampler": [str(number) for number in trainer.sampler.state()],
        # JSON's readers do not take integers of 128 bits.
        "rng": [
            str(number)
            for number in (*generator["state"].values(), generator["has_uint32"], generator["uinteger"])
        ],
    }


def take_tables(
    tensors: Tensors, shapes: tuple[tuple[int, int], tuple[int, int]], needs_users: bool
) -> tuple[SparseTable, SparseTable]:
    """Take the user and the item table in training out of what `trainer_to_plain` made, and check them.

    A user table that a scorer does not need is empty.
    """
    if needs_users:
        users = _take_table("users", shapes[0], tensors)
    else:
        users = SparseTable.from_positions(np.empty(0, np.int64), shapes[0])
    return users, _take_table("items", shapes[1], tensors)


def restore_trainer(trainer: Trainer, plain: dict[str, Any], tensors: Tensors) -> None:
    """Let a trainer of the same tables stand where another one stood when it was written.

    Parameters
    ----------
    trainer : Trainer
        Newly made, of the tables that `take_tables` returned.
    plain, tensors
        As `trainer_to_plain` made them; tensors are taken out of the dict.
    """
    for name, side in _named_sides(trainer):
        parameter, table = side.parameter, side.parameter.table
        for slot, array in side.optimizer.state.items():
            array[:] = _take(f"{name}.optimizer.{slot}", tensors, array.shape, array.dtype)
        rows = _take(f"{name}.probes", tensors, None, np.dtype(np.int64))
        if len(rows) and (rows[0] < 0 or rows[-1] >= table.n_rows or (np.diff(rows) <= 0).any()):
            raise ModelFormatError(f"{name}.probes are not rising row numbers below {table.n_rows}")
        sums = _take(f"{name}.accumulators", tensors, (len(rows), table.dim), table.data.dtype)
        parameter.clear_probes()
        if len(rows):
            parameter.slots[rows] = np.arange(len(rows), dtype=np.int32)
            parameter.accumulators = zeros_in_lines(len(rows), table.dim, table.data)
            parameter.accumulators[:] = sums
    trainer.step, trainer.n_replaced = plain["step"], plain["n_replaced"]
    seed, drawn = map(int, plain["sampler"])
    trainer.sampler.restore((seed, drawn))
    state, increment, has_uint32, uinteger = map(int, plain["rng"])
    generator = dict(trainer.rng.bit_generator.state)
    generator["state"] = {"state": state, "inc": increment}
    trainer.rng.bit_generator.state = generator | {"has_uint32": has_uint32, "uinteger": uinteger}


def _named_sides(trainer: Trainer) -> list[tuple[str, Side]]:
    sides = (("users", trainer.users), ("items", trainer.items))
    return [(name, side) for name, side in sides if side is not None]


def _table_tensors(name: str, table: SparseTable) -> Tensors:
    return {f"{name}.{part}": getattr(table, part) for part in _TABLE_PARTS}


def _take_table(name: str, shape: tuple[int, int], tensors: Tensors) -> SparseTable:
    """Take a table; kernels trust it, so all of it is checked."""
    n_rows, dim = shape
    arrays = [_take(f"{name}.{part}", tensors, None, None) for part in _TABLE_PARTS]
    indptr, indices, data = arrays
    kinds = (indptr.dtype.kind, indices.dtype.kind in "iu", data.dtype.kind)
    if kinds != ("i", True, "f") or any(array.ndim != 1 for array in arrays) or len(indptr) != n_rows + 1:
        raise ModelFormatError(f"{name} is not a table of {n_rows} rows")
    try:
        return SparseTable(indptr, indices, data, dim)
    except SettingError as error:
        raise ModelFormatError(f"{name}: {error}") from None


def _take(name: str, tensors: Tensors, shape: Any, dtype: Any) -> npt.NDArray[Any]:
    array = tensors.pop(name, None)
    if array is None:
        raise ModelFormatError(f"tensor {name!r} is missing")
    if (shape is not None and array.shape != shape) or (dtype is not None and array.dtype != dtype):
        raise ModelFormatError(
            f"tensor {name!r} is {array.dtype} of shape {array.shape}; expected {dtype} of shape {shape}"
        )
    return array
