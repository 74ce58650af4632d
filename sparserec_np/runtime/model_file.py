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
    [popularity.rest   uint, (n,)          if popularity is cut to 255: the number of each that is 255 in it]
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

Their types, by which they are written and checked, stand in `sparserec_np.runtime.metadata`.
Opening a file reads the header, the lengths and what there is one number of for each row: popularity and
biases. Ids, tables and seen items are read, and checked, where they are used
(`sparserec_np.runtime.packed`): whatever a damaged part is asked for gives `ModelFormatError`.
``load_model(path, verify=True)`` looks at all of it at once.

Integers are narrowed on the way into a file, so a loaded model has the same numbers, though it may have
them in other types. The same model gives the same bytes: nothing here depends on the clock.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, shown
from sparserec_np.runtime.contents import Contents
from sparserec_np.runtime.format import Mapped, is_mapped, naming, read_tensors, write_tensors
from sparserec_np.runtime.ids import smallest_integers
from sparserec_np.runtime.metadata import FORMAT, FORMAT_VERSION, read_metadata, write_metadata
from sparserec_np.runtime.model_data import ModelData
from sparserec_np.runtime.packed import (
    COLUMNS_PER_BLOCK,
    ROWS_PER_BLOCK,
    PackedSeen,
    PackedTable,
    PackedValues,
)
from sparserec_np.runtime.packing import PackedLists, block_starts, pack
from sparserec_np.runtime.precision import check_precision, to_float16, to_int8
from sparserec_np.runtime.table_data import Compressed

_DTYPES = {"float32": np.float32, "float16": np.float16, "int8": np.int8}
# Popularity of a byte that stands for a larger one.
_LARGE = 255
# Bytes that one more tensor takes in the header.
_HEADER_ENTRY = 80

Tensors = dict[str, NDArray[Any]]
Described = dict[str, Any]


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
        If `info` is not plain JSON, or the precision is unknown or cannot hold the values.
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
    tensors |= popularity_tensors(data.popularity)
    for name in ("item_bias", "user_bias"):
        if (bias := getattr(data, name)) is not None:
            tensors[name] = bias
    for name in ("user_ids", "item_ids"):
        tensors |= {f"{name}.{part}": array for part, array in getattr(data, name).tensors().items()}
    described = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "precision": precision,
        "item_exponent": item_exponent,
        "user_exponent": user_exponent,
        "offset": data.offset,
        "user_ids": data.user_ids.encoding,
        "item_ids": data.item_ids.encoding,
        "encoder": data.encoder,
        "encoder_settings": data.encoder_settings,
        "info": data.info,
    }
    write_tensors(path, tensors, write_metadata(described | _counts(data)))


def load_model(path: str | os.PathLike[str], *, verify: bool = False, mmap: Mapped = True) -> ModelData:
    """Map a model file into memory, or read it.

    Of a file that is mapped, tables, ids and seen items are unpacked and checked when they are used; a
    damaged one then gives `ModelFormatError`, from whatever method needed it. A file that is read is checked
    at once.

    Parameters
    ----------
    path : path-like
    verify : bool
        Whether to look at all of the file now, so that later nothing is found to be wrong.
    mmap : bool or "auto"
        Whether to map the file. To replace it by renaming another file, as `save_model` does, is safe then.
        But where it is truncated or written to in place, the system may end the process. False reads the
        whole file and checks it, after which the file does not matter any more. "auto" reads a file of up
        to 32 MiB, and maps a larger one.

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
    tensors, metadata = read_tensors(path, mmap=mmap)
    with naming(str(path)):
        data = _build(tensors, metadata, str(path))
    if verify or not is_mapped(mmap, sum(array.nbytes for array in tensors.values())):
        data.check()
    return data


def _build(tensors: Tensors, metadata: dict[str, str], path: str) -> ModelData:
    described = read_metadata(metadata)
    contents = Contents(tensors, metadata)
    popularity = _take_popularity(contents)
    items = _take_items(contents, described, len(popularity), path)
    users = _take_users(contents, described, items.dim, path) if contents.holds("users") else None
    seen = None
    if contents.holds("seen"):
        lists = _take_lists(contents, "seen", ROWS_PER_BLOCK, items.n_rows, _unsigned(items.n_rows))
        seen = PackedSeen(path, lists)
    n_users = users.n_rows if users is not None else seen.n_users if seen is not None else 0
    data = ModelData(
        items=items,
        users=users,
        item_ids=contents.take_ids("item", items.n_rows, f"{path}: "),
        user_ids=contents.take_ids("user", n_users, f"{path}: "),
        seen=seen,
        popularity=popularity,
        item_bias=contents.take_if_held("item_bias"),
        user_bias=contents.take_if_held("user_bias"),
        offset=described["offset"],
        encoder=described["encoder"],
        encoder_settings=described["encoder_settings"],
        info=described["info"],
    )
    contents.finish("a model")
    data.check(whole=False)
    for name, count in _counts(data).items():
        if described[name] != count:
            raise ModelFormatError(f"{name} is {shown(metadata[name])}; the tensors say {str(count)!r}")
    return data


def _counts(data: ModelData) -> dict[str, int | float]:
    """Return what the tensors tell anyway, for those who read only the header."""
    return {
        "dim": data.dim,
        "n_users": data.n_users,
        "n_items": data.n_items,
        "user_nnz": data.users.nnz if data.users is not None else 0,
        "item_nnz": data.items.nnz,
        "density": float(data.density),
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


def popularity_tensors(counts: NDArray[Any]) -> Tensors:
    """Pack the interactions of each item: a byte for most, where few items are popular."""
    if counts.dtype.kind == "f":
        return {"popularity": counts}
    whole = smallest_integers(counts)
    rest = whole[whole >= _LARGE]
    if whole.dtype.kind != "u" or len(whole) + rest.nbytes + _HEADER_ENTRY > whole.nbytes:
        return {"popularity": whole}
    return {"popularity": np.minimum(whole, _LARGE).astype(np.uint8), "popularity.rest": rest}


def _take_popularity(contents: Contents) -> NDArray[Any]:
    counts = contents.take("popularity")
    if not contents.holds("popularity"):
        return counts
    rest = contents.take("popularity.rest", "u")
    if counts.dtype != np.uint8:
        raise ModelFormatError(f"popularity is {counts.dtype}; expected uint8 beside popularity.rest")
    large = np.flatnonzero(counts == _LARGE)
    if len(rest) != len(large):
        raise ModelFormatError(
            f"popularity.rest has length {len(rest)}; expected {len(large)}, the items that have {_LARGE}"
        )
    if rest.size and rest.min() < _LARGE:
        raise ModelFormatError(f"popularity.rest holds {rest.min()}; expected at least {_LARGE}")
    whole = counts.astype(rest.dtype)
    whole[large] = rest
    whole.flags.writeable = False
    return whole


def _take_lists(contents: Contents, name: str, lists_per_block: int, bound: int, dtype: Any) -> PackedLists:
    lengths, gaps, starts = (contents.take(f"{name}.{part}") for part in ("lengths", "gaps", "starts"))
    return PackedLists(name, lengths, gaps, starts, lists_per_block, bound, dtype)


def _take_items(contents: Contents, described: Described, n_items: int, path: str) -> PackedTable:
    lists = _take_lists(contents, "items", COLUMNS_PER_BLOCK, n_items, np.intp)
    dim = described["dim"]
    if lists.n_lists != dim:
        raise ModelFormatError(f"items.lengths has length {lists.n_lists}; expected dim, {dim}")
    values = _take_values(contents, "item", described, lists.total, n_items)
    return PackedTable(path, lists, values, (n_items, dim), by="column")


def _take_users(contents: Contents, described: Described, dim: int, path: str) -> PackedTable:
    lists = _take_lists(contents, "users", ROWS_PER_BLOCK, dim, _unsigned(dim))
    values = _take_values(contents, "user", described, lists.total, lists.n_lists)
    return PackedTable(path, lists, values, (lists.n_lists, dim), by="row")


def _take_values(
    contents: Contents, entity: str, described: Described, nnz: int, n_rows: int
) -> PackedValues:
    precision, exponent = described["precision"], described[f"{entity}_exponent"]
    name = f"{entity}s.values"
    stored = contents.take(name)
    if stored.dtype != _DTYPES[precision] or len(stored) != nnz:
        raise ModelFormatError(
            f"{name} is {stored.dtype} of length {len(stored)}; "
            f"expected {precision}, as the metadata say, of length {nnz}"
        )
    if precision != "int8":
        return PackedValues(name, stored, None, exponent)
    scales = contents.take(f"{entity}s.scales")
    if scales.dtype != np.uint8 or len(scales) != n_rows:
        raise ModelFormatError(
            f"{entity}s.scales is {scales.dtype} of length {len(scales)}; expected uint8 of length {n_rows}"
        )
    return PackedValues(name, stored, scales, exponent)


def _unsigned(bound: int) -> Any:
    """Return the smallest unsigned type that holds the numbers below `bound`."""
    return np.min_scalar_type(max(bound - 1, 0))
