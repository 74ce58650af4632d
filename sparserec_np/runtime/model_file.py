"""The model file, ``.srec``: a model's arrays in a safetensors container.

Version 2 holds these tensors, those in brackets only where the model has them; ``uint`` is the smallest
of uint8, uint16 and uint32 that holds the numbers (int32 or int64 where they need it)::

    items.lengths   uint, (dim,)           the item table by column: stored entries of each
    items.gaps      uint8                  their rows, as gaps
    items.starts    uint, (dim + 1,)       the byte of items.gaps at which each column begins, and the end
    items.values    float32, float16 or int8, (item_nnz,)
    [items.scales   uint8, (n_items,)      if values are int8]
    [users.lengths, users.gaps, users.values, users.scales: the user table likewise, but by row, and
     users.starts   uint                   of every 64th row alone, and the end]
    [seen.lengths   uint, (n_users,)       the training items of each user
     seen.gaps      uint8                  their rows, as gaps
     seen.starts    uint]                  as users.starts
    popularity      uint or float32, (n_items,)   interactions of each item in the training data
    [item_bias      float32, (n_items,)]
    [user_bias      float32, (n_users,)]
    [item_ids.numbers                uint, (n_items,)       if item_ids is "int"
     item_ids.text, item_ids.offsets uint8; uint, (n_items + 1,)   if item_ids is "str": UTF-8]
    [user_ids: likewise]

The item table stands by column because that is how it is read: a person's vector has few columns. Lengths,
gaps and starts are explained in `sparserec_np.runtime.packing`; an int8 value of row ``r`` stands for
``value * 2**(exponent - scales[r] / 8)``. The metadata, every value a string::

    format            "srec"
    format_version    "2"
    precision         of the tables' values: "float32", "float16" or "int8"
    item_exponent, user_exponent   of the scales; 0 without
    dim, n_users, n_items, user_nnz, item_nnz, density
    offset            mean rating of a rating model
    user_ids, item_ids   how ids are stored: "range" (the row numbers), "int" or "str"
    encoder, encoder_settings   how a person is encoded from a history; settings as JSON
    info              how the model came to be, as JSON

Opening a file reads the header, the lengths and what there is one number of for each row: popularity and
biases. Ids, tables and seen items are read, and checked, where they are used
(`sparserec_np.runtime.packed`): whatever a damaged part is asked for gives `ModelFormatError`.
``load_model(path, verify=True)`` looks at all of it at once.

Integers are narrowed on the way into a file, so a loaded model has the same numbers, though it may have
them in other types. The same model gives the same bytes: nothing here depends on the clock.
"""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.runtime.format import naming, parse_json, read_tensors, shown, write_tensors
from sparserec_np.runtime.ids import ID_PARTS, IdMap, smallest_integers
from sparserec_np.runtime.model_data import ModelData
from sparserec_np.runtime.packed import (
    COLUMNS_PER_BLOCK,
    ROWS_PER_BLOCK,
    PackedSeen,
    PackedTable,
    PackedValues,
)
from sparserec_np.runtime.packing import PackedLists, block_starts, pack
from sparserec_np.runtime.precision import PRECISIONS, check_precision, to_float16, to_int8
from sparserec_np.runtime.table_data import MAX_DIM, Compressed

FORMAT_VERSION = "2"
_DTYPES = {"float32": np.float32, "float16": np.float16, "int8": np.int8}
# Beyond it, a scale would make values that no model has.
_MAX_EXPONENT = 60

Tensors = dict[str, NDArray[Any]]


def save_model(path: str | os.PathLike[str], data: ModelData, precision: str = "float32") -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    path : path-like
        By custom it ends in ``.srec``. An existing file is replaced.
    data : ModelData
        The model. What `load_model` would refuse is refused here.
    precision : {"float32", "float16", "int8"}
        Type of the tables' values in the file. With int8, each row has a scale.

    Raises
    ------
    ModelFormatError
        If the arrays contradict each other.
    SettingError
        If `info` is no JSON, or the precision is unknown or cannot hold the values.
    OSError
        If the file cannot be written.
    """
    check_precision(precision)
    data.check()
    columns = data.items.by_column
    tensors, item_exponent = _table_tensors(
        "items", columns, COLUMNS_PER_BLOCK, columns.indices, data.n_items, precision
    )
    user_exponent = 0
    if data.users is not None:
        rows = data.users.by_row
        more, user_exponent = _table_tensors(
            "users", rows, ROWS_PER_BLOCK, rows.majors, data.n_users, precision
        )
        tensors |= more
    if data.seen is not None:
        tensors |= _list_tensors("seen", data.seen.indptr, data.seen.indices, ROWS_PER_BLOCK)
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
        "precision": precision,
        "item_exponent": str(item_exponent),
        "user_exponent": str(user_exponent),
        "offset": repr(float(data.offset)),
        "user_ids": data.user_ids.encoding,
        "item_ids": data.item_ids.encoding,
        "encoder": data.encoder,
        "encoder_settings": _json("encoder_settings", data.encoder_settings),
        "info": _json("info", data.info),
    } | _counts(data)
    write_tensors(path, tensors, metadata)


def load_model(path: str | os.PathLike[str], *, verify: bool = False) -> ModelData:
    """Map a model file into memory.

    Tables, ids and seen items are unpacked and checked when they are used; a damaged one then gives
    `ModelFormatError`, from whatever method needed it.

    Parameters
    ----------
    path : path-like
    verify : bool
        Whether to look at all of the file now, so that later nothing is found to be wrong.

    Returns
    -------
    ModelData
        What the file holds as it is used, such as ids and values of float32, are read-only views of it.

    Raises
    ------
    ModelFormatError
        If the file is damaged or foreign; the message names the file and the field.
    OSError
        If the file cannot be read.
    """
    tensors, metadata = read_tensors(path)
    with naming(str(path)):
        data = _build(tensors, metadata, str(path))
    if verify:
        data.check()
    return data


def _build(tensors: Tensors, metadata: dict[str, str], path: str) -> ModelData:
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
    precision = metadata.get("precision")
    if precision not in PRECISIONS:
        raise ModelFormatError(f"precision is {shown(precision)}; expected one of {', '.join(PRECISIONS)}")
    # What is taken is used; what is left in the end has no place in a model.
    left = dict(tensors)
    popularity = _take(left, "popularity")
    items = _take_items(left, metadata, precision, len(popularity), path)
    users = _take_users(left, metadata, precision, items.dim, path) if _holds(left, "users") else None
    seen = None
    if _holds(left, "seen"):
        lists = _take_lists(left, "seen", ROWS_PER_BLOCK, items.n_rows, _unsigned(items.n_rows))
        seen = PackedSeen(path, lists)
    n_users = users.n_rows if users is not None else seen.n_users if seen is not None else 0
    data = ModelData(
        items=items,
        users=users,
        item_ids=_take_ids(left, metadata, "item", items.n_rows, path),
        user_ids=_take_ids(left, metadata, "user", n_users, path),
        seen=seen,
        popularity=popularity,
        item_bias=left.pop("item_bias", None),
        user_bias=left.pop("user_bias", None),
        offset=_offset(metadata),
        encoder=_text(metadata, "encoder"),
        encoder_settings=_object(metadata, "encoder_settings"),
        info=_object(metadata, "info"),
    )
    if left:
        raise ModelFormatError(f"tensor {shown(min(left))} has no place in a model")
    data.check(whole=False)
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


def _list_tensors(
    name: str, indptr: NDArray[np.integer], indices: NDArray[np.integer], lists_per_block: int
) -> Tensors:
    lengths, gaps = pack(indptr, indices)
    starts = block_starts(lengths, gaps, lists_per_block)
    return {f"{name}.lengths": lengths, f"{name}.gaps": gaps, f"{name}.starts": starts}


def _table_tensors(
    name: str, table: Compressed, lists_per_block: int, rows: NDArray[np.integer], n_rows: int, precision: str
) -> tuple[Tensors, int]:
    """Pack a table, given by row or by column; `rows` are those of its entries. Tensors and exponent."""
    exponent = 0
    tensors = _list_tensors(name, table.indptr, table.indices, lists_per_block)
    values: NDArray[Any] = table.values
    if precision == "float16":
        values = to_float16(values)
    elif precision == "int8":
        values, tensors[f"{name}.scales"], exponent = to_int8(values, rows, n_rows)
    tensors[f"{name}.values"] = values
    return tensors, exponent


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


def _take_lists(left: Tensors, name: str, lists_per_block: int, bound: int, dtype: Any) -> PackedLists:
    lengths, gaps, starts = (_take(left, f"{name}.{part}") for part in ("lengths", "gaps", "starts"))
    return PackedLists(name, lengths, gaps, starts, lists_per_block, bound, dtype)


def _take_items(
    left: Tensors, metadata: dict[str, str], precision: str, n_items: int, path: str
) -> PackedTable:
    lists = _take_lists(left, "items", COLUMNS_PER_BLOCK, n_items, np.intp)
    dim = _integer(metadata, "dim", 1, MAX_DIM)
    if lists.n_lists != dim:
        raise ModelFormatError(f"items.lengths has length {lists.n_lists}; expected dim, {dim}")
    values = _take_values(left, metadata, "item", precision, lists.total, n_items)
    return PackedTable(path, lists, values, (n_items, dim), by="column")


def _take_users(left: Tensors, metadata: dict[str, str], precision: str, dim: int, path: str) -> PackedTable:
    lists = _take_lists(left, "users", ROWS_PER_BLOCK, dim, _unsigned(dim))
    values = _take_values(left, metadata, "user", precision, lists.total, lists.n_lists)
    return PackedTable(path, lists, values, (lists.n_lists, dim), by="row")


def _take_values(
    left: Tensors, metadata: dict[str, str], entity: str, precision: str, nnz: int, n_rows: int
) -> PackedValues:
    name = f"{entity}s.values"
    stored = _take(left, name)
    if stored.dtype != _DTYPES[precision] or len(stored) != nnz:
        raise ModelFormatError(
            f"{name} is {stored.dtype} of length {len(stored)}; "
            f"expected {precision}, as the metadata say, of length {nnz}"
        )
    exponent = _integer(metadata, f"{entity}_exponent", -_MAX_EXPONENT, _MAX_EXPONENT)
    if precision != "int8":
        return PackedValues(name, stored, None, exponent)
    scales = _take(left, f"{entity}s.scales")
    if scales.dtype != np.uint8 or len(scales) != n_rows:
        raise ModelFormatError(
            f"{entity}s.scales is {scales.dtype} of length {len(scales)}; expected uint8 of length {n_rows}"
        )
    return PackedValues(name, stored, scales, exponent)


def _unsigned(bound: int) -> Any:
    """Return the smallest unsigned type that holds the numbers below `bound`."""
    return np.min_scalar_type(max(bound - 1, 0))


def _take_ids(left: Tensors, metadata: dict[str, str], entity: str, n: int, path: str) -> IdMap:
    name = f"{entity}_ids"
    arrays = {part: left.pop(f"{name}.{part}") for part in ID_PARTS if f"{name}.{part}" in left}
    return IdMap.from_tensors(_text(metadata, name), arrays, n, entity=entity, source=f"{path}: {name}")


def _text(metadata: dict[str, str], name: str) -> str:
    if name not in metadata:
        raise ModelFormatError(f"metadata {name!r} is missing")
    return metadata[name]


def _integer(metadata: dict[str, str], name: str, least: int, most: int) -> int:
    text = _text(metadata, name)
    if re.fullmatch("-?[0-9]{1,9}", text) is None or not least <= int(text) <= most:
        raise ModelFormatError(f"{name} is {shown(text)}; expected {least} to {most}")
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
