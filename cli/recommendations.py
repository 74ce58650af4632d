"""Recommendations for all users as a file, in the format that its name says."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from sparserec_np.errors import MissingPackageError, SettingError

if TYPE_CHECKING:
    from sparserec_np.batch import Recommendations

_COLUMNS = ("user", "item", "score", "rank")
_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_SPECIAL = re.compile(r'[",\s]')

Write = Callable[["Recommendations"], None]


class Format(NamedTuple):
    """How a file of recommendations is written.

    Attributes
    ----------
    name : str
        ``"csv"``, ``"tsv"``, ``"json"`` (one list), ``"jsonl"`` (an object a line) or ``"parquet"``.
    packed : bool
        Whether it is compressed with gzip.
    """

    name: str
    packed: bool = False


def format_of(path: Path) -> Format:
    """Tell the format of a file from the end of its name.

    Raises
    ------
    SettingError
        If there is no such format.
    """
    *_, last = ["", *path.suffixes]
    packed = last.lower() == ".gz"
    suffix = (path.suffixes[-2] if packed and len(path.suffixes) > 1 else "" if packed else last).lower()
    if suffix not in _FORMATS or (packed and _FORMATS[suffix] == "parquet"):
        raise SettingError(
            f"{path}: there is no format for a name that ends so; expected {', '.join(_FORMATS)}, all but "
            ".parquet perhaps with .gz behind it; give such a name as --output"
        )
    return Format(_FORMATS[suffix], packed)


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
def writer(format: Format, file: IO[bytes]) -> Iterator[Write]:
    """Make what writes blocks of recommendations to a file: a row, or an object, for each user and item.

    Parameters
    ----------
    format : Format
        CSV and TSV have a header.
    file : binary file
        Open for writing.
    """
    with ExitStack() as stack:
        if format.packed:
            # Without the clock: the same model gives the same bytes.
            file = stack.enter_context(
                gzip.GzipFile("", "wb", compresslevel=5, fileobj=file, mtime=0)  # type: ignore[arg-type]
            )
        if format.name == "parquet":
            yield stack.enter_context(_parquet_writer(file))
        elif format.name in ("csv", "tsv"):
            yield _delimited_writer(file, "," if format.name == "csv" else "\t")
        else:
            yield stack.enter_context(_json_writer(file, as_list=format.name == "json"))


def _delimited_writer(file: IO[bytes], separator: str) -> Write:
    file.write((separator.join(_COLUMNS) + "\n").encode())
    # Seven digits are what a float32 holds.
    line = separator.join(("%s", "%s", "%.7g", "%d")) + "\n"

    def write(block: Recommendations) -> None:
        users = _repeated(_fields(block.users), block.counts.tolist())
        items = _fields(block.items)
        rows = zip(users, items, block.scores.tolist(), block.ranks.tolist(), strict=True)
        file.write("".join(map(line.__mod__, rows)).encode())

    return write


def _fields(ids: Any) -> Sequence[Any]:
    """Ids as fields of a CSV file, quoted where that is needed, as line breaks and tabs do."""
    if isinstance(ids, list):
        return ['"' + id.replace('"', '""') + '"' if _SPECIAL.search(id) else id for id in ids]
    plain: list[int] = ids.tolist()
    return plain


@contextmanager
def _json_writer(file: IO[bytes], as_list: bool) -> Iterator[Write]:
    line = "{" + ", ".join(f'"{name}": %s' for name in _COLUMNS) + "}"
    before, between, after = ("[\n", ",\n", "\n]\n") if as_list else ("", "\n", "\n")
    started = False

    def write(block: Recommendations) -> None:
        nonlocal started
        if not len(block.scores):
            return
        users = _repeated(map(_json, _plain(block.users)), block.counts.tolist())
        scores = (
            float(f"{score:.7g}") if math.isfinite(score) else "null" for score in block.scores.tolist()
        )
        rows = zip(users, map(_json, _plain(block.items)), scores, block.ranks.tolist(), strict=True)
        file.write(((between if started else before) + between.join(map(line.__mod__, rows))).encode())
        started = True

    yield write
    file.write((after if started else before + after.lstrip() if as_list else "").encode())


def _json(id: Any) -> str:
    return json.dumps(id, ensure_ascii=False)


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
