"""The parts of the package's description that ``pyproject.toml`` has no words for.

- The packages are found, so that a new one cannot be forgotten.
- The README gets absolute addresses for its pictures and links, because a package index shows it without the
  repository around it.
- An installation in place is made visible to type checkers.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

PACKAGE = "sparserec_np"
ROOT = Path(__file__).resolve().parent
REPOSITORY = "https://github.com/sparserec-np/sparserec-np"
FILES = "https://raw.githubusercontent.com/sparserec-np/sparserec-np/main"


def packages() -> dict[str, str]:
    """Return every package and its folder.

    The command line lives in ``cli/`` at the top of the repository, but is installed inside the package:
    nobody wants a global module called ``cli`` in their environment.
    """
    found = {}
    for name, folder in ((PACKAGE, PACKAGE), (f"{PACKAGE}.cli", "cli")):
        found[name] = folder
        for inner in find_packages(str(ROOT / folder)):
            found[f"{name}.{inner}"] = f"{folder}/{inner.replace('.', '/')}"
    return found


def long_description() -> str:
    """Return the README with absolute addresses instead of paths within the repository."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r'(!\[[^\]]*\]\(|<img src=")(?!\w+:)', rf"\g<1>{FILES}/", text)
    return re.sub(r"((?<!!)\[[^\]]*\]\()(?!\w+:|#)", rf"\g<1>{REPOSITORY}/blob/main/", text)


class BuildPy(build_py):
    """Makes an installation in place visible to static type checkers.

    Setuptools installs an import hook there, which only a running Python follows. A path file with the folder
    of the repository is understood by mypy and pyright as well.
    """

    def run(self) -> None:
        """Copy the modules, or in place write the path file that setuptools then packs with the hook."""
        super().run()
        if self.editable_mode:
            site_packages = Path(self.distribution.get_command_obj("install").install_purelib)
            (site_packages / f"{PACKAGE}.pth").write_text(f"{ROOT}\n", encoding="utf-8")


setup(
    cmdclass={"build_py": BuildPy},
    packages=list(packages()),
    package_dir=packages(),
    package_data={PACKAGE: ["py.typed"]},
    long_description=long_description(),
    long_description_content_type="text/markdown",
)
