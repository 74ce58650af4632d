"""What all tests share."""

import sys
from pathlib import Path

from hypothesis import settings

# Make `tables_by_hand` importable: pytest's importlib mode puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

# The first example may have to wait for numba to compile a kernel.
settings.register_profile("compiling", deadline=None)
settings.load_profile("compiling")
