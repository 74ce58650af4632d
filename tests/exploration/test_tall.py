import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_matrices import random_sparse

from sparserec_np.exploration.tall import for_parts, gram, inner_products, multiply, times
from sparserec_np.kernels.workers import Workers

SHAPES = {"n": st.integers(1, 50), "d": st.integers(1, 9), "m": st.integers(1, 9), "seed": st.integers(0, 99)}


@given(**SHAPES, n_jobs=st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_products_are_those_of_numpy(n, d, m, seed, n_jobs):
    rng = np.random.default_rng(seed)
    tall, square = (rng.standard_normal(shape, dtype=np.float32) for shape in ((n, d), (d, m)))
    matrix = random_sparse((m, n), density=0.3, format="csr", dtype=np.float32, rng=rng)
    with Workers(n_jobs) as workers:
        np.testing.assert_allclose(times(tall, square, workers), tall @ square, atol=1e-5)
        np.testing.assert_allclose(gram(tall, workers), tall.T @ tall, atol=1e-4)
        np.testing.assert_allclose(
            inner_products(tall, lambda rows: tall[rows] ** 2, workers), tall.T @ tall**2, atol=1e-4
        )
        np.testing.assert_allclose(multiply(matrix, tall, workers), matrix @ tall, atol=1e-5)


@given(n_rows=st.integers(1, 100), n_jobs=st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_the_parts_are_the_same_for_any_number_of_threads(n_rows, n_jobs):
    found = {}
    with Workers(n_jobs) as workers:
        n_parts = for_parts(n_rows, found.__setitem__, workers)
    assert sorted(found) == list(range(n_parts))
    rows = np.concatenate([np.arange(n_rows)[found[part]] for part in range(n_parts)])
    np.testing.assert_array_equal(rows, np.arange(n_rows))
    assert n_parts == min(8, n_rows)
