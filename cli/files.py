"""Files on the command line: where one may be written, and whole; how precisely, and what takes its bytes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

from sparserec_np.errors import SettingError

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KIB": 1024,
    "MIB": 1024**2,
    "GIB": 1024**3,
}


def precision_option(default: str | None) -> Any:
    """Make the option ``--precision``."""
    return click.option(
        "--precision",
        type=click.Choice(["float32", "float16", "int8"]),
        default=default,
        show_default=default is not None,
        help="Type of the tables' values in the file; int8 has a scale per row.",
    )


class Bytes(click.ParamType):
    """A number of bytes as people write it: ``500KB``, ``1.5 MB``, ``512KiB``, ``65536``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", value)
        if match is None or match[2].upper() not in _UNITS:
            self.fail(f"{value!r} is no number of bytes; expected one such as 500KB, 1.5MB or 65536")
        return int(float(match[1]) * _UNITS[match[2].upper()])


_OTHER_FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".zip", ".npz", ".pkl")


def check_name(path: Path, what: str, suffix: str) -> None:
    """Refuse a name for a file or folder that is that of another format.

    Parameters
    ----------
    path : Path
        What is to be written.
    what : str
        What it is, such as ``"a model file"``.
    suffix : str
        How its name ends by custom.
    """
    if path.suffix.lower() in _OTHER_FORMATS:
        raise SettingError(
            f"{path}: {what} is written, not a file of the format {path.suffix}; give a name that ends in "
            f"{suffix} as --output"
        )


def check_output(path: Path, source: str, force: bool) -> None:
    """Refuse before the work what could not be written after it.

    Parameters
    ----------
    path : Path
        File to be written.
    source : str
        File that is read, which must not be overwritten; ``-`` for standard input.
    force : bool
        Whether another file may be replaced.
    """
    if path.exists():
        if not path.is_file():
            raise SettingError(f"{path} is not a regular file; give the path of a file as --output")
        if source != "-" and Path(source).exists() and path.samefile(source):
            raise SettingError(f"{path} is the data; give another path as --output")
        if not force:
            raise SettingError(f"{path} exists; give --force to replace it, or another path as --output")
    folder, name = path.parent, path.name
    if path.is_symlink():  # the link stays, and the file that it names is written
        folder, name = Path(os.path.realpath(path)).parent, os.path.basename(os.path.realpath(path))
    if not folder.is_dir():
        raise SettingError(f"there is no folder {folder} to write {name} to; make it first")
    if not os.access(folder, os.W_OK):
        raise SettingError(f"the folder {folder} is not writable; give another path as --output")


def parts_of(path: Path) -> dict[str, int]:
    """Bytes of each part of a model file: its tensors, and the header with the rest."""
    from sparserec_np.runtime.format import read_tensors

    parts = {name: int(array.nbytes) for name, array in read_tensors(path)[0].items()}
    return parts | {"header": path.stat().st_size - sum(parts.values())}
