"""Bundles for devices: a model, the runtime that answers by it, an example and the licence, in one folder."""

from __future__ import annotations

import filecmp
import io
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sparserec_np import __version__
from sparserec_np.errors import SettingError

from .export import without

if TYPE_CHECKING:
    from sparserec_np.runtime import ModelData

_PACKAGE = "sparserec_np"
_POINTER = "__init__.py"
_MODEL = "model.srec"
_MADE_BY = '"""The runtime of sparserec_np, put beside a model by ``sparserec-np bundle``; NumPy only."""'
# The library's own names its estimators, too, which are not there.
_INIT = f"""\
{_MADE_BY}

from sparserec_np.runtime import Recommender

__version__ = "{__version__}"

__all__ = ["Recommender", "__version__"]
"""

# Of a bundle that is being replaced, or whose replacement was stopped; see `sparserec_np.folders`.
_ANNOUNCEMENT = f"""\
{_MADE_BY}

import os

# A newer bundle takes the place of this one. All of it is in the folder of parts: what lies beside this
# package is moved to its place here, if this process may write, and the package is used from there.
_here = os.path.dirname(os.path.abspath(__file__))
_parts = os.path.join(_here, "<parts>")
__path__ = [os.path.join(_parts, "{_PACKAGE}")]
for _name in os.listdir(_parts):
    if _name != "{_PACKAGE}":
        try:
            os.replace(os.path.join(_parts, _name), os.path.join(os.path.dirname(_here), _name))
        except OSError:
            pass

from sparserec_np.runtime import Recommender

__version__ = "{__version__}"

__all__ = ["Recommender", "__version__"]
"""

_EXAMPLE = '''\
"""What next? Needs Python 3.10 and NumPy 1.24, or newer, and this folder: python3 example.py"""

from pathlib import Path

from sparserec_np.runtime import Recommender

recommender = Recommender.load(Path(__file__).with_name("model.srec"), mmap="auto")
history = recommender.recommend(history=[], k=3).ids  # of nobody we know: what is popular
print("To those who like", *history, "we recommend")
for item, score in zip(*recommender.recommend(history=history, k=5)):
    print(f"{score:9.4f}  {item}")
'''

Contents = dict[str, bytes | Path]


def personal_data(model: ModelData) -> dict[str, int]:
    """Count what a model holds of the people whom it was trained on.

    Returns
    -------
    dict of str to int
        ``user_ids``, ``interactions`` (an item that a user was trained on), ``user_rows`` (of the user table)
        and ``user_biases``.
    """
    return {
        "user_ids": model.n_users,
        "interactions": 0 if model.seen is None else int(model.seen.indptr[-1]),
        "user_rows": 0 if model.users is None else model.users.n_rows,
        "user_biases": 0 if model.user_bias is None else len(model.user_bias),
    }


def write_bundle(
    model: Path,
    output: Path,
    *,
    with_users: bool = False,
    force: bool = False,
    others: Mapping[str, bytes] | None = None,
) -> dict[str, int]:
    """Write a folder with a model, the runtime as a package, an example and the licence, whole or not at all.

    Parameters
    ----------
    model : Path
        A model file; it is checked.
    output : Path
        The folder.
    with_users : bool
        Whether the model is copied as it is, with the users whom it was trained on. By default their ids,
        rows, biases and seen items are left out; it answers by history all the same.
    force : bool
        Whether the folder may hold something already. The parts of an older bundle are replaced, all else
        stays.
    others : mapping of str to bytes
        Further files for the folder, by name.

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
    from sparserec_np.folders import finish_parts, new_folder
    from sparserec_np.runtime import load_model

    data = load_model(model, verify=True)
    folder = Path(os.path.realpath(output))
    _check_folder(folder, force)
    if (folder / _PACKAGE).exists():
        finish_parts(folder / _PACKAGE, _POINTER, _take_places)
    contents: Contents = {**_package(), "example.py": _EXAMPLE.encode(), **(others or {})}
    leaves_out = not with_users and any(personal_data(data).values())
    with (
        _without_users(model, data, folder, output) if leaves_out else nullcontext(model) as contents[_MODEL]
    ):
        sizes = {
            name: content.stat().st_size if isinstance(content, Path) else len(content)
            for name, content in sorted(contents.items())
        }
        if folder.exists():
            _add(contents, folder, model)
        else:
            with new_folder(folder) as made:
                _write(contents, made)
    return sizes


@contextmanager
def _without_users(model: Path, data: ModelData, folder: Path, output: Path) -> Iterator[Path]:
    """Write the model without its users to a temporary file."""
    from sparserec_np.runtime import save_model
    from sparserec_np.runtime.files import naming_errors, temporary_folder
    from sparserec_np.runtime.format import read_tensors

    precision = read_tensors(model)[1]["precision"]
    near = folder if folder.exists() else folder.parent
    with temporary_folder(near) as temporary, naming_errors(output / _MODEL, temporary):
        smaller = Path(temporary, _MODEL)
        save_model(smaller, without(data, users=True, seen=True), precision)
        yield smaller


def _add(contents: Contents, folder: Path, model: Path) -> None:
    """Put the parts into a folder that exists, in place of those of an older bundle."""
    from sparserec_np.folders import finish_parts, new_folder, new_parts, parts_name
    from sparserec_np.runtime.files import written_whole

    package = folder / _PACKAGE
    changed = [name for name in contents if not _same(folder / name, contents[name])]
    for path in (folder / name for name in changed if not name.startswith(f"{_PACKAGE}/")):
        if path.exists() and path.samefile(model):
            raise SettingError(
                f"{path} is the model itself, and would lose its users; give --with-users to keep them, or "
                "another path as --output"
            )
        if path.exists() and not (path.is_file() and package.exists()):
            raise SettingError(f"{path} is not part of a bundle, and stays; give another path as --output")
    if not package.exists():
        try:
            with new_folder(package) as made:
                parts = made / parts_name()
                _write(contents, parts)
                (made / _POINTER).write_bytes(_announce(parts.name))
        finally:
            if package.exists():
                finish_parts(package, _POINTER, _take_places)
        return
    surplus = _surplus(package, contents)
    if len(changed) == 1 and not surplus and (folder / changed[0]).parent == folder:
        # Such as a new model of the same library: one renaming does it.
        with written_whole(folder / changed[0]) as file:
            _copy(contents[changed[0]], file)
    elif changed or surplus:
        with new_parts(package, _POINTER, _announce, _take_places) as parts:
            _write(contents, parts)


def _announce(parts: str) -> bytes:
    return _ANNOUNCEMENT.replace("<parts>", parts).encode()


def _take_places(parts: Path) -> None:
    """Move what lies beside the package, then copy the package, which is used from the parts meanwhile."""
    from sparserec_np.runtime.files import sync_folder, written_whole

    package = parts.parent
    for name in sorted(os.listdir(parts)):
        if name != _PACKAGE:
            with suppress(FileNotFoundError):  # a program that uses the bundle was faster
                os.replace(parts / name, package.parent / name)
    sync_folder(package.parent)
    new = parts / _PACKAGE
    names = [path.relative_to(new).as_posix() for path in sorted(new.rglob("*")) if path.is_file()]
    for path in _surplus(package, [f"{_PACKAGE}/{name}" for name in names]):
        path.unlink()
        with suppress(OSError):  # not empty
            path.parent.rmdir()
    for name in sorted(names, key=lambda name: name == _POINTER):  # at the end, the pointer
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        with written_whole(package / name) as file:
            file.write((new / name).read_bytes())


def _surplus(package: Path, names: Collection[str]) -> list[Path]:
    """Return the files of a package that are not among these names."""
    from sparserec_np.folders import PARTS

    known = {package.parent / name for name in names}
    return [
        path
        for path in sorted(package.rglob("*"))
        if path.is_file()
        and path not in known
        and not any(part == "__pycache__" or PARTS.fullmatch(part) for part in path.parts)
    ]


def _same(path: Path, content: bytes | Path) -> bool:
    if not path.is_file():
        return False
    if isinstance(content, Path):
        return filecmp.cmp(path, content, shallow=False)
    return path.read_bytes() == content


def _copy(content: bytes | Path, file: IO[bytes]) -> None:
    with io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb") as source:
        shutil.copyfileobj(source, file)


def _write(contents: Contents, folder: Path) -> None:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            _copy(content, file)


def _package() -> Contents:
    """Return the files of the package, by their path within the folder."""
    import sparserec_np.runtime

    runtime = Path(sparserec_np.runtime.__file__).parent
    compilation = runtime.with_name("compilation")  # for accelerate=True, where there is numba
    sources = [
        runtime.with_name("errors.py"),
        *sorted(compilation.rglob("*.py")),
        *sorted(runtime.rglob("*.py")),
    ]
    package: dict[str, bytes] = {
        source.relative_to(runtime.parent).as_posix(): source.read_bytes() for source in sources
    }
    package |= {_POINTER: _INIT.encode(), "LICENSE": _license().encode()}
    return {f"{_PACKAGE}/{name}": content for name, content in package.items()}


def _license() -> str:
    """Text of the licence, which asks to go along with every copy."""
    files = metadata.files("sparserec-np") or []
    return next(file for file in files if file.name == "LICENSE").read_text(encoding="utf-8")


def _check_folder(output: Path, force: bool) -> None:
    """Refuse what is not a folder, what is in use, and where a bundle would bury the library itself."""
    if not output.exists():
        if not output.parent.is_dir():
            raise SettingError(f"there is no folder {output.parent} to make {output.name} in; make it first")
        return
    from sparserec_np.runtime.files import remove_abandoned

    if not output.is_dir():
        raise SettingError(f"{output} is not a folder; give the path of one as --output")
    for folder in (output.parent, output):  # it may not have existed when a bundle was stopped
        remove_abandoned(folder)
    if not force and any(output.iterdir()):
        raise SettingError(f"{output} is not empty; give --force to add to it, or another path as --output")
    package = output / _PACKAGE
    if package.exists():
        init = package / _POINTER
        if not (init.is_file() and init.read_text(encoding="utf-8", errors="replace").startswith(_MADE_BY)):
            raise SettingError(f"{package} is not part of a bundle, and stays; give another path as --output")
