"""The parts that a score is the sum of, beside tables trained by sampled losses."""

from sparserec_np.parts.ials import IALSFit, fit_ials
from sparserec_np.parts.linear import fit_item_weights

__all__ = ["IALSFit", "fit_ials", "fit_item_weights"]
