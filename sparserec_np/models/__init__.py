"""Estimators."""

from __future__ import annotations

import os

from sparserec_np.errors import ModelFormatError, shown
from sparserec_np.models.base import SparseRecommender
from sparserec_np.models.blend import SparseBlend
from sparserec_np.models.bpr import SparseBPR
from sparserec_np.models.checkpoint import Checkpoint
from sparserec_np.models.graph import SparseGraph
from sparserec_np.models.mf import SparseMF
from sparserec_np.models.single import SparseALS, SparseLinear
from sparserec_np.runtime import load_model
from sparserec_np.runtime.format import Mapped, naming

ESTIMATORS: dict[str, type[SparseRecommender]] = {
    cls.__name__: cls for cls in (SparseBlend, SparseALS, SparseBPR, SparseGraph, SparseLinear, SparseMF)
}

__all__ = [
    "ESTIMATORS",
    "Checkpoint",
    "SparseALS",
    "SparseBPR",
    "SparseBlend",
    "SparseGraph",
    "SparseLinear",
    "SparseMF",
    "SparseRecommender",
    "load",
]


def load(path: str | os.PathLike[str], *, mmap: Mapped = True) -> SparseRecommender:
    """Open a model file as the estimator that wrote it, fitted.

    Parameters
    ----------
    path : path-like
    mmap : bool or "auto"
        Whether to map the file, or to read and check all of it; see `sparserec_np.runtime.load_model`.

    Raises
    ------
    ModelFormatError
        If the file is damaged, foreign, names an estimator that this version does not have, or does not say
        what an estimator says of itself.
    """
    data = load_model(path, mmap=mmap)
    with naming(os.fspath(path)):
        name = data.info.get("estimator")
        if name not in ESTIMATORS:
            raise ModelFormatError(f"the estimator is {shown(name)}; expected one of {', '.join(ESTIMATORS)}")
        return ESTIMATORS[name].from_model_data(data)
