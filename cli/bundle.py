"""``sparserec-np bundle``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from .bundling import personal_data, write_bundle
from .output import examples, show_json, size, table


@click.command(epilog=examples("sparserec-np bundle small.srec -o app/", "python3 app/example.py"))
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to be written.")
@click.option(
    "--with-users",
    is_flag=True,
    help="Keep what the model knows of the users it was trained on: their ids, histories and rows.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Add to a folder that is not empty; only an older bundle's parts are replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: Path, output: Path, with_users: bool, force: bool, as_json: bool) -> None:
    """Put the model file MODEL and what answers by it into a folder to copy to a device.

    There it needs Python and NumPy alone: nothing of the library that trained it comes along. Nor do the
    users whom it was trained on, unless you ask for them: the app recommends by the items that people like.
    """
    from sparserec_np.runtime import load_model

    personal = {"kept" if with_users else "left_out": personal_data(load_model(model, verify=True))}
    files = write_bundle(model, output, with_users=with_users, force=force)
    total = sum(files.values())
    if as_json:
        report = {"output": str(output), "bytes": total, "files": files, "personal_data": personal}
        show_json(report)
        return
    rows = [*_parts(files).items(), ("whole folder", total)]
    click.echo(f"{output}: {size(total)}\n\n{table(rows, ('part', 'bytes'))}\n")
    click.echo(_of_users(**personal))
    click.echo(f"Copy the folder to the device; there, run: python3 {output.resolve().name}/example.py")


def _of_users(*, kept: Mapping[str, int] | None = None, left_out: Mapping[str, int] | None = None) -> str:
    """Say which personal data are in the folder, and which are left out."""
    counts = kept or left_out or {}
    found = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items() if n)
    if not found:
        return "Personal data: none; the model knows no users."
    if kept:
        return f"Personal data in the model: {found}. Without --with-users they are left out."
    return f"Personal data: none. Left out of the model: {found}; --with-users keeps them."


def _parts(files: dict[str, int]) -> dict[str, int]:
    """Bytes of what lies in the folder itself, the package as one."""
    parts: dict[str, int] = {}
    for path, n_bytes in files.items():
        name, inside, _ = path.partition("/")
        parts[name + inside] = parts.get(name + inside, 0) + n_bytes
    return parts
