"""How large a share of the stored entries an exploration step replaces."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CosineSchedule:
    """``share(t) = prune_fraction / 2 · (1 + cos(π t / end))``, and 0 from ``end`` on.

    The decay of RigL (Evci et al. 2020, section 3) and of DSL (WSDM 2024).

    Parameters
    ----------
    prune_fraction : float
        Share at the start, 0 … 1.
    every : int
        Steps between two explorations, at least 1.
    end : int
        Step from which the mask is left alone.
    """

    prune_fraction: float
    every: int
    end: int

    def is_due(self, step: int) -> bool:
        """Whether the tables are explored after ``step`` steps (the first step counts 1)."""
        return 0 < step < self.end and step % self.every == 0

    def share(self, step: int) -> float:
        """Share of the stored entries to replace after ``step`` steps."""
        if step >= self.end:
            return 0.0
        return self.prune_fraction / 2 * (1 + math.cos(math.pi * step / self.end))
