"""The float32 kernels against the same functions in float64."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp, softmax

from sparserec_np import autograd as ag
from sparserec_np.kernels.exponentials import (
    log_sigmoid_flat,
    log_sigmoid_flat_vjp,
    logsumexp_rows,
    logsumexp_rows_vjp,
)


def scores(shape, scale):
    return (scale * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("scale", [1e-4, 1, 30])
@pytest.mark.parametrize("m", [1, 2, 7, 65])
def test_logsumexp_and_its_gradient_are_those_of_float64(m, scale):
    x = scores((50, m), scale)
    out, by_x = np.empty(50, np.float32), np.empty_like(x)
    logsumexp_rows(x, out)
    exact = logsumexp(x.astype(float), axis=1)
    np.testing.assert_allclose(out, exact, rtol=3e-7, atol=3e-7)
    g = scores(50, 1)
    logsumexp_rows_vjp(x, out, g, by_x)
    # What float32 keeps of the scores is all that may be lost: an exponential makes it a relative error.
    rtol = 1e-6 + np.abs(x).max() * 2e-7
    np.testing.assert_allclose(by_x, g[:, None] * softmax(x.astype(float), axis=1), rtol=rtol, atol=1e-30)


@pytest.mark.parametrize("scale", [1e-4, 1, 30])
def test_log_sigmoid_and_its_gradient_are_those_of_float64(scale):
    x = scores(1000, scale)
    out, by_x = np.empty_like(x), np.empty_like(x)
    log_sigmoid_flat(x, out)
    exact = x.astype(float)
    np.testing.assert_allclose(
        out, np.minimum(exact, 0) - np.log1p(np.exp(-np.abs(exact))), rtol=5e-7, atol=2e-38
    )
    log_sigmoid_flat_vjp(x, np.full_like(x, 3), by_x)
    np.testing.assert_allclose(by_x, 3 * expit(-exact), rtol=5e-7, atol=1e-37)


@pytest.mark.parametrize("value", [1e30, 500.0, -500.0, -1e30])
def test_no_score_is_too_large(value):
    x = np.full((1, 3), value, dtype=np.float32)
    assert ag.logsumexp(x, axis=1)[0] == pytest.approx(value + np.log(3))
    assert ag.log_sigmoid(x)[0, 0] == pytest.approx(min(value, 0))


def test_nan_stays_nan():
    for place in range(20):
        x = scores((2, 20), 1)
        x[1, place] = np.nan
        out = ag.logsumexp(x, axis=1)
        assert np.isfinite(out[0])
        assert np.isnan(out[1])
        assert np.isnan(ag.log_sigmoid(x)[1, place])


def test_rows_of_equal_minus_infinity_have_none():
    assert ag.logsumexp(np.full((2, 3), -np.inf, dtype=np.float32), axis=1).tolist() == [-np.inf] * 2


@pytest.mark.parametrize("keepdims", [False, True])
def test_the_primitives_take_the_kernels_for_float32(keepdims):
    x = scores((30, 5), 2)
    for function in (lambda v: ag.logsumexp(v, axis=1, keepdims=keepdims), ag.log_sigmoid):
        results = []
        for array in (x, x.astype(float)):
            tape = ag.Tape()
            v = tape.variable(array)
            out = function(v)
            (by_x,) = tape.backward(ag.total(ag.square(out)), [v])
            assert out.value.dtype == by_x.dtype == array.dtype
            results.append((out.value, by_x))
        for single, double in zip(*results, strict=True):
            assert single.shape == double.shape
            np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-6)
