"""Solving small symmetric positive definite systems inside of kernels, without BLAS."""

from __future__ import annotations

from math import sqrt

from sparserec_np.compilation import njit

# Share of a diagonal element below which what is left of it is rounding.
_ROUNDING = 1e-12


@njit(nogil=True, inline="always", fastmath={"contract", "reassoc"})
def _dot(a, b, n):
    total = 0.0
    for k in range(n):
        total += a[k] * b[k]
    return total


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def solve_positive(matrix, vector, n):
    """Solve ``matrix @ x = vector`` by Cholesky's factorization, in place.

    Directions in which the matrix is singular, up to rounding, get a solution that is close to 0.

    Parameters
    ----------
    matrix : (at least n, at least n) float64, C-contiguous
        Symmetric and positive semi-definite. Only the lower triangle of its first ``n`` rows and columns is
        read; it is overwritten by the factor.
    vector : (at least n,) float64
        Overwritten by the solution.
    n : int
        Size of the system.
    """
    for i in range(n):
        row = matrix[i]
        for j in range(i):
            row[j] = (row[j] - _dot(row, matrix[j], j)) / matrix[j, j]
        square = row[i] - _dot(row, row, i)
        if square <= _ROUNDING * row[i]:
            square = max(row[i], 1.0)
        row[i] = sqrt(square)
        vector[i] = (vector[i] - _dot(row, vector, i)) / row[i]
    for i in range(n - 1, -1, -1):
        row = matrix[i]
        vector[i] /= row[i]
        x = vector[i]
        for j in range(i):
            vector[j] -= x * row[j]
