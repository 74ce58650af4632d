"""What all tests share."""

import logging
import os
import sys
from pathlib import Path

from hypothesis import settings

# Make `tables_by_hand` importable: pytest's importlib mode puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

# The first example may have to wait for numba to compile a kernel.
settings.register_profile("compiling", deadline=None)
settings.load_profile("compiling")

# Whether kernels have to be compiled depends on what was run before: not a word of it, here and in the
# processes that tests start.
_quiet = Path(__file__).with_name("quiet")
logging.getLogger("sparserec_np.compilation").setLevel(logging.ERROR)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_quiet), os.environ.get("PYTHONPATH"))))
