"""``sparserec-np info``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .files import parts_of
from .output import cell, examples, metrics_table, show_json, size, table

if TYPE_CHECKING:
    from sparserec_np.runtime import ModelData, TableData


@click.command(epilog=examples("sparserec-np info data.srec"))
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: Path, as_json: bool) -> None:
    """Show what is in the model file MODEL: its tables, its bytes, and how it was trained."""
    from sparserec_np.runtime import load_model
    from sparserec_np.runtime.format import read_tensors

    described = describe(load_model(model, verify=True))
    described["precision"] = read_tensors(model)[1]["precision"]
    described["bytes"] = {
        "file": model.stat().st_size,
        "parts": parts_of(model),
        "dense_tables": dense_bytes((described["n_users"] + described["n_items"]) * described["dim"]),
    }
    if as_json:
        show_json(described)
    else:
        click.echo("\n".join(_lines(model, described)))


def describe(model: ModelData) -> dict[str, Any]:
    """Rows, dim, density, stored entries and their spread over the rows, and how the model was trained."""
    tables = {"users": model.users, "items": model.items}
    return {
        "n_users": model.n_users,
        "n_items": model.n_items,
        "dim": model.dim,
        "density": model.density,
        "nnz": model.nnz,
        "tables": {name: _spread(part) for name, part in tables.items() if part is not None},
        "encoder": {"name": model.encoder, **model.encoder_settings},
        "trained": dict(model.info),
    }


def dense_bytes(n_positions: int) -> int:
    """Bytes of tables that store every entry as float32."""
    return 4 * n_positions


def _spread(part: TableData) -> dict[str, Any]:
    import numpy as np

    per_row = np.diff(part.indptr)
    return {
        "rows": part.n_rows,
        "nnz": part.nnz,
        "density": part.nnz / max(1, part.n_rows * part.dim),
        "per_row": {
            "min": int(per_row.min(initial=part.dim)),
            "median": float(np.median(per_row)) if part.n_rows else 0.0,
            "mean": part.nnz / max(1, part.n_rows),
            "max": int(per_row.max(initial=0)),
            "empty_rows": int(np.count_nonzero(per_row == 0)),
        },
    }


def _lines(path: Path, described: dict[str, Any]) -> Iterator[str]:
    n_users, n_items, dim = described["n_users"], described["n_items"], described["dim"]
    sizes = described["bytes"]
    yield (
        f"{path}: {size(sizes['file'])}, {described['precision']}; {n_users:,} users, {n_items:,} items, "
        f"dim {dim}, density {described['density']:.4g}"
    )
    yield ""
    parts = sorted(sizes["parts"].items(), key=lambda part: -part[1])
    yield table(
        [
            *((name, n_bytes, size(n_bytes)) for name, n_bytes in parts),
            ("whole file", sizes["file"], size(sizes["file"])),
            ("dense float32 tables", sizes["dense_tables"], size(sizes["dense_tables"])),
        ],
        ("part", "bytes", ""),
    )
    yield ""
    yield table(
        [
            (
                name,
                part["rows"],
                part["nnz"],
                f"{part['density']:.4g}",
                part["per_row"]["min"],
                f"{part['per_row']['median']:g}",
                f"{part['per_row']['mean']:.2f}",
                part["per_row"]["max"],
                part["per_row"]["empty_rows"],
            )
            for name, part in described["tables"].items()
        ],
        ("table", "rows", "stored", "density", "per row: min", "median", "mean", "max", "empty rows"),
    )
    trained = dict(described["trained"])
    measured = {"held out": trained.pop("validation", None), "most popular": trained.pop("baseline", None)}
    if all(measured.values()):
        yield ""
        yield metrics_table(measured)
    if trained:
        yield ""
        yield table((name, cell(str(value))) for name, value in _flat(trained))


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Walk the leaves of nested mappings, under dotted names."""
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
