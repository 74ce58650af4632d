"""Knowledge distillation: the student's loss, and how far its scores are from a teacher's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.autograd import Var, logsumexp, total
from sparserec_np.calibration import calibrate, sample_examples
from sparserec_np.sampling import NegativeSampler
from sparserec_np.teachers import Teacher

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
        scores = teacher.scores(*sample_examples(user_items, sampler, negatives, rng))
        return cls(teacher, calibrate(scores).scale, weight, temperature)

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
