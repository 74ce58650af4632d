"""The model file, ``.srec``: a model's arrays in a safetensors container.

Version 1 holds these tensors, those in brackets only where the model has them; ``uint`` is the smallest
of uint8, uint16 and uint32 that holds the numbers (int32 or int64 where they need it)::

    items.indptr    uint, (n_items + 1,)   where the rows of the item table start
    items.indices   uint, (item_nnz,)      columns, rising within a row
    items.values    float32, (item_nnz,)
    [users.indptr, users.indices, users.values: the user table likewise]
    [seen.indptr    uint, (n_users + 1,)   the training items of each user
     seen.indices   uint]                  item rows, rising within a user
    popularity      uint or float32, (n_items,)   interactions of each item in the training data
    [item_bias      float32, (n_items,)]
    [user_bias      float32, (n_users,)]
    [item_ids.numbers                uint, (n_items,)       if item_ids is "int"
     item_ids.text, item_ids.offsets uint8; uint, (n_items + 1,)   if item_ids is "str": UTF-8]
    [user_ids: likewise]

and this metadata, every value a string::

    format            "srec"
    format_version    "1"
    precision         of the tables' values: "float32"
    dim, n_users, n_items, user_nnz, item_nnz, density
    offset            mean rating of a rating model
    user_ids, item_ids   how ids are stored: "range" (the row numbers), "int" or "str"
    encoder, encoder_settings   how a person is encoded from a history; settings as JSON
    info              how the model came to be, as JSON

Integers are narrowed on the way into a file, so a loaded model has the same numbers, though it may have
them in shorter types. The same model gives the same bytes: nothing here depends on the clock.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.runtime.format import parse_json, read_tensors, shown, write_tensors
from sparserec_np.runtime.ids import IdMap, smallest_integers
from sparserec_np.runtime.model_data import MAX_DIM, ModelData, SeenItems, TableData

FORMAT_VERSION = "1"
_PRECISION = "float32"

Tensors = dict[str, NDArray[Any]]


def save_model(path: str | os.PathLike[str], data: ModelData) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    path : path-like
        By custom it ends in ``.srec``. An existing file is replaced.
    data : ModelData
        The model. What `load_model` would refuse is refused here.

    Raises
    ------
    ModelFormatError
        If the arrays contradict each other.
    SettingError
        If `info` is no JSON.
    OSError
        If the file cannot be written.
    """
    data.check()
    tensors = _table_tensors("items", data.items)
    if data.users is not None:
        tensors |= _table_tensors("users", data.users)
    if data.seen is not None:
        tensors["seen.indptr"] = smallest_integers(data.seen.indptr)
        tensors["seen.indices"] = smallest_integers(data.seen.indices)
    counts = data.popularity
    tensors["popularity"] = counts if counts.dtype.kind == "f" else smallest_integers(counts)
    for name in ("item_bias", "user_bias"):
        if (bias := getattr(data, name)) is not None:
            tensors[name] = bias
    for name in ("user_ids", "item_ids"):
        tensors |= {f"{name}.{part}": array for part, array in getattr(data, name).tensors().items()}
    metadata = {
        "format": "srec",
        "format_version": FORMAT_VERSION,
        "precision": _PRECISION,
        "offset": repr(float(data.offset)),
        "user_ids": data.user_ids.encoding,
        "item_ids": data.item_ids.encoding,
        "encoder": data.encoder,
        "encoder_settings": _json("encoder_settings", data.encoder_settings),
        "info": _json("info", data.info),
    } | _counts(data)
    write_tensors(path, tensors, metadata)


def load_model(path: str | os.PathLike[str]) -> ModelData:
    """Map a model file into memory and check all of it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    ModelData
        Its arrays are read-only views of the file.

    Raises
    ------
    ModelFormatError
        If the file is damaged or foreign; the message names the file and the field.
    OSError
        If the file cannot be read.
    """
    tensors, metadata = read_tensors(path)
    try:
        return _build(tensors, metadata)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None


def _build(tensors: Tensors, metadata: dict[str, str]) -> ModelData:
    if metadata.get("format") != "srec":
        raise ModelFormatError(
            f"format is {shown(metadata.get('format'))}; expected 'srec': "
            "the file holds tensors, but no model of sparserec_np"
        )
    if metadata.get("format_version") != FORMAT_VERSION:
        raise ModelFormatError(
            f"format_version is {shown(metadata.get('format_version'))}; "
            f"this sparserec_np reads {FORMAT_VERSION!r}: another version of it may read the file"
        )
    if metadata.get("precision") != _PRECISION:
        raise ModelFormatError(f"precision is {shown(metadata.get('precision'))}; expected {_PRECISION!r}")
    # What is taken is used; what is left in the end has no place in a model.
    left = dict(tensors)
    dim = _dim(metadata)
    items = _take_table(left, "items", dim)
    users = _take_table(left, "users", dim) if _holds(left, "users") else None
    seen = None
    if _holds(left, "seen"):
        seen = SeenItems(_take(left, "seen.indptr"), _take(left, "seen.indices"))
    data = ModelData(
        items=items,
        users=users,
        item_ids=_take_ids(left, metadata, "item", len(items.indptr) - 1),
        user_ids=_take_ids(left, metadata, "user", len(users.indptr) - 1 if users else 0),
        seen=seen,
        popularity=_take(left, "popularity"),
        item_bias=left.pop("item_bias", None),
        user_bias=left.pop("user_bias", None),
        offset=_offset(metadata),
        encoder=_text(metadata, "encoder"),
        encoder_settings=_object(metadata, "encoder_settings"),
        info=_object(metadata, "info"),
    )
    if left:
        raise ModelFormatError(f"tensor {shown(min(left))} has no place in a model")
    data.check()
    for name, count in _counts(data).items():
        if _text(metadata, name) != count:
            raise ModelFormatError(f"{name} is {shown(metadata[name])}; the tensors say {count!r}")
    return data


def _counts(data: ModelData) -> dict[str, str]:
    """Write down what the tensors tell anyway, for those who read only the header."""
    return {
        "dim": str(data.dim),
        "n_users": str(data.n_users),
        "n_items": str(data.n_items),
        "user_nnz": str(data.users.nnz if data.users is not None else 0),
        "item_nnz": str(data.items.nnz),
        "density": repr(data.density),
    }


def _table_tensors(name: str, table: TableData) -> Tensors:
    return {
        f"{name}.indptr": smallest_integers(table.indptr),
        f"{name}.indices": smallest_integers(table.indices),
        f"{name}.values": table.values,
    }


def _json(name: str, value: Any) -> str:
    try:
        return json.dumps(dict(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name} cannot be written as JSON: {error}") from None


def _holds(left: Tensors, group: str) -> bool:
    return any(name.startswith(f"{group}.") for name in left)


def _take(left: Tensors, name: str) -> NDArray[Any]:
    if name not in left:
        raise ModelFormatError(f"tensor {name!r} is missing")
    if left[name].ndim != 1:
        raise ModelFormatError(f"tensor {name!r} has shape {left[name].shape}; expected one dimension")
    return left.pop(name)


def _take_table(left: Tensors, name: str, dim: int) -> TableData:
    indptr, indices, values = (_take(left, f"{name}.{part}") for part in ("indptr", "indices", "values"))
    if not len(indptr):
        raise ModelFormatError(f"{name}.indptr is empty; expected one number more than there are rows")
    return TableData(indptr, indices, values, dim)


def _take_ids(left: Tensors, metadata: dict[str, str], entity: str, n: int) -> IdMap:
    name = f"{entity}_ids"
    parts = [tensor for tensor in left if tensor.startswith(f"{name}.")]
    arrays = {tensor.removeprefix(f"{name}."): left[tensor] for tensor in parts}
    try:
        ids = IdMap.from_tensors(_text(metadata, name), arrays, n, entity=entity)
    except ModelFormatError as error:
        raise ModelFormatError(f"{name}: {error}") from None
    for part in ids.tensors():
        del left[f"{name}.{part}"]
    return ids


def _text(metadata: dict[str, str], name: str) -> str:
    if name not in metadata:
        raise ModelFormatError(f"metadata {name!r} is missing")
    return metadata[name]


def _dim(metadata: dict[str, str]) -> int:
    text = _text(metadata, "dim")
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= MAX_DIM):
        raise ModelFormatError(f"dim is {shown(text)}; expected 1 to {MAX_DIM}")
    return int(text)


def _offset(metadata: dict[str, str]) -> float:
    text = _text(metadata, "offset")
    try:
        offset = float(text)
    except ValueError:
        offset = math.nan
    if not math.isfinite(offset):
        raise ModelFormatError(f"offset is {shown(text)}; expected a finite number")
    return offset


def _object(metadata: dict[str, str], name: str) -> dict[str, Any]:
    value = parse_json(_text(metadata, name), name)
    if not isinstance(value, dict):
        raise ModelFormatError(f"{name} is {shown(value)}; expected a JSON object")
    return value
