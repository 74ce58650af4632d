import numpy as np
import pytest
from scipy.special import expit

from sparserec_np import losses
from sparserec_np.autograd import Tape, check_gradients

RNG = np.random.default_rng(0)
SCORES, WEIGHTS = RNG.standard_normal((6, 4)), RNG.integers(1, 6, 6).astype(float)


def bpr(s, w):
    return -sum(np.log(expit(row[0] - row[1:])).mean() for row in s)


def softmax(s, w):
    return -sum(np.log(np.exp(row[0]) / np.exp(row).sum()) for row in s)


def logistic(s, w):
    return -sum(np.log(expit(row[0])) + np.log(expit(-row[1:])).sum() for row in s)


def squared(s, w):
    return sum((row[0] - weight) ** 2 / 2 for row, weight in zip(s, w, strict=True))


EXPECTED = {"bpr": bpr, "softmax": softmax, "logistic": logistic, "squared": squared}


@pytest.mark.parametrize("name", losses.LOSSES)
def test_losses_are_their_formulas(name):
    value = losses.LOSSES[name](Tape().variable(SCORES), WEIGHTS).value
    assert value == pytest.approx(EXPECTED[name](SCORES, WEIGHTS))


@pytest.mark.parametrize("name", losses.LOSSES)
def test_gradients(name):
    check_gradients(losses.LOSSES[name], SCORES, WEIGHTS)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_the_loss_of_a_batch_is_the_sum_over_its_examples(name):
    loss = losses.LOSSES[name]
    one_by_one = [loss(Tape().variable(SCORES[[e]]), WEIGHTS[[e]]).value for e in range(6)]
    assert loss(Tape().variable(SCORES), WEIGHTS).value == pytest.approx(sum(one_by_one))


def test_with_one_negative_softmax_is_bpr():
    scores = Tape().variable(SCORES[:, :2])
    assert losses.softmax(scores, WEIGHTS).value == pytest.approx(losses.bpr(scores, WEIGHTS).value)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_float32_stays_float32_and_finite(name):
    tape = Tape()
    scores = tape.variable(np.array([[-200, 200, 100], [200, -200, 0]], dtype=np.float32))
    loss = losses.LOSSES[name](scores, np.ones(2, dtype=np.float32))
    (gradient,) = tape.backward(loss, [scores])
    assert loss.value.dtype == gradient.dtype == np.float32
    assert np.isfinite(loss.value)
    assert np.isfinite(gradient).all()


def test_the_squared_loss_needs_no_negatives():
    assert losses.squared(Tape().variable(SCORES[:, :1]), WEIGHTS).shape == ()
