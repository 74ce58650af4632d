"""A Python that can import its standard library and NumPy, and nothing else that is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def numpy_only(folder: Path) -> list[str]:
    """Start of a command that the path of a program, and its arguments, end.

    Parameters
    ----------
    folder : Path
        An empty folder, in which NumPy will lie alone.
    """
    for package in (Path(np.__file__).parent, Path(np.__file__).parents[1] / "numpy.libs"):
        if package.exists():
            (folder / package.name).symlink_to(package)
    start = (
        "import os, runpy, sys\n"
        "sys.argv.pop(0)\n"
        f"sys.path[:0] = [os.path.dirname(sys.argv[0]), {str(folder)!r}]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return [sys.executable, "-I", "-S", "-c", start]
