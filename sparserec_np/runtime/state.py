"""What `Recommender.update` was told, in a small file beside the model file.

The same container as a model's, with the people and the items by their own ids: rows would mean other
items to a model that was trained anew. Tensors, as in `sparserec_np.runtime.model_file`::

    lengths   uint, (n_users,)   how many items each person has
    items     uint, (n,)         which ones, as positions among item_ids, in the order they were told
    weights   float64, (n,)      the weight, or rating, of each
    [user_ids and item_ids: see IdMap]

The metadata are format ("srec-state"), format_version ("1"), user_ids and item_ids (how ids are stored).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, shown
from sparserec_np.runtime.contents import Contents
from sparserec_np.runtime.format import naming, read_tensors, write_tensors
from sparserec_np.runtime.ids import Id, IdMap, smallest_integers

_VERSION = "1"
_KINDS = {"lengths": "u", "items": "u", "weights": "f"}

#: The new interactions of a person: item and weight, in the order they were told.
History = Mapping[Id, float]


def write_state(path: str | os.PathLike[str], people: Mapping[Id, History]) -> None:
    """Write everybody's new interactions, whole or not at all.

    Parameters
    ----------
    path : path-like
        Replaced if it exists.
    people : mapping of id to mapping of item id to weight
        Ids of one kind, and items of one kind.
    """
    users = sorted(people)
    items = sorted({item for history in people.values() for item in history})
    row_of = {item: row for row, item in enumerate(items)}
    told = [(row_of[item], weight) for user in users for item, weight in people[user].items()]
    maps = {
        "user_ids": IdMap.from_ids(users, entity="user"),
        "item_ids": IdMap.from_ids(items, entity="item"),
    }
    tensors = {
        "lengths": smallest_integers(np.array([len(people[user]) for user in users], np.int64)),
        "items": smallest_integers(np.array([row for row, _ in told], np.int64)),
        "weights": np.array([weight for _, weight in told], np.float64),
    }
    metadata = {"format": "srec-state", "format_version": _VERSION}
    for name, ids in maps.items():
        metadata[name] = ids.encoding
        tensors |= {f"{name}.{part}": array for part, array in ids.tensors().items()}
    write_tensors(path, tensors, metadata)


def read_state(path: str | os.PathLike[str]) -> dict[Id, dict[Id, float]]:
    """Read what `write_state` wrote, and check all of it.

    Raises
    ------
    ModelFormatError
        If the file is damaged or foreign; the message names the file and the field.
    OSError
        If the file cannot be read.
    """
    tensors, metadata = read_tensors(path, mmap=False)
    with naming(str(path)):
        return _people(tensors, metadata)


def _people(tensors: dict[str, NDArray[Any]], metadata: dict[str, str]) -> dict[Id, dict[Id, float]]:
    for name, expected in (("format", "srec-state"), ("format_version", _VERSION)):
        if metadata.get(name) != expected:
            raise ModelFormatError(
                f"{name} is {shown(metadata.get(name))}; expected {expected!r}: "
                "give a file that save_state of this version wrote"
            )
    contents = Contents(tensors, metadata)
    lengths, rows, weights = (contents.take(name, kind) for name, kind in _KINDS.items())
    if int(lengths.sum(dtype=np.int64)) != len(rows) or len(weights) != len(rows):
        raise ModelFormatError(
            f"lengths add up to {int(lengths.sum(dtype=np.int64))}, "
            f"for {len(rows)} items and {len(weights)} weights; expected as many of each"
        )
    n_items = int(rows.max()) + 1 if len(rows) else 0
    # A range is bounded, too: it has as many ids as there are lengths, or items that somebody has.
    users, items = contents.take_ids("user", len(lengths)), contents.take_ids("item", n_items)
    contents.finish("a state")
    if not np.isfinite(weights).all():
        raise ModelFormatError("weights are not finite")
    told = iter(zip(rows.tolist(), weights.tolist(), strict=True))
    people = {}
    for user, length in enumerate(lengths.tolist()):
        people[users[user]] = {items[row]: weight for row, weight in (next(told) for _ in range(length))}
    return people
