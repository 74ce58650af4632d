"""Mutated files of interactions, against every way to read and use them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
from pathlib import Path

import numpy as np
from asking import command
from cases import Cases, refused
from csv_differential import write_file
from folders import Folders
from model_files import N_USERS, small_interactions
from mutating import EXTREME_INTEGERS, mutated_bytes, pick

from sparserec_np import Interactions, SparseGraph
from sparserec_np.data import convert_csv

_PIECES = [
    b'"',
    b'""',
    b",",
    b";",
    b"\t",
    b"|",
    b" ",
    b"::",
    b"\r",
    b"\r\n",
    b"\n",
    b"\n\n",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"nan",
    b"inf",
    b"-inf",
    b"1e400",
    b"-1",
    b"-0",
    b"1_000",
    b"0x10",
    b"9" * 400,
    b"3.4e38",
    b"1e38",
    b"1e-46",
    b"99999-01-01",
    b"2024-02-30",
    b"0000-00-00",
    b"2024-05-31T12:00:00Z",
    b"-2024-01-01",
    b"+",
    b"-",
    b".",
    b"e",
    b"\xef\xbc\x91",
    b"\xe2\x80\xa8",
    b"\x1f",
    b"'",
    b"\\",
    b"#",
    b"user,item\n",
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"x" * 70_000,
]
_SEPARATORS = [
    ",",
    ";",
    "\t",
    "|",
    " ",
    "::",
    "x",
    "é",
    "ab",
    '"',
    "\n",
    "\r",
    "",
    "\0",
    "1",
    "\ud800",
    ",,",
    ".",
    "-",
]
_COLUMNS = [None, None, None, 1, 2, 3, 4, 0, -1, 99, 10**30, "user", "item", "1", "2", "é", "", "²", True]


class CsvFiles(Cases):
    """Mutated files of interactions."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "d.csv"
        self.model = folder / "m.srec"
        SparseGraph(dim=8, epochs=1, random_state=0).fit(small_interactions("int")).save(self.model)
        self.folders = Folders(folder)
        rows = [
            f"{user},{item},3,{user + item}\n" for user in range(N_USERS) for item in range(user % 3, 15, 3)
        ]
        self.path.write_text("user,item,rating,time\n" + "".join(rows))
        for options in ({}, {"min_rating": 3.0}, {"weight": 3, "time": 4, "header": True}):
            self.folders.use(np.random.default_rng(0), Interactions.from_csv(self.path, **options))
        for at in range(len(self.commands())):
            command(*self.commands()[at])

    def commands(self):
        """What the command line can do with a file of interactions."""
        out = ("-o", self.folder / "out.srec", "--force", "--epochs", 1, "--dim", 8)
        return [
            ("convert", self.path, "-o", self.folder / "out.interactions", "--force"),
            ("convert", self.path, "-o", self.folder / "out.interactions", "--force", "--min-rating", 2),
            ("evaluate", self.model, self.path, "--json"),
            ("export", self.model, "-o", self.folder / "x.srec", "--force", "--test", self.path),
            ("fit", self.path, *out),
            ("fit", self.path, *out, "--max-bytes", "5KB", "--json"),
        ]

    def run(self, number, rng):
        """Read a mutated file and use it."""
        file = write_file(rng)
        content, options = file.content, file.options(rng)
        plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        for _ in range(pick(rng, [0, 1, 1, 1, 2, 3])):
            plain = self._mutated(rng, plain)
        how = rng.random()
        if how < 0.12:
            pack = pick(rng, [gzip.compress, bz2.compress, lzma.compress])
            plain = mutated_bytes(rng, pack(plain)) if rng.random() < 0.7 else pack(plain)[:-1]
        self.path.write_bytes(plain)
        if rng.random() < 0.3:
            options = self._options(rng)
        read = []
        error = refused(lambda: read.append(Interactions.from_csv(self.path, **options)))
        if error is None and read[0].n_interactions < 10_000:
            # A fit takes more time than all else together.
            self.folders.use(rng, read[0]) if rng.random() < 0.25 else str(read[0].summary)
        if rng.random() < 0.3:
            folder = self.folder / "made.interactions"
            refused(lambda: convert_csv(self.path, folder, **options, replace=True))
            shutil.rmtree(folder, ignore_errors=True)
        if rng.random() < 0.3:
            command(*pick(rng, self.commands()))
        return "used" if error is None else "refused"

    def _mutated(self, rng, content):
        if rng.random() < 0.3:
            return mutated_bytes(rng, content)
        piece = pick(rng, [*_PIECES, *(str(number).encode() for number in EXTREME_INTEGERS)])
        lines = content.split(b"\n")
        at = int(rng.integers(len(lines)))
        separator = pick(rng, [b",", b";", b"\t", b"|", b" "])
        fields = lines[at].split(separator)
        where = int(rng.integers(len(fields)))
        how = int(rng.integers(6))
        if how == 0:
            fields[where] = piece
        elif how == 1:
            fields[where] = fields[where] + piece
        elif how == 2:
            fields.insert(where, piece)
        elif how == 3:
            del fields[where]
        elif how == 4:
            lines.insert(at, lines[int(rng.integers(len(lines)))])
        else:
            cut = int(rng.integers(len(content) + 1))
            return content[:cut] + piece + content[cut:]
        if how < 4:
            lines[at] = separator.join(fields)
        return b"\n".join(lines)

    def _options(self, rng):
        options = {}
        if rng.random() < 0.7:
            for role in ("user", "item", "weight", "time"):
                if rng.random() < 0.4:
                    options[role] = pick(rng, _COLUMNS)
            if rng.random() < 0.3:
                options["sep"] = pick(rng, _SEPARATORS)
            if rng.random() < 0.3:
                options["header"] = pick(rng, [True, False, None])
            if rng.random() < 0.3:
                options["min_rating"] = pick(
                    rng, [0, 3, 4.5, -1, 1e30, float("nan"), float("inf"), -float("inf")]
                )
        return options


make = CsvFiles
