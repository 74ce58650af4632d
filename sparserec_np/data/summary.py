"""What reading interactions found, for whoever wants to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sparserec_np.data.reader import Table
from sparserec_np.data.sniff import SEPARATORS


@dataclass(frozen=True)
class ReadSummary:
    """What was read, and what became of it.

    Attributes
    ----------
    source : str
        The file, or what else the rows came from.
    n_rows : int
        Rows read.
    dropped : dict of str to int
        How many rows were dropped, by reason.
    merged : int
        Rows merged into an earlier row of the same user and item.
    columns : dict of str to str
        The column that was used as ``user``, ``item``, ``weight`` and ``time``, where the source has columns.
    separator : str or None
        The separator between fields, in words.
    header : bool or None
        Whether the file has a header.
    """

    source: str
    n_rows: int
    dropped: dict[str, int] = field(default_factory=dict)
    merged: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    separator: str | None = None
    header: bool | None = None

    @classmethod
    def of_table(cls, table: Table) -> ReadSummary:
        """Say what was read from a file."""
        layout = table.layout
        names = {
            role: layout.header[position] if layout.header else f"column {position + 1}"
            for role, position in layout.columns.items()
        }
        return cls(
            source=table.source,
            n_rows=table.n_rows,
            columns=names,
            separator=SEPARATORS.get(layout.separator, repr(layout.separator)),
            header=layout.header is not None,
        )

    @classmethod
    def from_plain(cls, plain: Any, source: str) -> ReadSummary:
        """Take a summary from a folder at `source`; what does not make sense is left out: it only informs."""
        kept = plain if isinstance(plain, dict) else {}
        try:
            return cls(
                source=f"{kept['source']}, by way of {source}",
                n_rows=int(kept["n_rows"]),
                dropped={str(reason): int(count) for reason, count in kept["dropped"].items()},
                merged=int(kept["merged"]),
                columns={str(role): str(name) for role, name in kept["columns"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return cls(source=source, n_rows=0)

    def lines(self) -> list[str]:
        """Return the summary in words, a line for each thing worth knowing."""
        lines = [f"{self.n_rows:,} rows from {self.source}"]
        if self.separator is not None:
            lines[0] += f" ({self.separator} separated, {'with' if self.header else 'without'} a header)"
        if self.columns:
            lines.append("columns: " + ", ".join(f"{role} = {name}" for role, name in self.columns.items()))
        lines += [f"{count:,} rows dropped: {reason}" for reason, count in self.dropped.items()]
        if self.merged:
            lines.append(f"{self.merged:,} rows repeated a pair: merged, weights summed where given")
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())
