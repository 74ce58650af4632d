"""Singular vectors of the interactions, by subspace iteration on all threads."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparserec_np.exploration.masks import normalised_interactions
from sparserec_np.exploration.tall import Floats, gram, multiply, times
from sparserec_np.kernels.workers import Workers

# Rounds, and columns beside those asked for, that make the last of these sure (Halko et al. 2011).
_ROUNDS = 5
_MORE_COLUMNS = 10
# Fewer columns take no less time to speak of, and all of a small matrix are found exactly.
_LEAST_COLUMNS = 128
# Share of the largest squared length below which a direction is rounding.
_ROUNDING = 1e-6
# And below which one is to be made orthogonal once more.
_SHORT = 1e-2


def singular_items(
    user_items: sparse.csr_array, rank: int, rng: np.random.Generator, workers: Workers
) -> Floats:
    """Right singular vectors of ``D_u^-½ X D_i^-½``, those of the largest values first.

    Subspace iteration from random columns (Halko, Martinsson and Tropp 2011, algorithm 4.4), which are made
    orthonormal by way of their Gram matrix.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    rank : int
        How many; fewer where the matrix has a lower rank.
    rng : numpy.random.Generator
    workers : Workers
        The bits do not depend on their number.

    Returns
    -------
    float32 array (n_items, at most rank)
        C-contiguous, with orthonormal columns.
    """
    from threadpoolctl import threadpool_limits

    matrix = normalised_interactions(user_items)
    flipped = matrix.T.tocsr()
    n_columns = min(max(rank + _MORE_COLUMNS, _LEAST_COLUMNS), *matrix.shape)
    # With more BLAS threads the last bits would depend on their number.
    with threadpool_limits(1):
        vectors = rng.standard_normal((matrix.shape[1], n_columns), dtype=np.float32)
        people = orthonormal(multiply(matrix, vectors, workers), workers)
        vectors = orthonormal(multiply(flipped, people, workers), workers)
        for _ in range(_ROUNDS - 1):
            people = multiply(matrix, vectors, workers)
            vectors = orthonormal(multiply(flipped, people, workers), workers)
        # Within the subspace the right ones are those of the small matrix of inner products.
        _, turn = np.linalg.eigh(gram(multiply(matrix, vectors, workers), workers))
        return times(vectors, turn[:, ::-1][:, :rank].astype(np.float32), workers)


def orthonormal(columns: Floats, workers: Workers) -> Floats:
    """Orthonormal columns of the same span, but for directions that are no more than rounding.

    Parameters
    ----------
    columns : float32 array (n, d)
        Scaled in place.
    workers : Workers

    Returns
    -------
    float32 array (n, at most d)
    """
    lengths = np.sqrt(np.einsum("ij,ij->j", columns, columns, dtype=np.float64))
    # Columns that are nearly orthogonal already, of any length, make a Gram matrix that is near the identity.
    columns /= np.where(lengths > 0, lengths, 1).astype(np.float32)
    values, turn = np.linalg.eigh(gram(columns, workers))
    largest = values.max(initial=np.finfo(np.float32).tiny)
    telling = values > _ROUNDING * largest
    turn = turn[:, telling] / np.sqrt(values[telling])
    found = times(columns, turn.astype(np.float32), workers)
    # Of a short direction the rounding of the long ones takes a larger share; made anew of columns that are
    # nearly orthonormal it is known as well as they are.
    known = values[telling].min(initial=np.inf) > _SHORT * largest
    return found if known else orthonormal(found, workers)
