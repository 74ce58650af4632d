"""Recommendations for all users as a file: CSV, perhaps compressed, or Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sparserec_np.errors import MissingPackageError

if TYPE_CHECKING:
    from sparserec_np.batch import Recommendations

_COLUMNS = ("user", "item", "score", "rank")
_SPECIAL = re.compile(r'[",\s]')

Write = Callable[["Recommendations"], None]


def is_parquet(path: Path) -> bool:
    """Whether a file of this name is to be in Parquet."""
    return path.suffix == ".parquet"


def check_parquet() -> None:
    """Refuse before the work what could not be written after it.

    Raises
    ------
    MissingPackageError
        If pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise MissingPackageError("writing Parquet", "sparserec-np[arrow]") from None


@contextmanager
def writer(path: Path, file: IO[bytes]) -> Iterator[Write]:
    """Make what writes blocks of recommendations to a file, in the format that its name says.

    Parameters
    ----------
    path : Path
        ``.parquet`` for Parquet; anything else is CSV with a header, a row for each user and item;
        compressed if it ends in ``.gz``.
    file : binary file
        Open for writing.
    """
    if is_parquet(path):
        with _parquet_writer(file) as write:
            yield write
    elif path.suffix == ".gz":
        # Without the clock: the same model gives the same bytes.
        with gzip.GzipFile("", "wb", compresslevel=5, fileobj=file, mtime=0) as packed:
            yield _csv_writer(packed)
    else:
        yield _csv_writer(file)


def _csv_writer(file: Any) -> Write:
    file.write((",".join(_COLUMNS) + "\n").encode())

    def write(block: Recommendations) -> None:
        users = _repeated(_fields(block.users), block.counts.tolist())
        rows = zip(users, _fields(block.items), block.scores.tolist(), block.ranks.tolist(), strict=True)
        # Seven digits are what a float32 holds.
        file.write("".join(map("%s,%s,%.7g,%d\n".__mod__, rows)).encode())

    return write


def _fields(ids: Any) -> Sequence[Any]:
    """Ids as fields of a CSV file: quoted where that is needed."""
    if isinstance(ids, list):
        return [_quoted(id) if _SPECIAL.search(id) else id for id in ids]
    plain: list[int] = ids.tolist()
    return plain


def _quoted(id: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow((id,))
    return text.getvalue()


def _repeated(values: Iterable[Any], counts: list[int]) -> list[Any]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


@contextmanager
def _parquet_writer(file: IO[bytes]) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None

    def write(block: Recommendations) -> None:
        nonlocal writer
        table = pa.table(
            {
                "user": pa.array(_repeated(_plain(block.users), block.counts.tolist()), _type(block.users)),
                "item": pa.array(block.items, _type(block.items)),
                "score": pa.array(block.scores, pa.float32()),
                "rank": pa.array(block.ranks, pa.int32()),
            }
        )
        if writer is None:
            writer = pq.ParquetWriter(file, table.schema)
        writer.write_table(table)

    def _type(ids: Any) -> Any:
        return pa.string() if isinstance(ids, list) else pa.int64()

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def _plain(ids: Any) -> list[Any]:
    return ids if isinstance(ids, list) else list(ids.tolist())
