"""Knowledge distillation: the student's loss, and how far its scores are from a teacher's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.autograd import Var, logsumexp, total
from sparserec_np.sampling import NegativeSampler
from sparserec_np.teachers import Teacher

# Enough to know a single number by.
_CALIBRATION_EXAMPLES = 8192
# The scale is looked for between these powers of e, in standard deviations of the scores.
_SCALES = (-6.0, 4.0)

Rows = npt.NDArray[Any]


@dataclass(frozen=True)
class Distillation:
    """What a teacher adds to the loss of a batch.

    ``weight · T² · Σ KL(softmax(a·t / T) ‖ softmax(s / T))``, summed over the examples, each with its
    positive and sampled items, with the teacher's scores ``t`` and the student's ``s`` [1]_. The factor
    ``T²`` keeps the gradient's size where the temperature ``T`` is changed.

    A teacher's scores come on any scale, so ``a`` is the one under which they are probabilities to be
    believed: where the likelihood of the positives is greatest [2]_. Then ``T = 1`` asks the student for the
    teacher's own certainty, and more for less of it.

    Parameters
    ----------
    teacher : Teacher
    scale : float
        The factor ``a``.
    weight : float
        Of the teacher's part; that of the loss is 1.
    temperature : float
        ``T``.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", NIPS 2014 workshop.
    .. [2] C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """

    teacher: Teacher
    scale: float
    weight: float
    temperature: float

    @classmethod
    def calibrated(
        cls,
        teacher: Teacher,
        user_items: sparse.csr_array,
        sampler: NegativeSampler,
        negatives: int,
        rng: np.random.Generator,
        weight: float,
        temperature: float,
    ) -> Distillation:
        """Find the scale on a sample of the positives, with ``negatives`` items from ``sampler`` for each."""
        lengths = np.diff(user_items.indptr)
        usable = np.flatnonzero(np.repeat(lengths < user_items.shape[1], lengths))
        chosen = np.sort(rng.choice(usable, min(len(usable), _CALIBRATION_EXAMPLES), replace=False))
        users = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)[chosen]
        items = np.empty((len(chosen), 1 + negatives), dtype=np.int32)
        items[:, 0] = user_items.indices[chosen]
        sampler.fill(users, items)
        return cls(teacher, likeliest_scale(teacher.scores(users, items)), weight, temperature)

    def targets(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Return the teacher's probabilities of a batch's items, (batch, 1 + m), each row summing to 1."""
        logits = self.teacher.scores(user_rows, item_rows) * np.float32(self.scale / self.temperature)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def loss(self, scores: Var, user_rows: Rows, item_rows: Rows) -> Var:
        """Divergence of the student's scores (batch, 1 + m) from the teacher's, weighted, summed."""
        return self.weight * divergence(scores, self.targets(user_rows, item_rows), self.temperature)


def divergence(scores: Var, targets: npt.NDArray[Any], temperature: float) -> Var:
    """``T² · Σ KL(targets ‖ softmax(scores / T))`` over the rows.

    Parameters
    ----------
    scores : Var of float array (batch, n)
    targets : float array (batch, n)
        Probabilities.
    temperature : float
    """
    cold = scores * (1 / temperature)
    # 0 · log 0 is 0. The entropy moves no gradient, but makes the loss of a perfect student 0.
    negative_entropy = float(np.sum(targets * np.log(np.maximum(targets, np.finfo(targets.dtype).tiny))))
    crossed: Var = total(logsumexp(cold, axis=1)) - total(cold * targets)
    return temperature**2 * (crossed + negative_entropy)


def likeliest_scale(scores: npt.NDArray[np.float32]) -> float:
    """Factor under which the softmax of each row gives its first column the greatest likelihood.

    Parameters
    ----------
    scores : float array (n, 1 + m)

    Returns
    -------
    float
        Above 0, also of scores that say nothing.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp as logsumexp_of

    behind = scores.astype(np.float64) - scores[:, :1]
    spread = float(behind.std())
    if not spread > 0:
        return 1.0
    found = minimize_scalar(
        lambda power: float(np.mean(logsumexp_of(np.exp(power) / spread * behind, axis=1))),
        bounds=_SCALES,
        method="bounded",
        options={"xatol": 1e-3},
    )
    return float(np.exp(found.x) / spread)
