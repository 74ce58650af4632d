"""Linear algebra of tall dense matrices on several threads, the same bits on any number of them.

A matrix is cut into as many parts of neighbouring rows however many threads there are, each is multiplied by
one thread of BLAS, and sums over the parts are made in their order. The caller limits BLAS to one thread.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.kernels.dense import sum_dense_rows
from sparserec_np.kernels.workers import Workers

Floats = npt.NDArray[np.float32]

# Enough for the threads of a small machine; each has a sum of its own while a Gram matrix is made.
_PARTS = 8


def for_parts(n_rows: int, do: Callable[[int, slice], None], workers: Workers) -> int:
    """Call ``do(part, rows)`` for the parts of ``n_rows`` rows; returns how many there are."""
    n_parts = max(1, min(_PARTS, n_rows))
    cuts = [n_rows * p // n_parts for p in range(n_parts + 1)]

    def run(start: int, stop: int) -> None:
        for part in range(start, stop):
            do(part, slice(cuts[part], cuts[part + 1]))

    workers.run(run, n_parts, min_share=1)
    return n_parts


def times(tall: Floats, square: Floats, workers: Workers) -> Floats:
    """``tall @ square``; (n, d) by (d, m)."""
    out = np.empty((len(tall), square.shape[1]), dtype=np.float32)

    def multiply(part: int, rows: slice) -> None:
        np.matmul(tall[rows], square, out=out[rows])

    for_parts(len(tall), multiply, workers)
    return out


def inner_products(
    left: Floats, of_rows: Callable[[slice], Floats], workers: Workers
) -> npt.NDArray[np.float64]:
    """``leftᵀ @ right`` with ``right[rows] = of_rows(rows)``, made part by part; (d, m)."""
    sums: dict[int, Floats] = {}

    def multiply(part: int, rows: slice) -> None:
        sums[part] = left[rows].T @ of_rows(rows)

    n_parts = for_parts(len(left), multiply, workers)
    total = sums[0].astype(np.float64)
    for part in range(1, n_parts):
        total += sums[part]
    return total


def gram(tall: Floats, workers: Workers) -> npt.NDArray[np.float64]:
    """``tallᵀ @ tall``; (d, d)."""
    return inner_products(tall, lambda rows: tall[rows], workers)


def multiply(matrix: sparse.csr_array, dense: Floats, workers: Workers) -> Floats:
    """``matrix @ dense``; (n, m) by (m, d)."""
    out = np.zeros((matrix.shape[0], dense.shape[1]), dtype=np.float32)
    workers.run(sum_dense_rows, len(out), matrix.indptr, matrix.indices, matrix.data, dense, out)
    return out
