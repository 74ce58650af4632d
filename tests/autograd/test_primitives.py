import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logsumexp

from sparserec_np import autograd as ag


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def positive(*shape, seed=0):
    return np.exp(0.5 * normal(*shape, seed=seed))


BINARY = [ag.add, ag.subtract, ag.multiply, ag.divide, ag.maximum]
SHAPES = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (3, 4)),
    ((3, 1), (1, 4)),
    ((3, 1), (4,)),
    ((1, 1), (3, 4)),
    ((2, 3, 1), (3, 4)),
    ((3, 4), ()),
    ((), (3, 4)),
    ((), ()),
    ((0, 3), (3,)),
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("primitive", BINARY, ids=repr)
def test_binary_primitives(primitive, shapes):
    # Positive operands: the division stays away from 0. Different seeds: maximum stays away from ties.
    ag.check_gradients(primitive, positive(*shapes[0], seed=1), positive(*shapes[1], seed=2))


UNARY = [ag.negative, ag.square, ag.exp, ag.tanh, ag.absolute, ag.sigmoid, ag.log_sigmoid]


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)], ids=str)
@pytest.mark.parametrize("primitive", UNARY, ids=repr)
def test_unary_primitives(primitive, shape):
    ag.check_gradients(primitive, normal(*shape))


@pytest.mark.parametrize("primitive", [ag.sqrt, ag.log], ids=repr)
def test_unary_primitives_of_positive_numbers(primitive):
    ag.check_gradients(primitive, positive(2, 3))


@pytest.mark.parametrize("exponent", [-1, 0, 0.5, 1, 2, 3.5])
def test_power(exponent):
    ag.check_gradients(lambda x: x**exponent, positive(2, 3))


def test_power_zero_has_no_gradient_even_at_zero():
    tape = ag.Tape()
    x = tape.variable(np.array([0.0, 2.0]))
    (gradient,) = tape.backward(ag.total(x**0), [x])
    np.testing.assert_array_equal(gradient, [0, 0])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, (0, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("primitive", [ag.total, ag.mean, ag.logsumexp], ids=repr)
def test_reductions(primitive, axis, keepdims):
    ag.check_gradients(lambda x: primitive(x, axis=axis, keepdims=keepdims), normal(2, 3, 4))


INDICES = [
    0,
    -1,
    np.int64(1),
    slice(None),
    slice(1, None, 2),
    (slice(None), 0),
    (slice(None), slice(0, 1)),
    (..., 1),
    (None, 2),
    [0, 2, 2],
    np.array([1, 1, 1]),
    (np.array([0, 0, 1]), np.array([2, 2, 3])),
    ((0, 0), slice(None)),
    np.array([True, False, True]),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_take(index):
    ag.check_gradients(lambda x: x[index], normal(3, 4))


OPERATIONS = {
    "x + c": lambda x, c: x + c,
    "c + x": lambda x, c: c + x,
    "x - c": lambda x, c: x - c,
    "c - x": lambda x, c: c - x,
    "x * c": lambda x, c: x * c,
    "c * x": lambda x, c: c * x,
    "x / c": lambda x, c: x / c,
    "c / x": lambda x, c: c / x,
}


@pytest.mark.parametrize("constant", [2, 2.5, np.float32(1.5), np.array([1.0, 2.0, 3.0])], ids=repr)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operators_with_constants_on_either_side(name, constant):
    operation = OPERATIONS[name]
    x = positive(2, 3)
    tape = ag.Tape()
    np.testing.assert_allclose(operation(tape.variable(x), constant).value, operation(x, constant))
    ag.check_gradients(lambda var: operation(var, constant), x)


def test_a_variable_used_twice_gets_both_gradients():
    ag.check_gradients(lambda x: x * x + ag.exp(x) / x - x, positive(3))


def test_values_are_those_of_numpy_and_scipy():
    x = normal(3, 4)
    assert ag.total(x) == x.sum()
    np.testing.assert_allclose(ag.mean(x, axis=0), x.mean(axis=0))
    np.testing.assert_allclose(ag.logsumexp(x, axis=1), logsumexp(x, axis=1))
    np.testing.assert_allclose(ag.sigmoid(x), expit(x))
    np.testing.assert_allclose(ag.log_sigmoid(x), np.log(expit(x)))


def test_log_sigmoid_and_logsumexp_do_not_overflow():
    np.testing.assert_array_equal(ag.log_sigmoid(np.array([-1e4, 1e4])), [-1e4, 0.0])
    np.testing.assert_allclose(ag.logsumexp(np.array([[1e4, 1e4]]), axis=1), [1e4 + np.log(2)])
    tape = ag.Tape()
    x = tape.variable(np.array([-1e4, 0.0, 1e4]))
    (gradient,) = tape.backward(ag.total(ag.log_sigmoid(x)), [x])
    np.testing.assert_array_equal(gradient, [1.0, 0.5, 0.0])


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 6))
def test_random_compositions(seed, n):
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, 5, size=8)

    def function(x, y):
        for step in steps:
            x = [
                lambda x=x: ag.tanh(x + y),
                lambda x=x: x * y,
                lambda x=x: x - ag.mean(x, axis=1, keepdims=True),
                lambda x=x: ag.log_sigmoid(y - x),
                lambda x=x: ag.logsumexp(x, axis=1, keepdims=True) + x,
            ][step]()
        return ag.total(x, axis=0)

    ag.check_gradients(function, normal(3, n, seed=seed), normal(n, seed=seed + 1), rtol=1e-4, atol=1e-5)


def test_float32_stays_float32():
    tape = ag.Tape()
    x = tape.variable(np.ones((2, 3), dtype=np.float32))
    loss = 0.5 * ag.total(ag.square(ag.log_sigmoid(x[:, :1] - x[:, 1:]))) + ag.mean(ag.logsumexp(x, axis=1))
    (gradient,) = tape.backward(loss, [x])
    assert loss.value.dtype == gradient.dtype == np.float32


@pytest.mark.parametrize("index", [0, np.s_[:, 1], np.s_[1:, ::2], np.s_[..., 0]], ids=str)
def test_adding_to_a_part(index):
    x = normal(3, 4)
    y = normal(*x[index].shape, seed=1)
    ag.check_gradients(lambda a, b: ag.square(ag.add_at(a, index, b)), x, y)
    ag.check_gradients(lambda a, b: ag.square(ag.add_at(a, index, b)), x, 0.7)
    expected = x.copy()
    expected[index] += y
    before = x.copy()
    np.testing.assert_array_equal(ag.add_at(x, index, y), expected)
    np.testing.assert_array_equal(x, before)
