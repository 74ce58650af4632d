import re

import numpy as np
import pytest
from tables_by_hand import random_table

from sparserec_np import autograd as ag
from sparserec_np.errors import GradientError, SparserecError

NUMBER = r"-?[\d.]+(e[-+]\d+)?"


def product(left_factor=1.0, right_factor=1.0):
    """A multiplication whose rules are off by the factors."""
    return ag.Primitive(
        "product",
        np.multiply,
        lambda g, ans, x, y: left_factor * g * y,
        lambda g, ans, x, y: right_factor * g * x,
    )


def test_both_numbers_are_returned_for_each_argument():
    compared = ag.check_gradients(product(), np.ones(3), np.ones(3), n_directions=2)
    assert [c.argument for c in compared] == [0, 0, 1, 1]
    for c in compared:
        assert c.by_tape == pytest.approx(c.by_difference, rel=1e-6)
        assert re.fullmatch(rf"argument \d: ⟨v, Jᵀg⟩ is {NUMBER}, the central difference is {NUMBER}", str(c))


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_wrong_rule_is_reported_as_its_own_arguments(wrong):
    factors = [1.0, 1.0]
    factors[wrong] = 1.001
    with pytest.raises(GradientError) as error:
        ag.check_gradients(product(*factors), np.ones(3), np.arange(1.0, 4.0))
    assert f"argument {wrong}:" in str(error.value)
    assert f"argument {1 - wrong}:" not in str(error.value)


def test_one_wrong_component_of_many_is_found():
    def off_in_one(g, ans, x):
        out = 2 * g * x
        out[77] *= 1.01
        return out

    with pytest.raises(GradientError):
        ag.check_gradients(ag.Primitive("square", np.square, off_in_one), np.ones(100))


def test_a_missing_dependence_is_found():
    with pytest.raises(GradientError, match="argument 0: ⟨v, Jᵀg⟩ is 0,"):
        ag.check_gradients(lambda x: ag.total(x.value), np.ones(3))


def test_a_gradient_of_the_wrong_shape_is_found():
    unsummed = ag.Primitive("add", np.add, lambda g, ans, x, y: g, lambda g, ans, x, y: g)
    with pytest.raises(
        GradientError, match=r"argument 1: the gradient has shape \(2, 3\), the argument \(3,\)"
    ):
        ag.check_gradients(unsummed, np.ones((2, 3)), np.ones(3))


def test_an_infinite_slope_is_no_agreement():
    with np.errstate(all="ignore"), pytest.raises(GradientError):
        ag.check_gradients(ag.log, np.zeros(3))


def test_tables_are_moved_in_their_stored_entries():
    table = random_table(6, 4, 0.4)
    rows = np.array([0, 3, 3, 5])
    compared = ag.check_gradients(ag.lookup, table, rows)
    assert {c.argument for c in compared} == {0}
    assert any(c.by_tape for c in compared)


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_wrong_rule_of_a_table_is_reported_as_its_own(wrong):
    def off(rule):
        def vjp(*args):
            gradient = rule(*args)
            gradient.values *= 1.01
            return gradient

        return vjp

    vjps = list(ag.dot.vjps)
    vjps[wrong] = off(vjps[wrong])
    bad_dot = ag.Primitive("dot", ag.dot.forward, *vjps)
    rows, partners = np.array([0, 1, 1]), np.array([[0], [1], [2]])
    with pytest.raises(GradientError, match=f"argument {wrong}:") as error:
        ag.check_gradients(bad_dot, random_table(2, 4, 0.9), random_table(3, 4, 0.9), rows, partners)
    assert f"argument {1 - wrong}:" not in str(error.value)


def test_float32_inputs_are_checked_in_float64_and_not_modified():
    table = random_table(3, 4, 0.5, dtype=np.float32)
    parameter = ag.Parameter(
        table, slots=np.zeros(3, np.int32) - 1, accumulators=np.zeros((0, 4), np.float32)
    )
    values, x = table.data.copy(), np.ones(3, dtype=np.float32)
    ag.check_gradients(
        lambda p, x: ag.total(ag.lookup(p, np.array([0, 1, 2])), axis=1) * x, parameter, x, rtol=1e-7
    )
    np.testing.assert_array_equal(table.data, values)
    np.testing.assert_array_equal(x, [1, 1, 1])
    assert table.data.dtype == np.float32


def test_integers_are_handed_through():
    compared = ag.check_gradients(lambda x, index, n: x[index] * n, np.ones(3), np.array([0, 2]), 3)
    assert {c.argument for c in compared} == {0}


def test_the_error_is_the_librarys_own_and_an_assertion():
    assert issubclass(GradientError, SparserecError)
    assert issubclass(GradientError, AssertionError)
