"""Mutated folders of interactions, against every way to open and use them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from asking import command, finite
from cases import Cases, Fault, refused
from model_files import small_interactions
from mutating import EXTREME_INTEGERS, mutated_array, mutated_bytes, mutated_json, pick, to_json

from sparserec_np import Interactions, SparseBPR, SparseGraph, SparseMF
from sparserec_np.data import split_last, split_random

_DESCRIPTIONS = [
    "<f8",
    "<f4",
    ">f4",
    "<i8",
    ">i4",
    "|O",
    "<U4",
    "|V3",
    "<M8[s]",
    "<c8",
    "?",
    "[('a', '<f4')]",
    "f" * 300,
    "<f99",
    "é",
    "\\ud800",
    "|S0",
    "<i4, <f4",
]
_SHAPES = [
    "()",
    "(-1,)",
    "(3, 2)",
    "(0,)",
    "(1e3,)",
    "(99999999999999,)",
    "(9223372036854775808,)",
    "(True,)",
    "None",
    "[3]",
    "(3",
    "((3,),)",
    "('3',)",
    "5",
]


class Folders(Cases):
    """Mutated folders that `Interactions.to_dir` wrote."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "d.interactions"
        self.contents = []
        for ids in ("range", "int", "str"):
            for ratings in (False, True):
                made = small_interactions(ids, ratings=ratings)
                made.to_dir(self.path)
                self.contents.append({file.name: file.read_bytes() for file in self.path.iterdir()})
                for at in range(4):
                    self.use(np.random.default_rng(at), made)
                    command(*self.commands()[at])
                shutil.rmtree(self.path)

    def run(self, number, rng):
        """Open a mutated folder and use it."""
        files = dict(pick(rng, self.contents))
        self.path.mkdir()
        try:
            specials = []
            for _ in range(pick(rng, [1, 1, 1, 2])):
                self._mutate(rng, files, specials)
            for name, content in files.items():
                (self.path / name).write_bytes(content)
            for make in specials:
                make()
            opened = []
            error = refused(lambda: opened.append(Interactions.from_dir(self.path)))
            if error is None:
                self.use(rng, opened[0])
            if error is None or rng.random() < 0.3:
                command(*pick(rng, self.commands()))
        finally:
            shutil.rmtree(self.path)
        return "used" if error is None else "refused"

    def commands(self):
        """What the command line can do with a folder of interactions."""
        out = self.folder / "out.srec"
        fast = ("--epochs", 1, "--dim", 8, "-o", out, "--force")
        return [
            ("convert", self.path, "-o", self.folder / "out.interactions", "--force"),
            ("fit", self.path, *fast, "--model", "bpr"),
            ("fit", self.path, *fast, "--json"),
            ("fit", self.path, *fast, "--loss", "squared"),
        ]

    def use(self, rng, interactions):
        """Do with interactions what can be done, and check that what comes out is sound."""
        matrix = interactions.user_items
        finite(matrix.data)
        if matrix.nnz and not 0 <= matrix.indices.min() <= matrix.indices.max() < interactions.n_items:
            raise Fault(f"columns {matrix.indices.min()} to {matrix.indices.max()} of {interactions.n_items}")
        if len(interactions.users.ids()) != interactions.n_users:
            raise Fault("another number of users than ids")
        if len(interactions.items.ids()) != interactions.n_items:
            raise Fault("another number of items than ids")
        str(interactions.summary), repr(interactions)
        refused(lambda: split_random(interactions, random_state=0))
        refused(lambda: split_last(interactions))
        refused(lambda: interactions.to_dir(self.folder / "again.interactions", replace=True))
        model = pick(rng, [SparseGraph, SparseBPR, SparseMF])(dim=8, epochs=1, random_state=0, n_jobs=1)
        if refused(lambda: model.fit(interactions)) is None:
            finite(model.recommend(interactions.users[0], k=3).scores)

    def _mutate(self, rng, files, specials):
        name = pick(rng, [*files, *["interactions.json"] * 4])
        if name not in files:
            return
        how = rng.random()
        if name == "interactions.json" and how < 0.8:
            try:
                value = json.loads(files[name])
            except (ValueError, RecursionError):
                value = {}
            for _ in range(int(rng.integers(1, 3))):
                value = mutated_json(rng, value)
            files[name] = to_json(rng, value).encode("utf-8", "surrogatepass")
        elif how < 0.15:
            files[name] = mutated_bytes(rng, files[name])
        elif how < 0.3:
            files[name] = _with_header(rng, files[name])
        elif how < 0.75 and name.endswith(".npy"):
            files[name] = self._with_array(rng, files, name)
        elif how < 0.85:
            other = pick(rng, list(files))
            files[name], files[other] = files[other], files[name]
        elif how < 0.9:
            del files[name]
        else:
            del files[name]
            specials.append(lambda: self._special(rng, self.path / name))

    def _with_array(self, rng, files, name):
        """Numbers changed, and half of the time the description with them."""
        try:
            content = files[name]
            start = 10 + int.from_bytes(content[8:10], "little")
            header = eval(content[10:start])
            array = np.frombuffer(content[start:], header["descr"])
        except Exception:
            return files[name]
        array = mutated_array(rng, array)
        try:
            described = json.loads(files["interactions.json"])
            if rng.random() < 0.7:
                described["arrays"][name[:-4]] = {"dtype": array.dtype.name, "length": len(array)}
                files["interactions.json"] = json.dumps(described).encode()
        except Exception:  # the description was mutated before
            pass
        return _npy(
            f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': ({len(array)},), }}",
            array.tobytes(),
        )

    def _special(self, rng, path):
        """Put something in the place of a file that is not a regular file, or a very large one."""
        how = int(rng.integers(6))
        if how == 0:
            os.mkfifo(path)
        elif how == 1:
            path.mkdir()
        elif how == 2:
            path.symlink_to(
                pick(rng, ["/dev/zero", "/dev/null", "/dev/full", "/proc/self/mem", "/proc/version"])
            )
        elif how == 3:
            path.symlink_to(path)
        elif how == 4:
            with open(path, "wb") as file:
                file.write(b"{" if path.suffix == ".json" else _npy("{'descr': '<i4', 'shape': (3,), }", b""))
                file.truncate(1 << 40)
        else:
            path.write_bytes(b"")


def _npy(header, data, version=(1, 0), length=None):
    text = header.encode("latin1", "replace")
    text += b" " * (-(11 + len(text)) % 64) + b"\n"
    n = len(text) if length is None else length
    n = min(n, 0xFFFF) if version[0] == 1 else n
    return b"\x93NUMPY" + bytes(version) + n.to_bytes(2 if version[0] == 1 else 4, "little") + text + data


def _with_header(rng, content):
    """An array file with another header: broken brackets, other types, shapes, lengths and versions."""
    start = 10 + int.from_bytes(content[8:10], "little")
    data, count = content[start:], max(len(content[start:]) // 4, 1)
    kind = f"'{pick(rng, _DESCRIPTIONS)}'" if rng.random() < 0.4 else "'<i4'"
    shape = (
        pick(rng, [*_SHAPES, f"({pick(rng, EXTREME_INTEGERS)},)"]) if rng.random() < 0.5 else f"({count},)"
    )
    order = pick(rng, ["False", "False", "True", "0", "None", "'x'"])
    text = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}"
    if rng.random() < 0.4:
        at = int(rng.integers(len(text) + 1))
        text = pick(
            rng,
            [
                text[:at],
                text[at:],
                text[:at] + pick(rng, ["(", ")", "]", "{", "'", "#", "\\", "\0", "\n"]),
                text[:at]
                + pick(rng, ["(", ")", "[", "}", "'", '"', "\0", "\n", "lambda:0", "9" * 5000])
                + text[at:],
                "(" * 500,
                "-" * 3000 + "1",
                "__import__('os')",
                "{}",
                "[]",
                "1",
                "{'descr': '<i4'}",
                text + " " * 70_000,
            ],
        )
    version = pick(rng, [(1, 0), (1, 0), (1, 0), (2, 0), (3, 0), (0, 0), (9, 9), (1, 1)])
    length = pick(rng, [None, None, None, None, 0, 1, 65_535, max(len(text) - 1, 0)])
    if version[0] == 1:
        text = text[:60_000]
    return _npy(text, data, version, length)


make = Folders
