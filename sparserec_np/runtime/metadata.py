"""What stands in the metadata of a model file: every field with its type, for writing and for reading.

Safetensors allows texts alone, so that each field has a text form. `FIELDS` describes the fields of the file,
`INFO` the names within the field ``info`` that the library itself writes and looks at; all of these may be
missing from ``info``, and other names may stand there, as long as they are plain JSON.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sparserec_np.errors import ModelFormatError, SettingError, shown
from sparserec_np.runtime.encoding import ENCODERS
from sparserec_np.runtime.format import parse_json
from sparserec_np.runtime.parts import PARTS
from sparserec_np.runtime.precision import MAX_EXPONENT, PRECISIONS
from sparserec_np.runtime.table_data import MAX_COLUMNS, MAX_DIM, MAX_MAGNITUDE

FORMAT, FORMAT_VERSION = "srec", "2"

# Rows and entries are counted in 64 bits; no file has more.
_MOST = (1 << 63) - 1
# Levels of lists and objects within ``info``: far more than any version writes, and no stack runs out.
_DEEPEST = 32


class Field(NamedTuple):
    """A field of the metadata.

    Attributes
    ----------
    write : callable
        ``write(name, value)`` returns the text of a value that `read` takes; else it raises
        `SettingError`.
    read : callable
        ``read(name, text)`` returns the value; it raises `ModelFormatError`, which names the field.
    """

    write: Callable[[str, Any], str]
    read: Callable[[str, Any], Any]


def _choice(options: tuple[str, ...], hint: str = "") -> Field:
    expected = repr(options[0]) if len(options) == 1 else f"one of {', '.join(options)}"

    def read(name: str, text: Any) -> Any:
        if text not in options:
            raise ModelFormatError(f"{name} is {shown(text)}; expected {expected}{hint}")
        return text

    return Field(lambda _, value: str(value), read)


def _integer(least: int, most: int) -> Field:
    def read(name: str, text: str) -> int:
        if re.fullmatch("-?[0-9]{1,19}", text) is None or not least <= int(text) <= most:
            raise ModelFormatError(f"{name} is {shown(text)}; expected {least} to {most}")
        return int(text)

    return Field(lambda _, value: str(int(value)), read)


def _number(most: float) -> Field:
    def read(name: str, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not abs(number) <= most:
            raise ModelFormatError(f"{name} is {shown(text)}; expected a finite number")
        return number

    return Field(lambda _, value: repr(float(value)), read)


def _object(check: Callable[[str, dict[str, Any]], None]) -> Field:
    def read(name: str, text: str) -> dict[str, Any]:
        value = parse_json(text, name)
        if not isinstance(value, dict):
            raise ModelFormatError(f"{name} is {shown(value)}; expected a JSON object")
        _check_plain(name, value)
        check(name, value)
        return value

    def write(name: str, value: Any) -> str:
        try:
            text = json.dumps(dict(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise SettingError(f"{name} cannot be written as JSON: {error}") from None
        try:
            read(name, text)
        except ModelFormatError as error:
            raise SettingError(f"{name} cannot be written as JSON that can be read again: {error}") from None
        return text

    return Field(write, read)


# ---- what the field info holds --------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_measured(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_object, value))


#: Each name with the test for its value, and what a message expects.
INFO: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "estimator": (_is_text, "the name of an estimator"),
    "settings": (_is_object, "a JSON object"),
    "n_epochs": (_is_count, "an integer of at least 0"),
    "learning_rate": (_is_number, "a number"),
    "amount": (_is_text, "a text"),
    "by_amount": (_is_object, "a JSON object"),
    "n_interactions": (_is_count, "an integer of at least 0"),
    "validation": (_is_measured, "numbers by the names of metrics"),
    "baseline": (_is_measured, "numbers by the names of metrics"),
    "parts": (_is_text, "a text"),
    "candidates": (_is_records, "a list of JSON objects"),
    "version": (_is_text, "a text"),
}


def check_info(name: str, info: Mapping[str, Any], needed: tuple[str, ...] = ()) -> None:
    """Check the names within ``info`` that the library looks at.

    Parameters
    ----------
    name : str
        What messages call it.
    info : mapping
        Plain JSON.
    needed : tuple of str
        Names that must not be missing.

    Raises
    ------
    ModelFormatError
        Naming the one that is missing or of the wrong type.
    """
    for part in needed:
        if part not in info:
            raise ModelFormatError(f"{name} holds no {part}; expected {INFO[part][1]}")
    for part, (fits, expected) in INFO.items():
        if part in info and not fits(info[part]):
            raise ModelFormatError(f"{name}.{part} is {shown(info[part])}; expected {expected}")


def _check_plain(name: str, value: Any) -> None:
    """Refuse, by their place, numbers that are not finite, and what is nested too deeply to be walked."""
    for place, depth, part in _walk(name, value):
        if depth > _DEEPEST:
            raise ModelFormatError(f"{name} is nested more than {_DEEPEST} levels deep")
        if isinstance(part, float) and not math.isfinite(part):
            raise ModelFormatError(f"{place} is {part}; expected a finite number")


def _walk(name: str, value: Any) -> Iterator[tuple[str, int, Any]]:
    """Yield the place, the depth and the value of every part of nested JSON."""
    left: list[tuple[str, int, Any]] = [(name, 0, value)]
    while left:
        place, depth, part = left.pop()
        yield place, depth, part
        if depth > _DEEPEST:
            continue
        if isinstance(part, dict):
            left += [(f"{place}.{key}", depth + 1, inner) for key, inner in part.items()]
        elif isinstance(part, list):
            left += [(f"{place}[{at}]", depth + 1, inner) for at, inner in enumerate(part)]


# ---- all fields -----------------------------------------------------------------------------------------

FIELDS: Mapping[str, Field] = {
    "format": _choice((FORMAT,), ": the file holds tensors, but no model of sparserec_np"),
    "format_version": _choice((FORMAT_VERSION,)),
    "precision": _choice(PRECISIONS),
    "item_exponent": _integer(-MAX_EXPONENT, MAX_EXPONENT),
    "user_exponent": _integer(-MAX_EXPONENT, MAX_EXPONENT),
    "dim": _integer(1, MAX_COLUMNS),
    "n_users": _integer(0, _MOST),
    "n_items": _integer(0, _MOST),
    "user_nnz": _integer(0, _MOST),
    "item_nnz": _integer(0, _MOST),
    "density": _number(1.0),
    "offset": _number(MAX_MAGNITUDE),
    "user_ids": _choice(("range", "int", "str")),
    "item_ids": _choice(("range", "int", "str")),
    "encoder": _choice((*ENCODERS, PARTS)),
    "encoder_settings": _object(lambda name, value: None),
    "info": _object(check_info),
}


def write_metadata(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of every field.

    Raises
    ------
    SettingError
        If a value cannot be written so that it can be read again; the message names the field.
    """
    return {name: field.write(name, values[name]) for name, field in FIELDS.items()}


def read_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of every field.

    Raises
    ------
    ModelFormatError
        If one is missing or is not of its type; the message names the field.
    """
    FIELDS["format"].read("format", metadata.get("format"))
    if metadata.get("format_version") != FORMAT_VERSION:
        raise ModelFormatError(
            f"format_version is {shown(metadata.get('format_version'))}; this sparserec_np reads "
            f"{FORMAT_VERSION!r}: another version of it may read the file"
        )
    values = {}
    for name, field in FIELDS.items():
        if name not in metadata:
            raise ModelFormatError(f"metadata {name!r} is missing")
        values[name] = field.read(name, metadata[name])
    if values["encoder"] != PARTS and values["dim"] > MAX_DIM:
        raise ModelFormatError(f"dim is {shown(metadata['dim'])}; expected 1 to {MAX_DIM}")
    return values
