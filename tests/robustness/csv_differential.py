"""Well-formed files of interactions, read by the library and by Python's csv module."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from cases import Cases, Fault
from mutating import pick

from sparserec_np import Interactions
from sparserec_np.data import convert_csv

SEPARATORS = [",", ",", ";", "\t", "|", " "]
_BLANKS = " \t\r"
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_FOREIGN = "éßñ日本語🎬Ωж\u00a0"
_NAMES = {
    "user": ["user", "userId", "user_id", "user_id:token"],
    "item": ["item", "movieId", "item_id"],
    "weight": ["rating", "weight", "Rating"],
    "time": ["timestamp", "time"],
}


@dataclass
class File:
    """A file, and what it takes to read it.

    Attributes
    ----------
    content : bytes
        Perhaps compressed.
    rows : list of dict of str to str
        What was written, by role.
    separator, header, by_hand
        How it is written; whether the reader is told so.
    positions : dict of str to int
        Column of each role, counted from 1.
    """

    content: bytes
    separator: str
    header: bool
    positions: dict[str, int]
    names: list[str]
    by_hand: bool
    rows: list[dict[str, str]] = field(default_factory=list)

    def options(self, rng):
        """Arguments for the reader."""
        if not self.by_hand:
            return {}
        named = self.header and rng.random() < 0.5
        chosen = {
            role: self.names[position - 1] if named else position for role, position in self.positions.items()
        }
        return {**chosen, "sep": self.separator, "header": self.header}


def write_file(rng) -> File:
    """Make up a well-formed file."""
    separator = pick(rng, SEPARATORS)
    roles = ["user", "item", *(role for role in ("weight", "time") if rng.random() < 0.5)]
    by_hand = bool(rng.random() < 0.6)
    header = bool(rng.random() < 0.5) or not by_hand
    # Without being told, the reader is to find the separator: no other one may be as good a guess.
    spice = by_hand and rng.random() < 0.5
    quotes = separator not in "\t " and spice
    columns = list(roles)
    if by_hand:
        # Without a header, a further column would be taken for the weight or the time that is not named.
        for at in range(int(rng.integers(0, 3)) if header or len(roles) == 4 else 0):
            columns.insert(int(rng.integers(len(columns) + 1)), f"more\n{at}" if quotes else f"more{at}")
        columns = rng.permutation(columns).tolist()
    make = {role: _ids(rng, quotes, separator, spice) for role in ("user", "item")}
    make |= {"weight": _weights(rng), "time": _times(rng)}
    names = [pick(rng, _NAMES[column]) if column in _NAMES else column for column in columns]
    rows = []
    for _ in range(pick(rng, [1, 2, 5, 20, 20, 60])):
        rows.append(
            {column: make[column]() if column in make else _more(rng, separator) for column in columns}
        )
    end = pick(rng, ["\n", "\n", "\r\n"])
    text = io.StringIO(newline="")
    style = pick(rng, [csv.QUOTE_MINIMAL, csv.QUOTE_ALL]) if separator not in "\t " else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=style)
    if header:
        writer.writerow(names)
    for row in rows:
        writer.writerow([row[column] for column in columns])
    content = text.getvalue()
    if rng.random() < 0.2:
        content = content.removesuffix(end)
    if rng.random() < 0.1 and '"' not in content:
        lines = content.split(end)
        lines.insert(int(rng.integers(1, len(lines) + 1)), "")
        content = end.join(lines)
    data = content.encode()
    if rng.random() < 0.2:
        data = b"\xef\xbb\xbf" + data
    if rng.random() < 0.2:
        data = gzip.compress(data, mtime=0)
    positions = {role: columns.index(role) + 1 for role in roles}
    return File(data, separator, header, positions, names, by_hand, rows)


def _ids(rng, quotes, separator, spice):
    kind = pick(rng, ["int", "int", "big", "zeros", "str", "str", "mixed", "negative"])
    pool = []
    for _ in range(int(rng.integers(1, 25))):
        number = int(rng.integers(0, 10**6))
        if kind == "big":
            pool.append(str(int(rng.integers(0, 2**63 - 1))))
        elif kind == "zeros":
            pool.append(f"{number:07d}")
        elif kind == "negative":
            pool.append(str(-number))
        elif kind == "int" or (kind == "mixed" and rng.random() < 0.5):
            pool.append(str(number))
        else:
            letters = _LETTERS + (_FOREIGN if rng.random() < 0.5 else "")
            if quotes:
                letters += f' {separator}"\n,;|:' * 2
            elif spice and separator != " ":
                letters += " :'"
            made = "".join(pick(rng, letters) for _ in range(int(rng.integers(1, 12))))
            # Blanks around a field are no part of it.
            pool.append(made if made.strip(_BLANKS) else "x")
    return lambda: pick(rng, pool)


def _weights(rng):
    kind = int(rng.integers(4))
    return lambda: pick(
        rng,
        [str(int(rng.integers(0 if kind == 3 else 1, 6))), f"{rng.random() * 5:.{kind + 1}f}"]
        + ([f"{rng.random():.6e}", "1e3", ".5", "5.", "+2"] if kind == 2 else []),
    )


def _times(rng):
    kind = int(rng.integers(4))

    def make():
        seconds = int(rng.integers(0, 2**31))
        if kind == 0:
            return str(seconds)
        if kind == 1:
            return f"{seconds}.{int(rng.integers(1000)):03d}"
        moment = datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)
        if kind == 2:
            return moment.date().isoformat()
        return moment.isoformat() + pick(rng, ["", "", "Z", "+02:00"])

    return make


def _more(rng, separator):
    return pick(rng, ["x", "0"] if separator == " " else ["", "", "x", "0", "long text here"])


def read_by_csv(file: File, rng_free_options: dict) -> tuple[dict, set, set]:
    """Read a file by Python's csv module: pairs with weight and time, and the ids."""
    data = gzip.decompress(file.content) if file.content.startswith(b"\x1f\x8b") else file.content
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    rows = [row for row in csv.reader(text, delimiter=file.separator) if row]
    rows = rows[1:] if file.header else rows
    columns = {
        role: [row[position - 1].strip(_BLANKS) for row in rows] for role, position in file.positions.items()
    }
    users, items = (_as_ids(columns[role]) for role in ("user", "item"))
    weights = [float(np.float32(float(text))) for text in columns.get("weight", ["1"] * len(rows))]
    times = [_seconds(text) for text in columns.get("time", ["0"] * len(rows))]
    least = rng_free_options.get("min_rating")
    pairs: dict = defaultdict(lambda: [0.0, -math.inf])
    for user, item, weight, time in zip(users, items, weights, times, strict=True):
        if least is not None and weight < np.float32(least):
            continue
        pair = pairs[user, item]
        pair[0] += weight
        pair[1] = max(pair[1], time)
    found = {
        pair: (1.0 if least is not None or "weight" not in columns else weight, time)
        for pair, (weight, time) in pairs.items()
        if least is not None or weight > 0
    }
    return found, {user for user, _ in found}, {item for _, item in found}


def _as_ids(texts):
    if all(
        text.lstrip("-").isascii() and text.lstrip("-").isdigit() and str(int(text)) == text for text in texts
    ):
        numbers = [int(text) for text in texts]
        if all(-(1 << 63) <= number < 1 << 63 for number in numbers):
            return numbers
    return texts


def _seconds(text):
    try:
        return float(text)
    except ValueError:
        date = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp()


class CsvDifferential(Cases):
    """Well-formed files: the library finds in them what Python's csv module does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "data.csv"

    def run(self, number, rng):
        """Read a file in both ways."""
        file = write_file(rng)
        self.path.write_bytes(file.content)
        options = file.options(rng)
        if "weight" in file.positions and rng.random() < 0.3:
            options["min_rating"] = pick(rng, [0, 1, 2.5, 4])
        expected, users, items = read_by_csv(file, options)
        if not expected:
            return "nothing in it"
        found = Interactions.from_csv(self.path, **options)
        self._compare(file, options, found, expected, users, items)
        if rng.random() < 0.2:
            folder = self.folder / "data.interactions"
            convert_csv(self.path, folder, **options, replace=True)
            self._compare(file, options, Interactions.from_dir(folder), expected, users, items)
        return "the same"

    def _compare(self, file, options, found, expected, users, items):
        shown = f"{file.content[:2000]!r} with {options}"
        for name, mine, theirs in (("users", users, found.users), ("items", items, found.items)):
            if list(theirs.ids()) != sorted(mine):
                raise Fault(f"{name}: found {list(theirs.ids())}; expected {sorted(mine)}: {shown}")
        pairs = found.user_items.tocoo()
        user_ids, item_ids = list(found.users.ids()), list(found.items.ids())
        times = found.times if "time" in file.positions else np.zeros(pairs.nnz)
        if times is None or len(pairs.data) != len(expected):
            raise Fault(f"found {pairs.nnz} pairs, times {times}; expected {expected}: {shown}")
        for row, column, weight, time in zip(pairs.row, pairs.col, pairs.data, times, strict=True):
            pair = user_ids[row], item_ids[column]
            wanted = expected.get(pair)
            if wanted is None:
                raise Fault(f"found {pair}: {shown}")
            if not math.isclose(weight, wanted[0], rel_tol=1e-5) or abs(time - wanted[1]) > 1e-5:
                raise Fault(f"found {pair}: {weight}, {time}; expected {wanted}: {shown}")


make = CsvDifferential
