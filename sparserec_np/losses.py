"""Losses: plain functions of the scores of a batch, written with autograd primitives.

A loss takes ``scores`` of shape (batch, 1 + m), in column 0 the positive item and behind it the ``m``
sampled negatives, and ``weights`` of shape (batch,), the weight or rating of each positive. It returns the
sum over the examples, so that the step size does not depend on the batch size. Any function of this form
can be given to an estimator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from sparserec_np.autograd import Var, log_sigmoid, logsumexp, mean, square, total

Loss = Callable[[Var, npt.NDArray[Any]], Var]


def bpr(scores: Var, weights: npt.NDArray[Any]) -> Var:
    """Bayesian Personalised Ranking: ``-log σ(s⁺ - s⁻)``, mean over the negatives (Rendle et al. 2009)."""
    return -total(mean(log_sigmoid(scores[:, :1] - scores[:, 1:]), axis=1))


def softmax(scores: Var, weights: npt.NDArray[Any]) -> Var:
    """Softmax over a sample: ``-log (exp s⁺ / Σ exp s)`` over the positive and its negatives."""
    return total(logsumexp(scores, axis=1) - scores[:, 0])


def logistic(scores: Var, weights: npt.NDArray[Any]) -> Var:
    """Pointwise logistic loss: ``-log σ(s⁺) - Σ log σ(-s⁻)``."""
    return -total(log_sigmoid(scores[:, 0])) - total(log_sigmoid(-scores[:, 1:]))


def squared(scores: Var, weights: npt.NDArray[Any]) -> Var:
    """Pointwise squared error, ``½ (s⁺ - weight)²``, against the ratings; negatives are not looked at."""
    return 0.5 * total(square(scores[:, 0] - weights))


LOSSES: dict[str, Loss] = {"bpr": bpr, "softmax": softmax, "logistic": logistic, "squared": squared}
