"""Interactions: reading, id maps, splits, synthetic data."""

from __future__ import annotations

from sparserec_np.data.interactions import Interactions, ReadSummary

__all__ = ["Interactions", "ReadSummary"]
