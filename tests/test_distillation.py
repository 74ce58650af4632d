"""The distillation loss: its gradient, its value by hand, and the scale of a teacher's scores."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from sparserec_np.autograd import Tape, check_gradients
from sparserec_np.calibration import calibrate, sample_examples
from sparserec_np.data import make_interactions
from sparserec_np.distillation import Distillation, divergence
from sparserec_np.kernels.workers import Workers
from sparserec_np.sampling import NegativeSampler


class Fixed:
    """A teacher that says the same of every batch."""

    leaves_out = True

    def __init__(self, scores):
        self._scores = np.asarray(scores, np.float32)

    def scores(self, user_rows, item_rows):
        return self._scores.copy()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_gradient_agrees_with_finite_differences(temperature):
    rng = np.random.default_rng(0)
    targets = softmax(rng.standard_normal((7, 5)), axis=1)
    targets[0] = [1, 0, 0, 0, 0]
    check_gradients(lambda scores: divergence(scores, targets, temperature), rng.standard_normal((7, 5)))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_value_is_the_divergence(temperature):
    rng = np.random.default_rng(1)
    taught, scores = rng.standard_normal((2, 9, 4)).astype(np.float32)
    distillation = Distillation(Fixed(taught), scale=2.0, weight=0.3, temperature=temperature)
    loss = distillation.loss(Tape().variable(scores), np.arange(9), np.zeros((9, 4), np.int32))
    told, said = (log_softmax(x.astype(float) / temperature, axis=1) for x in (2 * taught, scores))
    expected = 0.3 * temperature**2 * np.sum(np.exp(told) * (told - said))
    assert float(loss.value) == pytest.approx(expected, rel=1e-4)


def test_a_student_that_says_the_same_has_no_loss():
    scores = np.random.default_rng(2).standard_normal((6, 5)).astype(np.float32)
    loss = Distillation(Fixed(scores), 1.0, 5.0, 2.0).loss(Tape().variable(scores + 3), None, None)
    assert float(loss.value) == pytest.approx(0, abs=1e-4)


def test_calibration_finds_the_scale_that_positives_were_drawn_with():
    rng = np.random.default_rng(3)
    logits = 1.5 * rng.standard_normal((20_000, 6))
    # The Gumbel trick: the largest of these is a draw from the softmax; it goes to the first column.
    drawn = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    rows = np.arange(len(logits))
    logits[rows, 0], logits[rows, drawn] = logits[rows, drawn], logits[rows, 0].copy()
    found = calibrate(logits / 40 + 7)
    assert found.scale == pytest.approx(40, rel=0.05)
    assert found.surprise == pytest.approx(-log_softmax(logits, axis=1)[:, 0].mean(), abs=0.01)


@pytest.mark.parametrize("scores", [np.zeros((5, 4)), np.full((1, 4), 2.0)])
def test_scores_that_say_nothing_get_a_scale_all_the_same(scores):
    found = calibrate(scores)
    assert np.isfinite(found.scale)
    assert found.scale > 0
    assert found.surprise == pytest.approx(np.log(4))


def test_examples_are_positives_with_others():
    user_items = make_interactions(30, 20, 200, random_state=0).user_items
    with Workers(1) as workers:
        sampler = NegativeSampler(user_items, 0.0, 1, workers)
        users, items = sample_examples(user_items, sampler, 4, np.random.default_rng(0))
    seen = user_items.toarray() > 0
    assert seen[users, items[:, 0]].all()
    assert not seen[users[:, None], items[:, 1:]].any()
    assert len(users) == user_items.nnz


def test_no_examples_give_a_scale_all_the_same():
    assert calibrate(np.empty((0, 4))).scale == 1
