"""What the quality benchmark has measured: one small JSON, a line per record, written after each of them."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]

RESULTS = Path(__file__).parent / "results" / "quality.json"


class Results:
    """Records of two kinds: measured "runs", and "tuned" settings.

    A record is found again by its data set, method and seed, and is worth something only as long as its
    settings are those that are asked for.

    Parameters
    ----------
    path : path
        Created with the first record.
    """

    def __init__(self, path: Path = RESULTS) -> None:
        self._path = path

    def read(self, kind: str) -> list[Record]:
        """Return all records of a kind, sorted."""
        if not self._path.exists():
            return []
        records: list[Record] = json.loads(self._path.read_text())[kind]
        return records

    def find(self, kind: str, data: str, method: str, seed: int, settings: Any) -> Record | None:
        """Return the record with just these settings, if there is one."""
        wanted = _plain(settings)
        for record in self.read(kind):
            if _key(record) == (data, method, seed):
                return record if record["settings"] == wanted else None
        return None

    def keep(self, kind: str, data: str, method: str, seed: int, settings: Any, found: Record) -> Record:
        """Write a record in place of an older one; the file is never seen half-written."""
        record = {"data": data, "method": method, "seed": seed, **_plain(found), "settings": _plain(settings)}
        everything = {name: self.read(name) for name in ("tuned", "runs")}
        others = [old for old in everything[kind] if _key(old) != (data, method, seed)]
        everything[kind] = sorted([*others, record], key=_key)
        lines = [
            f' "{name}": [\n' + ",\n".join("  " + json.dumps(record) for record in records) + "\n ]"
            for name, records in everything.items()
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".part")
        unfinished.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        os.replace(unfinished, self._path)
        return record


def values_at(records: Sequence[Record], *path: str) -> list[float]:
    """Return what each record has at a path of keys."""
    values: list[Any] = list(records)
    for name in path:
        values = [value[name] for value in values]
    return values


def mean_at(records: Sequence[Record], *path: str) -> float:
    """Return the mean of `values_at`."""
    return statistics.fmean(values_at(records, *path))


def _key(record: Record) -> tuple[str, str, int]:
    return record["data"], record["method"], record["seed"]


def _plain(value: Any) -> Any:
    """Turn a value into what JSON gives back; six digits of a float say all that was measured."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value
