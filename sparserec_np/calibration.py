"""How certain scores may be: the scale under which they are probabilities to be believed.

Teachers choose their own constants by it, and distillation the scale of what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.sampling import NegativeSampler

# Enough to know a single number by.
_N_EXAMPLES = 8192
# The scale is looked for between these powers of e, in standard deviations of the scores.
_POWERS = (-6.0, 4.0)


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` finds.

    Parameters
    ----------
    scale : float
        Factor of the scores; above 0, also for scores that say nothing.
    surprise : float
        Mean of ``-log`` probability of the positives under it.
    """

    scale: float
    surprise: float


def calibrate(scores: npt.NDArray[Any]) -> Calibration:
    """Find the factor under which the softmax of each row makes its first column likeliest.

    One number for all rows, as in C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Parameters
    ----------
    scores : float array (n, 1 + m)
        Of a positive, and of sampled items.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    behind = scores.astype(np.float64) - scores[:, :1]
    spread = float(behind.std()) if behind.size else 0.0
    if not spread > 0:
        return Calibration(1.0, float(np.log(scores.shape[1])))
    behind /= spread
    found = minimize_scalar(
        lambda power: float(np.mean(logsumexp(np.exp(power) * behind, axis=1))),
        bounds=_POWERS,
        method="bounded",
        options={"xatol": 1e-3},
    )
    return Calibration(float(np.exp(found.x) / spread), float(found.fun))


def sample_examples(
    user_items: sparse.csr_array, sampler: NegativeSampler, negatives: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Draw positives, and items of ``sampler`` for each: ``users`` (n,), ``items`` (n, 1 + negatives)."""
    lengths = np.diff(user_items.indptr)
    usable = np.flatnonzero(np.repeat(lengths < user_items.shape[1], lengths))
    chosen = np.sort(rng.choice(usable, min(len(usable), _N_EXAMPLES), replace=False))
    users = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)[chosen]
    items = np.empty((len(chosen), 1 + negatives), dtype=np.int32)
    items[:, 0] = user_items.indices[chosen]
    sampler.fill(users, items)
    return users, items
