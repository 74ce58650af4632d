"""Dynamic sparse training: masks, probe rows, pruning and growing."""

from sparserec_np.exploration.masks import n_stored, random_tables, split_budget
from sparserec_np.exploration.nmf import nmf_factors, nmf_tables
from sparserec_np.exploration.probes import draw_probes, sample_rows
from sparserec_np.exploration.prune_grow import Replacement, judge_inactive, replace
from sparserec_np.exploration.schedule import CosineSchedule
from sparserec_np.exploration.selection import largest, mark_largest, mark_smallest
from sparserec_np.exploration.spectral import spectral_factors, spectral_tables, varimax

#: Ways to start the tables, by the name of the setting ``mask_init``.
MASKS = {"nmf": nmf_tables, "random": random_tables, "spectral": spectral_tables}

__all__ = [
    "MASKS",
    "CosineSchedule",
    "Replacement",
    "draw_probes",
    "judge_inactive",
    "largest",
    "mark_largest",
    "mark_smallest",
    "n_stored",
    "nmf_factors",
    "nmf_tables",
    "random_tables",
    "replace",
    "sample_rows",
    "spectral_factors",
    "spectral_tables",
    "split_budget",
    "varimax",
]
