import numpy as np
import pytest

from sparserec_np.kernels.cholesky import solve_positive


@pytest.mark.parametrize("n", [0, 1, 2, 7, 40])
def test_the_solution_is_that_of_numpy_and_nothing_beyond_the_system_is_touched(n):
    rng = np.random.default_rng(n)
    half = rng.standard_normal((n, n + 2))
    system, right = half @ half.T, rng.standard_normal(n)
    matrix, vector = np.full((n + 3, n + 3), 7.0), np.full(n + 3, 7.0)
    matrix[:n, :n], vector[:n] = np.tril(system), right
    solve_positive(matrix, vector, n)
    np.testing.assert_allclose(vector[:n], np.linalg.solve(system, right), rtol=1e-6)
    assert (vector[n:] == 7).all()
    assert (matrix[n:] == 7).all()
    assert (matrix[:, n:] == 7).all()


def test_singular_systems_have_finite_solutions():
    for system in (np.zeros((3, 3)), np.ones((3, 3)), np.diag([1.0, 0.0, 2.0])):
        vector = system @ np.ones(3)
        solve_positive(system.copy(), solution := vector.copy(), 3)
        assert np.isfinite(solution).all()
        np.testing.assert_allclose(system @ solution, vector, atol=1e-9)
