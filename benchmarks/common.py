"""What the benchmarks share: the data, a fresh process per measurement, tables and JSON."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sparserec_np
from sparserec_np.data import Interactions

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def gowalla() -> tuple[Interactions, Interactions]:
    """Train and test part of Gowalla, the test part in the rows of the train part."""
    return given_parts("gowalla")


def given_parts(name: str) -> tuple[Interactions, Interactions]:
    """Train and test part of a data set that comes split, the test part in the rows of the train part."""
    train, test = (_pairs(_data(f"{name}/{part}.csv.gz")) for part in ("train", "test"))
    return train, in_rows_of(train, test)


def _pairs(path: Path) -> Interactions:
    """Read users and items alone: that a game was never played says nothing against it."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return Interactions.from_arrays([row["user"] for row in rows], [row["item"] for row in rows])


def movielens() -> Interactions:
    """MovieLens 100K, ratings of 4 and 5 as positives."""
    return Interactions.from_csv(_data("ml-100k/u.data.gz"), min_rating=4)


def _data(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        sys.exit(f"this benchmark needs the data file shared/data/{name} beside the project; it is not there")
    return path


def in_rows_of(train: Interactions, other: Interactions) -> Interactions:
    """Return the interactions of ``other`` whose user and item ``train`` knows, in its rows."""
    from dataclasses import replace

    import numpy as np
    from scipy import sparse

    pairs = other.user_items.tocoo()
    ends = []
    for numbers, theirs, ours in (
        (pairs.row, other.users, train.users),
        (pairs.col, other.items, train.items),
    ):
        row_of = {id: row for row, id in enumerate(list(ours.ids()))}
        ends.append(np.array([row_of.get(id, -1) for id in list(theirs.ids())])[numbers])
    known = (ends[0] >= 0) & (ends[1] >= 0)
    matrix = sparse.csr_array(
        (pairs.data[known], (ends[0][known], ends[1][known])), shape=train.user_items.shape
    )
    return replace(other, user_items=matrix, users=train.users, items=train.items, times=None)


def trained(name: str, fit: Callable[[], Any], folder: Path | None = None) -> Any:
    """Return the model data of an estimator that was fitted once and then kept, outside the repository.

    What other code of the library fitted is another model, and not taken for this one.

    Parameters
    ----------
    name : str
        Names the file, with the state of the code; settings that change the model belong into it.
    fit : callable
        Returns a fitted estimator; called where the file is not there yet.
    folder : path, optional
        By default ``$SPARSEREC_CACHE``, or ``sparserec-benchmarks`` among the temporary files.
    """
    from sparserec_np.runtime import load_model

    folder = folder or Path(
        os.environ.get("SPARSEREC_CACHE") or Path(tempfile.gettempdir()) / "sparserec-benchmarks"
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{state_of_code()}.srec"
    if path.exists():
        return load_model(path)
    print(f"training {name}, kept as {path}", file=sys.stderr)
    fit().save(path)
    return load_model(path)


def state_of_code() -> str:
    """Return a few letters that change with any source file of the library."""
    folder = Path(sparserec_np.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def as_csr(table: Any) -> Any:
    """Return a runtime table as scipy's CSR."""
    import numpy as np
    from scipy import sparse

    parts = table.values, table.indices.astype(np.int32), table.indptr.astype(np.int32)
    return sparse.csr_array(parts, shape=(table.n_rows, table.dim))


def embedding_bytes(path: Path) -> int:
    """Bytes of the tables in a model file."""
    from sparserec_np.runtime.format import read_tensors

    tensors, _ = read_tensors(path)
    return sum(array.nbytes for name, array in tensors.items() if name.startswith(("users.", "items.")))


def rounded(table: Any, precision: str) -> Any:
    """Return a dense table as it comes back from float16, or from int8 with a scale per row."""
    import numpy as np

    if precision == "float32":
        return table
    if precision == "float16":
        return table.astype(np.float16).astype(np.float32)
    scale = np.abs(table).max(axis=1, keepdims=True) / np.float32(127)
    return np.rint(table / np.where(scale > 0, scale, 1)) * scale


def in_fresh_process(function: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """Call ``function(*args)`` in a new process; adds its seconds and its peak memory in bytes."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(there, function, args))
    process.start()
    there.close()
    try:
        result: dict[str, Any] = here.recv()
        return result
    except EOFError:
        raise SystemExit(f"a measurement failed: {getattr(function, '__name__', function)}{args}") from None
    finally:
        process.join()


def _child(pipe: Any, function: Callable[..., dict[str, Any]], args: tuple[Any, ...]) -> None:
    start = time.perf_counter()
    try:
        result = function(*args)
    except KeyboardInterrupt:
        return  # whoever waits for the result was stopped by the same key
    # A function that loads data first tells its own seconds; one that measures afterwards its own peak.
    result.setdefault("seconds", time.perf_counter() - start)
    result.setdefault("peak_bytes", peak_bytes())
    pipe.send(result)
    pipe.close()


def peak_bytes() -> int:
    """Most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def markdown(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Lay out a table that people read at a terminal and a README shows."""
    texts = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[c]) for row in texts) for c in range(len(headings))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in texts
    ]
    return "\n".join([lines[0], "| " + " | ".join("-" * w for w in widths) + " |", *lines[1:]])


def write_json(path: Path | None, result: Any) -> None:
    """Keep the result beside the table, where a path is given; the file is never seen half-written."""
    if path is not None:
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(result, indent=1) + "\n")
        os.replace(unfinished, path)
