"""Recommender embedding tables that are sparse from the first training step to the last.

The public names are loaded on first use (PEP 562): importing ``sparserec_np.runtime`` must bring in
NumPy and nothing heavier.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparserec_np.data import Interactions
    from sparserec_np.models import (
        Checkpoint,
        SparseALS,
        SparseBlend,
        SparseBPR,
        SparseGraph,
        SparseLinear,
        SparseMF,
        load,
    )
    from sparserec_np.runtime import Recommender

__version__ = "0.1.0"

_HOME = {
    "Checkpoint": "sparserec_np.models",
    "Interactions": "sparserec_np.data",
    "Recommender": "sparserec_np.runtime",
    "SparseALS": "sparserec_np.models",
    "SparseBPR": "sparserec_np.models",
    "SparseBlend": "sparserec_np.models",
    "SparseGraph": "sparserec_np.models",
    "SparseLinear": "sparserec_np.models",
    "SparseMF": "sparserec_np.models",
    "load": "sparserec_np.models",
}

__all__ = [
    "Checkpoint",
    "Interactions",
    "Recommender",
    "SparseALS",
    "SparseBPR",
    "SparseBlend",
    "SparseGraph",
    "SparseLinear",
    "SparseMF",
    "__version__",
    "load",
]


if not TYPE_CHECKING:  # else a misspelt name would be any object to a type checker

    def __getattr__(name: str) -> Any:
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
