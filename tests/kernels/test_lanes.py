import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from sparserec_np.kernels.lanes import LANES, lane, put, root, take

DTYPES = [np.float32, np.float64]


@njit
def compute(a, b, factor, at, n, out):
    for i in range(np.uint64(0), n, np.uint64(LANES)):
        some = min(n - i, np.uint64(LANES))
        x, y = take(a, at + i, some), take(b, at + i, some)
        put(out, at + i, some, root(x) - factor * x / (y + factor) + y * factor)


@njit
def take_one_by_one(array, at, n, out):
    taken = take(array, at, n)
    for i in range(np.uint64(LANES)):
        out[i] = lane(taken, i)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 5, 15, 16, 17, 40])
def test_computes_with_each_number_as_by_itself_and_leaves_others_alone(dtype, n):
    rng = np.random.default_rng(n)
    at, size = 3, 3 + n  # the row ends where the arrays do
    a, b = (rng.uniform(1, 2, size).astype(dtype) for _ in range(2))
    room = np.full(size + LANES, -1, dtype=dtype)
    factor = dtype(0.3)
    compute(a, b, factor, np.uint64(at), np.uint64(n), room[:size])
    expected = np.sqrt(a) - factor * a / (b + factor) + b * factor
    np.testing.assert_allclose(room[at:size], expected[at:], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(room[:at], -1)
    np.testing.assert_array_equal(room[size:], -1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lanes_not_asked_for_are_zero(dtype):
    out = np.full(LANES, -1, dtype=dtype)
    take_one_by_one(np.arange(1, 40, dtype=dtype), np.uint64(2), np.uint64(min(3, LANES)), out)
    np.testing.assert_array_equal(out, np.where(np.arange(LANES) < 3, np.arange(LANES) + 3, 0))


STEP = """
import numpy as np
from sparserec_np.kernels.lanes import LANES
from sparserec_np.kernels.updates import AdagradRule, AdamRule, SGDRule, step
rng = np.random.default_rng(0)
indptr = np.concatenate([[0], np.cumsum(rng.integers(0, 40, 20))])
rows = np.array([0, 3, 4, 11, 19])
counts = np.array([1, 2, 1, 5, 1])
starts = np.concatenate([[0], np.cumsum(np.diff(indptr)[rows])])
start, values, squares, means = (
    rng.uniform(0.1, 1, n).astype("f4") for n in (indptr[-1], starts[-1], indptr[-1], indptr[-1])
)
print(LANES)
f = np.float32
for rule in (
    SGDRule(f(0.1)), AdagradRule(f(0.1), squares, f(1e-8)),
    AdamRule(f(0.1), means, squares, np.ones(indptr[-1], dtype="i4"), f(0.9), f(0.999), f(1e-8)),
):
    data = start.copy()
    arrays = [a.astype("u4") for a in (rows, counts, indptr)]
    step(0, 5, *arrays, data, starts.astype("u4"), values, f(0.01), rule)
    print(*data)
"""


def test_a_processor_without_masks_computes_the_same():
    printed = []
    for features in ({}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}):
        done = subprocess.run(
            [sys.executable, "-c", STEP],
            env=os.environ | features,
            capture_output=True,
            text=True,
            check=True,
        )
        lanes, *results = done.stdout.splitlines()
        printed.append((int(lanes), [np.array(line.split(), dtype=float) for line in results]))
    (lanes, own), (plain, results) = printed
    assert lanes == LANES
    assert plain == 1
    assert len(own) == len(results) == 3
    for x, y in zip(own, results, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)
