"""``sparserec-np bundle``."""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

import click

from sparserec_np import __version__
from sparserec_np.errors import SettingError

from .output import examples, size, table

_MADE_BY = '"""The runtime of sparserec_np, put beside a model by ``sparserec-np bundle``; NumPy only."""'
# The library's own names its estimators, too, which are not there.
_PACKAGE = f"""\
{_MADE_BY}

from sparserec_np.runtime import Recommender

__version__ = "{__version__}"

__all__ = ["Recommender", "__version__"]
"""

_EXAMPLE = '''\
"""What next? Needs Python 3.10 and NumPy 1.24, or newer, and this folder: python3 example.py"""

from pathlib import Path

from sparserec_np.runtime import Recommender

recommender = Recommender.load(Path(__file__).with_name("model.srec"))
history = recommender.recommend(history=[], k=3).ids  # of nobody we know: what is popular
print("To those who like", *history, "we recommend")
for item, score in zip(*recommender.recommend(history=history, k=5)):
    print(f"{score:9.4f}  {item}")
'''


@click.command(epilog=examples("sparserec-np bundle small.srec -o app/", "python3 app/example.py"))
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to be written.")
@click.option(
    "--force",
    is_flag=True,
    help="Add to a folder that is not empty; only an older bundle's parts are replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: Path, output: Path, force: bool, as_json: bool) -> None:
    """Put the model file MODEL and what answers by it into a folder to copy to a device.

    There it needs Python and NumPy alone: nothing of the library that trained it comes along.
    """
    files = write_bundle(model, output, force=force)
    total = sum(files.values())
    if as_json:
        report = {"output": str(output), "bytes": total, "files": files}
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    rows = [*_parts(files).items(), ("whole folder", total)]
    click.echo(f"{output}: {size(total)}\n\n{table(rows, ('part', 'bytes'))}\n")
    click.echo(f"Copy the folder to the device; there, run: python3 {output.resolve().name}/example.py")


def _parts(files: dict[str, int]) -> dict[str, int]:
    """Bytes of what lies in the folder itself, the package as one."""
    parts: dict[str, int] = {}
    for path, n_bytes in files.items():
        name, inside, _ = path.partition("/")
        parts[name + inside] = parts.get(name + inside, 0) + n_bytes
    return parts


def write_bundle(model: Path, output: Path, *, force: bool = False) -> dict[str, int]:
    """Write a folder with a model, the runtime as a package, an example and the licence.

    The parts are made in a temporary folder on the same disk and renamed, so that none is ever half there.

    Parameters
    ----------
    model : Path
        A model file; it is checked, and copied as it is.
    output : Path
        The folder.
    force : bool
        Whether it may hold something already. Parts of an older bundle are replaced, all else stays.

    Returns
    -------
    dict of str to int
        Bytes of each file, by its path within the folder.

    Raises
    ------
    ModelFormatError
        If the model file is damaged or foreign.
    SettingError
        If the folder cannot be written, or must not.
    """
    from sparserec_np.runtime import load_model

    load_model(model, verify=True)
    output = output.resolve()
    _check_folder(output, force)
    # A folder that exists may be the root of another disk, such as a memory card: only inside is the same.
    near = output if output.exists() else output.parent
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=near) as temporary:
        made, old = Path(temporary, "made"), Path(temporary, "old")
        files = _write_parts(made, model)
        if near != output:
            made.rename(output)
            return files
        old.mkdir()
        for part in sorted(made.iterdir()):
            if (output / part.name).exists():
                (output / part.name).rename(old / part.name)
            part.rename(output / part.name)
    return files


def _write_parts(folder: Path, model: Path) -> dict[str, int]:
    import sparserec_np.runtime

    runtime = Path(sparserec_np.runtime.__file__).parent
    compilation = runtime.with_name("compilation")  # for accelerate=True, where there is numba
    sources = [
        runtime.with_name("errors.py"),
        *sorted(compilation.rglob("*.py")),
        *sorted(runtime.rglob("*.py")),
    ]
    for source in sources:
        target = folder / "sparserec_np" / source.relative_to(runtime.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    (folder / "sparserec_np" / "__init__.py").write_text(_PACKAGE, encoding="utf-8")
    (folder / "sparserec_np" / "LICENSE").write_text(_license(), encoding="utf-8")
    (folder / "example.py").write_text(_EXAMPLE, encoding="utf-8")
    shutil.copyfile(model, folder / "model.srec")
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _license() -> str:
    """Text of the licence, which asks to go along with every copy."""
    files = metadata.files("sparserec-np") or []
    return next(file for file in files if file.name == "LICENSE").read_text(encoding="utf-8")


def _check_folder(output: Path, force: bool) -> None:
    """Refuse what is no folder, what is in use, and where a bundle would bury the library itself."""
    if not output.exists():
        if not output.parent.is_dir():
            raise SettingError(f"there is no folder {output.parent} to make {output.name} in; make it first")
        return
    if not output.is_dir():
        raise SettingError(f"{output} is no folder; give the path of one as --output")
    if not force and any(output.iterdir()):
        raise SettingError(f"{output} is not empty; give --force to add to it, or another path as --output")
    package = output / "sparserec_np"
    if package.exists():
        init = package / "__init__.py"
        if not (init.is_file() and init.read_text(encoding="utf-8", errors="replace").startswith(_MADE_BY)):
            raise SettingError(f"{package} is not part of a bundle, and stays; give another path as --output")
