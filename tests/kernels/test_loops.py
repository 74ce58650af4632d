import numpy as np
from numba import njit

from sparserec_np.kernels.loops import short_loop


@njit
def plain_sum(x):
    total = 0.0
    for k in range(len(x)):
        total += x[k]
    return total


@njit
def short_sum(x):
    total = 0.0
    for k in range(len(x)):
        short_loop()
        total += x[k]
    return total


def additions(kernel):
    (code,) = kernel.inspect_llvm().values()
    return code.count("fadd double")


def test_a_short_loop_computes_the_same_and_is_not_unrolled():
    for n in (0, 1, 7, 100):
        x = np.random.default_rng(n).random(n)
        assert short_sum(x) == plain_sum(x)
    assert additions(short_sum) == 1
    assert additions(plain_sum) > 1
