"""Interactions as a folder of arrays: mapped into memory when opened, so that they may be larger than it.

Version 1 holds these files; each array is a NumPy file of one dimension::

    interactions.json       format, version, numbers, dtype and length of each array, and what was read
    indptr.npy              int32 or int64, (n_users + 1,)   where each user's interactions start
    items.npy               int32 or int64, (nnz,)           item rows, rising within each user
    weights.npy             float32, (nnz,)                  above 0
    [times.npy              float64, (nnz,)]
    [user_ids.numbers.npy   or user_ids.text.npy and user_ids.offsets.npy; item_ids likewise: see `IdMap`]

Nothing is unpickled. All of it is checked when a folder is opened, one block of users after the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparserec_np import folders
from sparserec_np.data.parts import damaged, map_array, read_text
from sparserec_np.errors import DataError, ModelFormatError, SettingError, shown
from sparserec_np.runtime.bounds import pattern_fault
from sparserec_np.runtime.files import sync_folder
from sparserec_np.runtime.format import parse_json
from sparserec_np.runtime.ids import ID_PARTS, IdMap
from sparserec_np.runtime.table_data import MAX_WEIGHT

FORMAT, VERSION = "sparserec_np interactions", 1
HEADER = "interactions.json"

_DTYPES = {
    "indptr": ("int32", "int64"),
    "items": ("int32", "int64"),
    "weights": ("float32",),
    "times": ("float64",),
}
_ROLES = ("user", "item")
# All arrays that a folder may have.
_NAMES = (*_DTYPES, *(f"{role}_ids.{part}" for role in _ROLES for part in ID_PARTS))
# Users and items are numbered in 32 bits.
_MOST = (1 << 31) - 1
_MAX_HEADER = 16 << 20
# Items that may be without interactions. Nothing in the files grows with them, but what a model needs does.
_MOST_WITHOUT = 1 << 24
# Interactions that are checked at a time.
_BLOCK = 1 << 20
# How often a folder is read that is replaced meanwhile.
_ATTEMPTS = 5

Arrays = dict[str, NDArray[Any]]


def user_blocks(indptr: NDArray[np.integer], size: int = _BLOCK) -> Iterator[tuple[int, int]]:
    """Cut users into blocks of about `size` interactions: yields the first user and the one after the last.

    A user with more interactions than that is a block of their own.
    """
    n_users = len(indptr) - 1
    start = 0
    while start < n_users:
        stop = int(np.searchsorted(indptr, int(indptr[start]) + size, side="right")) - 1
        stop = min(max(stop, start + 1), n_users)
        yield start, stop
        start = stop


def write_folder(
    path: Path, arrays: Arrays, ids: Mapping[str, IdMap], extra: Mapping[str, Any], *, replace: bool
) -> None:
    """Write a folder, whole or not at all.

    Parameters
    ----------
    path : Path
        The folder; its parent exists.
    arrays : dict of str to ndarray
        ``indptr``, ``items``, ``weights`` and perhaps ``times``.
    ids : mapping of str to IdMap
        Of ``"user"`` and ``"item"``.
    extra : mapping
        Further plain JSON to keep.
    replace : bool
        Whether a folder of interactions that is there already may be replaced.

    Raises
    ------
    SettingError
        If something is there that may not be replaced.
    OSError
        If the folder cannot be written.
    """
    with new_folder(path, replace=replace) as folder:
        for name, array in arrays.items():
            with open(folder / f"{name}.npy", "wb") as file:
                np.save(file, array, allow_pickle=False)
        described = {name: (array.dtype, len(array)) for name, array in arrays.items()}
        write_rest(folder, described, ids, extra)


@contextmanager
def new_folder(path: Path, *, replace: bool) -> Iterator[Path]:
    """Fill a folder that becomes the folder of interactions, whole or not at all; see `sparserec_np.folders`.

    Parameters
    ----------
    path : Path
        The folder; its parent exists.
    replace : bool
        Whether a folder of interactions that is there already may be replaced. Other files in it stay.
    """
    check_target(path, replace)
    if path.exists():
        with folders.new_parts(path, HEADER, _announcement, _take_places) as made:
            yield made
    else:
        with folders.new_folder(path) as made:
            yield made


def _announcement(parts: str) -> bytes:
    """Content of the header while the arrays, and the header that describes them, lie in another folder."""
    return json.dumps({"format": FORMAT, "version": VERSION, "parts": parts}).encode()


def _take_places(parts: Path) -> None:
    """Move new arrays to their places, remove what only the old interactions had, and move the header."""
    folder = parts.parent
    described = json.loads((parts / HEADER).read_text(encoding="utf-8"))["arrays"]
    for name in sorted(os.listdir(parts)):
        if name != HEADER:
            os.replace(parts / name, folder / name)
    for name in _NAMES:
        if name not in described:
            with suppress(FileNotFoundError):
                os.unlink(folder / f"{name}.npy")
    sync_folder(folder)
    os.replace(parts / HEADER, folder / HEADER)
    sync_folder(folder)


def write_rest(
    folder: Path,
    described: Mapping[str, tuple[np.dtype[Any], int]],
    ids: Mapping[str, IdMap],
    extra: Mapping[str, Any],
) -> None:
    """Write what belongs to the arrays in a folder: the ids and the header.

    Parameters
    ----------
    folder : Path
        Where the arrays are.
    described : mapping of str to (dtype, int)
        Type and length of each array.
    ids, extra
        As for `write_folder`.
    """
    described = dict(described)
    for role in _ROLES:
        for part, array in ids[role].tensors().items():
            name = f"{role}_ids.{part}"
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
            described[name] = (array.dtype, len(array))
    if len(ids["item"]) > described["items"][1] + _MOST_WITHOUT:
        raise DataError(
            f"more than {_MOST_WITHOUT:,} of the {len(ids['item']):,} items have no interaction; a folder "
            "does not hold so many: leave them out"
        )
    header = {
        "format": FORMAT,
        "version": VERSION,
        "n_users": len(ids["user"]),
        "n_items": len(ids["item"]),
        "n_interactions": described["items"][1],
        "ids": {role: ids[role].encoding for role in _ROLES},
        **extra,
        "arrays": {
            name: {"dtype": dtype.name, "length": length} for name, (dtype, length) in described.items()
        },
    }
    # The name of the source may hold bytes that are not text.
    text = json.dumps(header, indent=1, ensure_ascii=False) + "\n"
    (folder / HEADER).write_bytes(text.encode(errors="replace"))


def read_folder(path: Path) -> tuple[Arrays, dict[str, IdMap], dict[str, Any]]:
    """Map a folder's arrays into memory, and check all of them.

    Returns
    -------
    arrays : dict of str to ndarray
        Read-only: ``indptr``, ``items``, ``weights`` and perhaps ``times``.
    ids : dict of str to IdMap
        Of ``"user"`` and ``"item"``.
    header : dict
        What ``interactions.json`` says.

    Raises
    ------
    DataError
        If it is no such folder, or is damaged; the message names the file and what is wrong with it.
    """
    for _ in range(_ATTEMPTS):
        before = _stamp(path)
        try:
            found = _read_folder(path)
        except DataError:
            if _stamp(path) == before:
                raise
        else:
            if _stamp(path) == before:
                return found
    raise DataError(f"{path}: the folder was replaced while it was read; try again when it stays as it is")


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what is another whenever the folder was replaced: which file the header is, and of when."""
    try:
        status = os.stat(path / HEADER)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read_folder(path: Path) -> tuple[Arrays, dict[str, IdMap], dict[str, Any]]:
    header, parts = _read_header(path), path
    if "parts" in header:
        # The folder is being replaced, or who replaced it was stopped before the parts were in their places.
        if not (isinstance(header["parts"], str) and folders.PARTS.fullmatch(header["parts"])):
            raise damaged(path / HEADER, f"found {header['parts']!r} as the folder of the arrays")
        parts = path / header["parts"]
        header = _read_header(parts)
    _check_header(parts / HEADER, header)
    described = header["arrays"]
    missing = [name for name in ("indptr", "items", "weights") if name not in described]
    if missing:
        raise damaged(path / HEADER, f"found no array {missing[0]!r}")
    arrays = {name: _part(path, parts, name, entry) for name, entry in described.items()}
    n_users, n_items, nnz = (header[name] for name in ("n_users", "n_items", "n_interactions"))
    for name, length in (("indptr", n_users + 1), ("items", nnz), ("weights", nnz), ("times", nnz)):
        if name in arrays and len(arrays[name]) != length:
            raise damaged(path / f"{name}.npy", f"found {len(arrays[name]):,} values; expected {length:,}")
    ids = {role: _ids(path, role, arrays, header) for role in _ROLES}
    _check_rows(path, arrays, n_items)
    return {name: array for name, array in arrays.items() if name in _DTYPES}, ids, header


def check_target(path: Path, replace: bool, how: str = "replace=True") -> None:
    """Refuse to write where something is that may not be replaced.

    Parameters
    ----------
    path : Path
        The folder to be written.
    replace : bool
        Whether a folder of interactions may be replaced.
    how : str
        How to say that it may.

    Raises
    ------
    SettingError
        If something else is there, or there is no folder to write to.
    """
    target = Path(os.path.realpath(path))  # a symbolic link stays, and the folder that it names is written
    if not target.parent.is_dir():
        raise SettingError(f"there is no folder {path.parent} to write {path.name} to; make it first")
    if not path.exists():
        return
    if not (path / HEADER).is_file():
        raise SettingError(f"{path} exists and is no folder of interactions; give another path")
    if not replace:
        raise SettingError(f"{path} exists; give {how} to replace it, or another path")


def _read_header(path: Path) -> dict[str, Any]:
    file = path / HEADER
    try:
        header = parse_json(read_text(file, _MAX_HEADER), "it")
    except FileNotFoundError:
        raise DataError(
            f"{path}: found no {HEADER} in it; expected a folder that Interactions.to_dir wrote; give a file "
            "of interactions, or such a folder"
        ) from None
    except (ModelFormatError, UnicodeDecodeError) as error:
        raise damaged(file, f"found no JSON that we write ({error})") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{file}: found another format than {FORMAT!r}; expected a folder of interactions")
    if header.get("version") != VERSION:
        raise DataError(
            f"{file}: found version {header.get('version')!r}; this sparserec_np reads {VERSION}: make the "
            "folder again, or use the sparserec_np that wrote it"
        )
    return header


def _check_header(file: Path, header: Mapping[str, Any]) -> None:
    for name in ("n_users", "n_items", "n_interactions"):
        if type(header.get(name)) is not int or header[name] < 1:
            raise damaged(file, f"found {shown(header.get(name))} as {name}")
        if name != "n_interactions" and header[name] > _MOST:
            raise damaged(file, f"found {shown(header[name])} as {name}; expected at most {_MOST:,}")
    if header["n_items"] > header["n_interactions"] + _MOST_WITHOUT:
        raise damaged(
            file, f"found {header['n_items']} as n_items, of {header['n_interactions']} interactions"
        )
    described = header.get("arrays")
    if not isinstance(described, dict) or not isinstance(header.get("ids"), dict):
        raise damaged(file, "found no description of the arrays")
    for name, entry in described.items():
        known = _DTYPES.get(name)
        if not isinstance(entry, dict) or (known and entry.get("dtype") not in known):
            raise damaged(file, f"found {entry!r} as the description of {name}")
        if known is None and name.split(".")[0] not in ("user_ids", "item_ids"):
            raise damaged(file, f"found an array {name!r}, which has no place here")
        if Path(name).name != name:
            raise damaged(file, f"found an array {name!r}, which is no file of this folder")


def _part(path: Path, parts: Path, name: str, entry: Mapping[str, Any]) -> NDArray[Any]:
    """Map an array from the folder of parts or, once it is in its place, from there."""
    file = parts / f"{name}.npy"
    described = entry.get("dtype"), entry.get("length")
    try:
        return map_array(file, *described)
    except DataError:
        if parts == path or file.exists():
            raise
    return map_array(path / file.name, *described)


def _ids(path: Path, role: str, arrays: Arrays, header: Mapping[str, Any]) -> IdMap:
    prefix = f"{role}_ids."
    parts = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    try:
        ids = IdMap.from_tensors(str(header["ids"].get(role)), parts, header[f"n_{role}s"], entity=role)
        ids.check()
    except ModelFormatError as error:
        raise damaged(path / f"{prefix}*.npy", str(error)) from None
    return ids


def _check_rows(path: Path, arrays: Arrays, n_items: int) -> None:
    """Check row pointers, columns and values, a block of them at a time."""
    indptr, items = arrays["indptr"], arrays["items"]
    fault = pattern_fault(indptr, items, n_items)
    if fault is not None:
        found = {
            "type": f"found {fault.found}; expected integers in one dimension",
            "ends": f"found row pointers from {fault.found}; expected 0 to {len(items)}",
            "falls": f"found that user row {fault.row} ends before it starts",
            "outside": f"found item row {fault.found} in user row {fault.row}; expected 0 to {n_items - 1}",
            "order": f"found item rows {fault.found}, which do not rise within user row {fault.row}",
        }[fault.kind]
        raise damaged(path / f"{fault.part}.npy".replace("indices", "items"), found)
    for name, least, most in (("weights", 0.0, MAX_WEIGHT), ("times", -np.inf, np.inf)):
        for begin in range(0, len(items) if name in arrays else 0, _BLOCK):
            values = arrays[name][begin : begin + _BLOCK]
            with np.errstate(invalid="ignore"):
                fine = np.isfinite(values) & (values > least) & (values <= most)
            if not fine.all():
                at = int(fine.argmin())
                limits = f" above 0 and at most {MAX_WEIGHT:g}" if name == "weights" else ""
                found = f"found {values[at]} at {begin + at}; expected a finite number{limits}"
                raise damaged(path / f"{name}.npy", found)
