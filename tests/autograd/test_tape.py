import gc
import weakref

import numpy as np
import pytest

from sparserec_np import autograd as ag


def test_a_long_tape_neither_overflows_nor_slows_down():
    tape = ag.Tape()
    x = tape.variable(np.array(1.0))
    y = x
    for _ in range(100_000):
        y = y + x
    (gradient,) = tape.backward(y, [x])
    assert gradient == 100_001


def test_what_the_loss_does_not_depend_on_has_no_gradient():
    tape = ag.Tape()
    x, y = tape.variable(np.ones(2)), tape.variable(np.ones(2))
    unused = ag.exp(y)
    assert tape.backward(ag.total(x), [y, unused]) == [None, None]


def test_gradients_by_intermediate_results():
    tape = ag.Tape()
    x = tape.variable(np.array([1.0, 2.0]))
    y = ag.square(x)
    by_x, by_y = tape.backward(ag.total(3 * y), [x, y])
    np.testing.assert_array_equal(by_y, [3, 3])
    np.testing.assert_array_equal(by_x, [6, 12])


def test_one_tape_may_be_walked_back_twice():
    tape = ag.Tape()
    x = tape.variable(np.array([1.0, 2.0]))
    loss = ag.total(ag.exp(x))
    first, second = tape.backward(loss, [x]), tape.backward(loss, [x])
    np.testing.assert_array_equal(first[0], second[0])


def test_plain_values_are_computed_and_not_recorded():
    answer = ag.exp(np.array([0.0]))
    assert isinstance(answer, np.ndarray)
    np.testing.assert_array_equal(answer, [1.0])


def test_a_loss_that_is_no_scalar_is_refused():
    tape = ag.Tape()
    x = tape.variable(np.ones(3))
    with pytest.raises(ValueError, match=r"found shape \(3,\); reduce the loss with total\(\) or mean\(\)"):
        tape.backward(x * 2, [x])


def test_a_plain_loss_is_refused():
    tape = ag.Tape()
    x = tape.variable(np.ones(3))
    with pytest.raises(TypeError, match="does not depend on a variable"):
        tape.backward(np.float64(1.0), [x])


def test_tapes_do_not_mix():
    one, other = ag.Tape(), ag.Tape()
    x, y = one.variable(np.ones(2)), other.variable(np.ones(2))
    with pytest.raises(ValueError, match="add was given variables of different tapes"):
        x + y
    with pytest.raises(ValueError, match="another tape"):
        one.backward(ag.total(y), [x])
    with pytest.raises(ValueError, match="another tape"):
        one.backward(ag.total(x), [y])


def test_an_argument_without_a_rule_is_refused_by_name():
    tape = ag.Tape()
    exponent = tape.variable(np.array(2.0))
    with pytest.raises(TypeError, match="power has no vjp"):
        tape.backward(ag.power(np.array(3.0), exponent), [exponent])


def test_a_new_primitive_takes_a_forward_and_a_rule():
    softplus = ag.Primitive("softplus", lambda x: np.log1p(np.exp(x)), lambda g, ans, x: g / (1 + np.exp(-x)))
    ag.check_gradients(softplus, np.linspace(-3, 3, 7))
    assert repr(softplus) == "<primitive softplus>"


def test_variables_show_shape_and_value():
    var = ag.Tape().variable(np.zeros((2, 3)))
    assert var.shape == (2, 3)
    assert repr(var).startswith("Var(array(")


def test_a_tape_is_freed_as_soon_as_it_is_dropped():
    # Without waiting for the garbage collector: a step's arrays must not outlive the step.
    gc.disable()
    try:
        tape = ag.Tape()
        x = tape.variable(np.ones(3))
        y = ag.exp(x)
        watched = [weakref.ref(tape), weakref.ref(y.value)]
        tape.backward(ag.total(y), [x])
        del tape, x, y
        assert [ref() for ref in watched] == [None, None]
    finally:
        gc.enable()
