"""Interactions: reading, id maps, splits, synthetic data."""

from __future__ import annotations

from sparserec_np.data.conversion import Conversion, convert_csv
from sparserec_np.data.interactions import Interactions
from sparserec_np.data.splits import split_last, split_random
from sparserec_np.data.summary import ReadSummary
from sparserec_np.data.synthetic import make_interactions

__all__ = [
    "Conversion",
    "Interactions",
    "ReadSummary",
    "convert_csv",
    "make_interactions",
    "split_last",
    "split_random",
]
