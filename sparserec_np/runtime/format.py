"""The container of a model file: named arrays and text metadata in the safetensors layout.

A file is an 8-byte little-endian header length, a JSON header and the raw little-endian arrays, one
after the other without gaps [1]_. The header maps each name to its dtype, shape and place; under
``__metadata__`` it maps strings to strings. Spaces after the header make the arrays start at a multiple
of 64 bytes; the widest types come first, so that every array is aligned to its own item size.

References
----------
.. [1] https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
import mmap as memory_map
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, SettingError, shown
from sparserec_np.runtime.files import naming_errors, open_regular, written_whole

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I8": np.dtype("i1"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_ALIGNMENT = 64

#: Bytes of the largest file that is read rather than mapped, where that is left to its size.
LARGE = 32 << 20

Mapped = bool | Literal["auto"]
Content = memory_map.mmap | bytes
_METADATA = "__metadata__"

# safetensors allows 100 MB. A parsed header takes some twenty times its bytes, ours are a few
# kilobytes, and a stranger's file must not fill the memory of a small device.
_MAX_HEADER = 8 << 20
_MAX_DIMENSIONS = 32
# Of an integer in JSON: more than any seed has, and few enough to be a float.
_MOST_DIGITS = 300


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write arrays and metadata to a file, whole or not at all, as `written_whole` does.

    The same input gives the same bytes.

    Parameters
    ----------
    path : path-like
        The file; replaced if it exists. Missing folders are not made.
    tensors : mapping of str to ndarray
        Arrays of float16, float32, float64, int8, int32, int64, uint8, uint16 or uint32.
    metadata : mapping of str to str

    Raises
    ------
    SettingError
        If a dtype has no place in the file, the metadata is too long, or `path` is not a regular file.
    OSError
        If the file cannot be written.
    """
    arrays, header = _layout(tensors, metadata)
    with written_whole(path) as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for array in arrays:
            file.write(array.data)


def _layout(
    tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> tuple[list[NDArray[Any]], bytes]:
    """Order the arrays and describe them in a padded header."""
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    arrays = []
    end = 0
    for name in order:
        dtype = tensors[name].dtype.newbyteorder("<")
        code = _CODES.get(dtype)
        if code is None:
            raise SettingError(
                f"tensor {name!r} has dtype {dtype}; a file holds {', '.join(map(str, _CODES))}"
            )
        array = np.ascontiguousarray(tensors[name], dtype=dtype)
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": code, "shape": list(tensors[name].shape), "data_offsets": [begin, end]}
        arrays.append(array)
    try:
        json.dumps(header, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        found = repr(error.object[error.start])
        raise SettingError(f"the metadata hold {found}, half of a character; expected text") from None
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    if len(text) > _MAX_HEADER:
        raise SettingError(f"the metadata takes {len(text)} bytes; a file holds at most {_MAX_HEADER}")
    return arrays, text


def read_tensors(
    path: str | os.PathLike[str], *, mmap: Mapped = True
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Map a file into memory, or read all of it, and check its header.

    Of a file that is mapped no array is read or copied: the operating system brings in the pages that are
    used. What the arrays hold is for the caller to check.

    Parameters
    ----------
    path : path-like
    mmap : bool or "auto"
        Whether to map the file. A file that is mapped must neither be truncated nor be written to while the
        arrays are in use: where a page is gone, the system ends the process. "auto" maps a file of more than
        `LARGE` bytes, and reads a smaller one.

    Returns
    -------
    tensors : dict of str to ndarray
        Read-only views of the file, or of what was read.
    metadata : dict of str to str

    Raises
    ------
    ModelFormatError
        If the file is not exactly a header and the arrays that it describes.
    OSError
        If the file cannot be read.
    """
    with naming_errors(path), open_regular(path, ModelFormatError) as file:
        size = os.fstat(file.fileno()).st_size
        if size >= 8 and is_mapped(mmap, size):
            content: Content = memory_map.mmap(file.fileno(), size, access=memory_map.ACCESS_READ)
        else:
            content = file.read(size)
            size = len(content)
    with naming(str(path)):
        if size < 8:
            raise ModelFormatError(f"the file holds {size} bytes; expected a header length of 8 first")
        header = _read_header(content, size)
        metadata = _checked_metadata(header.pop(_METADATA, {}))
        start = 8 + int.from_bytes(content[:8], "little")
        places = {name: _checked_entry(name, entry) for name, entry in header.items()}
        _check_cover(places, size - start)
        tensors = {
            name: _view(content, name, dtype, shape, start + begin)
            for name, (dtype, shape, begin, _) in places.items()
        }
    return tensors, metadata


def is_mapped(mmap: Mapped, size: int) -> bool:
    """Whether a file of so many bytes is mapped, rather than read."""
    return size > LARGE if mmap == "auto" else bool(mmap)


def parse_json(text: str | bytes, field: str) -> Any:
    """Parse JSON from a stranger: no repeated names, no number long enough to stall, no broken characters.

    Raises
    ------
    ModelFormatError
        If it is not such JSON; the message names `field`.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"name {shown(next(n for n in names if names.count(n) > 1))} occurs twice")
        return found

    def integer(digits: str) -> int:
        if len(digits) > _MOST_DIGITS:
            raise ValueError(f"an integer has {len(digits)} digits")
        return int(digits)

    def constant(name: str) -> float:
        raise ValueError(f"{name} is no number")

    try:
        if isinstance(text, bytes):
            text = text.decode()
        value = json.loads(text, object_pairs_hook=unique, parse_int=integer, parse_constant=constant)
        # Half of a surrogate pair, which no text in UTF-8 holds, can only be there as an escape.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError as error:
        raise ModelFormatError(f"{field} holds {error.object[error.start]!r}, half of a character") from None
    except RecursionError:
        raise ModelFormatError(f"{field} is JSON nested too deeply") from None
    except ValueError as error:
        raise ModelFormatError(f"{field} is not the JSON expected: {error}") from None


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Begin the message of a `ModelFormatError` with the file's name."""
    try:
        yield
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None


def _read_header(content: Content, size: int) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    limit = min(size - 8, _MAX_HEADER)
    if not 2 <= length <= limit:
        raise ModelFormatError(
            f"header length is {length}; expected 2 to {limit} in a file of {size} bytes: "
            "it is no model file, or only a part of one"
        )
    header = parse_json(content[8 : 8 + length], "header")
    if not isinstance(header, dict):
        raise ModelFormatError(f"header is {shown(header)}; expected a JSON object")
    return header


def _checked_metadata(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ModelFormatError(f"{_METADATA} is {shown(metadata)}; expected strings by name")
    return metadata


def _checked_entry(name: str, entry: Any) -> tuple[np.dtype[Any], list[int], int, int]:
    """Check what the header says of one tensor, apart from where the others lie."""
    field = f"tensor {shown(name)}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ModelFormatError(f"{field} is {shown(entry)}; expected dtype, shape and data_offsets")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise ModelFormatError(f"{field} has dtype {shown(code)}; expected one of {', '.join(_DTYPES)}")
    if not _are_counts(shape) or len(shape) > _MAX_DIMENSIONS:
        raise ModelFormatError(f"{field} has shape {shown(shape)}; expected up to {_MAX_DIMENSIONS} lengths")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ModelFormatError(f"{field} has data_offsets {shown(offsets)}; expected two positions")
    dtype = _DTYPES[code]
    begin, end = offsets
    expected = math.prod(shape) * dtype.itemsize
    if end - begin != expected:
        raise ModelFormatError(
            f"{field} has data_offsets {offsets}, which is {end - begin} bytes; "
            f"expected {expected} for {code} of shape {shown(shape)}"
        )
    return dtype, shape, begin, end


def _are_counts(values: Any) -> bool:
    # Not isinstance: true and false are integers in Python, but not here.
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _check_cover(places: Mapping[str, tuple[np.dtype[Any], list[int], int, int]], size: int) -> None:
    """Check that the tensors lie one behind the other and fill the data part of the file."""
    position = 0
    for begin, end, name in sorted((begin, end, name) for name, (_, _, begin, end) in places.items()):
        if begin != position:
            wrong = "overlaps the tensor before" if begin < position else "leaves a gap before it"
            raise ModelFormatError(f"tensor {shown(name)} begins at {begin} and {wrong}; expected {position}")
        position = end
    if position != size:
        raise ModelFormatError(
            f"the tensors end at byte {position} of the data, which holds {size}: the file is "
            + ("truncated; copy or download it again" if size < position else "longer than it says")
        )


def _view(content: Content, name: str, dtype: np.dtype[Any], shape: list[int], offset: int) -> NDArray[Any]:
    count = math.prod(shape)
    # frombuffer takes no empty buffer, nor an offset at its end.
    flat = np.frombuffer(content, dtype, count, offset) if count else np.empty(0, dtype)
    flat.flags.writeable = False
    try:
        return flat.reshape(shape)
    except (ValueError, OverflowError):
        raise ModelFormatError(
            f"tensor {shown(name)} has shape {shown(shape)}, which NumPy cannot hold"
        ) from None
