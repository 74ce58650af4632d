"""SparseRec's start: a nonnegative factorisation tells which entries matter to each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.exploration.blockwise import (
    Core,
    NeighbourBlocks,
    UserBlocks,
    is_large,
    strongest_table,
    table_gram,
    users_of_items,
)
from sparserec_np.exploration.masks import normalised_interactions, strongest_entries, unit_rows
from sparserec_np.exploration.spectral import spectral_factors
from sparserec_np.exploration.tall import Floats, for_parts, gram, multiply
from sparserec_np.kernels.dense import sum_dense_rows
from sparserec_np.kernels.workers import Workers
from sparserec_np.tables import SparseTable

# From a rotated start the factors are nearly sparse already; more rounds changed no figure in benchmarks.
_ROUNDS = 5
# Of rows that are folded into a factor that stays as it is, one by itself.
_FOLDING_ROUNDS = 2
# Rows compete for entries by the share that a column has in them, times this power of their interactions:
# an entry of a popular item serves more people, but no row should starve.
_POPULARITY_POWER = 0.25

# Makes dense rows, (stop - start, dim), of the rows start to stop.
Sums = Callable[[int, int], Floats]


def nmf_factors(
    user_items: sparse.csr_array,
    dim: int,
    rng: np.random.Generator,
    workers: Workers,
    vectors: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Factorise the normalised interactions: ``D_u^-½ X D_i^-½ ≈ W Hᵀ`` with ``W, H ≥ 0``.

    The normalisation by the square roots of users' and items' numbers of interactions keeps heavy users
    and best-sellers from taking all components. Multiplicative updates (Lee & Seung 2001) start from the
    positive part of singular vectors under a varimax rotation: what NNDSVD (Boutsidis & Gallopoulos 2008)
    does with singular vectors, but the rotated ones are nearly one-signed, so that little is cut off. A
    round costs as much as multiplying with the factors, which makes widths of hundreds affordable.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    dim : int
        Columns of the factors. Those beyond the rank of the matrix stay 0.
    rng : numpy.random.Generator
    workers : Workers
    vectors : float32 array (n_items, at least dim), optional
        What `singular_items` found; computed without.

    Returns
    -------
    W, H : float32 arrays (n_users, dim), (n_items, dim)
        Non-negative; each column has the same norm in both.
    """
    matrix = normalised_interactions(user_items)
    flipped = matrix.T.tocsr()
    H = spectral_factors(user_items, dim, rng, workers, vectors)
    # A column's sign is arbitrary; the one that holds its large entries is kept.
    H *= np.where(np.sum(H * H * H, axis=0) < 0, np.float32(-1), np.float32(1))
    W = np.maximum(multiply(matrix, H, workers), 0)
    H = np.maximum(H, 0)
    for _ in range(_ROUNDS):
        update(W, matrix, H, workers)
        update(H, flipped, W, workers)
    # W and H share each component's scale by chance; give both the geometric mean.
    norms_w = np.linalg.norm(W, axis=0)
    norms_h = np.linalg.norm(H, axis=0)
    shared = (norms_w > 0) & (norms_h > 0)
    balance = np.sqrt(np.divide(norms_h, norms_w, out=np.zeros_like(norms_w), where=shared))
    W *= balance
    H *= np.divide(1, balance, out=np.zeros_like(balance), where=shared)
    return W, H


def update(
    factor: Floats,
    matrix: sparse.csr_array,
    other: Floats,
    workers: Workers,
) -> None:
    """Bring ``factor @ otherᵀ`` closer to ``matrix``, in place: one multiplicative update of all rows."""
    inner = gram(other, workers).astype(np.float32)

    def update_part(part: int, rows: slice) -> None:
        wanted = np.zeros(factor[rows].shape, dtype=np.float32)
        indptr = matrix.indptr[rows.start : rows.stop + 1]
        sum_dense_rows(0, len(wanted), indptr, matrix.indices, matrix.data, other, wanted)
        _fit_rows(factor[rows], wanted, inner)

    for_parts(len(factor), update_part, workers)


def _fit_rows(rows: Floats, wanted: Floats, inner: Floats) -> None:
    """One multiplicative update of rows, in place, by their products with the other factor.

    ``wanted`` is what the data has for these, ``inner`` are the inner products of that factor's columns.
    """
    expected = rows @ inner
    np.maximum(expected, np.finfo(np.float32).tiny, out=expected)
    rows *= wanted
    rows /= expected


def nmf_tables(
    user_items: sparse.csr_array,
    dim: int,
    budget: tuple[int, int],
    *,
    rng: np.random.Generator,
    workers: Workers,
    vectors: Floats | None = None,
) -> tuple[SparseTable, SparseTable]:
    """Tables that store the strongest entries of a nonnegative factorisation, with its values.

    Factors that would be too large to be held dense are made by way of a core of the most frequent users and
    items; see `sparserec_np.exploration.blockwise`.

    Rows are scaled to length 1 before they compete: what counts is which few columns describe a row, and
    rare users and items have nearly as much right to theirs as popular ones.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions.
    dim : int
        Width of the tables.
    budget : (int, int)
        Stored entries of the user and of the item table.
    rng : numpy.random.Generator
    workers : Workers
        How many threads the linear algebra may use.
    vectors : float32 array (n_items, at least dim), optional
        What `singular_items` found, where it is at hand.

    Returns
    -------
    users, items : SparseTable
        float32; exactly as many entries as asked for. Their scale is left to the scorer.
    """
    from threadpoolctl import threadpool_limits

    of_items = np.bincount(user_items.indices, minlength=user_items.shape[1]).astype(np.int32)
    degrees = np.diff(user_items.indptr), of_items
    # With more than one BLAS thread the factors' last bits would depend on the number of threads.
    with threadpool_limits(1):
        if is_large(user_items.shape, dim):
            tables = _folded_tables(user_items, dim, budget, degrees, rng, workers)
            for table in tables:
                _start_zeros(table, rng)
            return tables
        return _whole_tables(user_items, dim, budget, degrees, rng, workers, vectors)


def _whole_tables(
    user_items: sparse.csr_array,
    dim: int,
    budget: tuple[int, int],
    degrees: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    rng: np.random.Generator,
    workers: Workers,
    vectors: Floats | None,
) -> tuple[SparseTable, SparseTable]:
    """Factorise everything, then choose."""
    factors = nmf_factors(user_items, dim, rng, workers, vectors)
    tables = []
    for factor, n, degree in zip(factors, budget, degrees, strict=True):
        scores = unit_rows(factor) * _row_weights(degree)
        positions = strongest_entries(scores, n, degree > 0, rng)
        table = SparseTable.from_positions(positions, factor.shape)
        table.data[:] = factor.reshape(-1)[positions]
        _start_zeros(table, rng)
        tables.append(table)
    return tables[0], tables[1]


def _folded_tables(
    user_items: sparse.csr_array,
    dim: int,
    budget: tuple[int, int],
    degrees: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    rng: np.random.Generator,
    workers: Workers,
) -> tuple[SparseTable, SparseTable]:
    """Factorise the core; fold all users into its items, and all items into the users' entries.

    And both once more, each into all entries of the other: the factors that were cut to these entries are
    then what fits others of the kind.
    """
    # A row's own number of interactions scales what is scaled to length 1 later.
    weights = [(np.maximum(degree, 1.0) ** -0.5).astype(np.float32) for degree in degrees]
    by_user, by_item = (user_items.indptr, user_items.indices), users_of_items(user_items)

    def fold_users(sums: Sums, inner: Floats) -> SparseTable:
        return _strongest_rows(sums, inner, dim, budget[0], degrees[0], rng)

    def fold_items(users: SparseTable) -> SparseTable:
        sums = NeighbourBlocks(*by_item, users, weights[0], workers)
        return _strongest_rows(sums, table_gram(users), dim, budget[1], degrees[1], rng)

    core = Core(user_items, dim)
    _, factors = nmf_factors(core.user_items, dim, rng, workers)
    # Of each table there is one at a time.
    users = fold_users(UserBlocks(user_items, core.items, factors, weights[1]), factors.T @ factors)
    del core, factors
    items = fold_items(users)
    del users
    users = fold_users(NeighbourBlocks(*by_user, items, weights[1], workers), table_gram(items))
    del items
    return users, fold_items(users)


def _strongest_rows(
    sums: Sums,
    inner: Floats,
    dim: int,
    n: int,
    degree: npt.NDArray[Any],
    rng: np.random.Generator,
) -> SparseTable:
    """Make one table of factors that fit ``sums``, products of the interactions with the other factor.

    ``inner`` are the inner products of that factor's columns. It stays as it is, so that each row is a
    nonnegative least squares problem by itself, which the same multiplicative updates go at.
    """

    def offer(start: int, stop: int) -> tuple[Floats, Floats]:
        wanted = sums(start, stop)
        rows = wanted.copy()
        for _ in range(_FOLDING_ROUNDS):
            _fit_rows(rows, wanted, inner)
        return unit_rows(rows), rows * _row_weights(degree[start:stop])

    return strongest_table(offer, (len(degree), dim), n, degree > 0, rng)


def _start_zeros(table: SparseTable, rng: np.random.Generator) -> None:
    """Give entries that the factorisation left at 0 a start from which both tables can move."""
    unset = table.data == 0
    if unset.any():
        typical = np.sqrt(np.mean(table.data[~unset] ** 2)) if not unset.all() else 1.0
        table.data[unset] = 0.1 * typical * rng.standard_normal(np.count_nonzero(unset))


def _row_weights(degree: npt.NDArray[Any]) -> Floats:
    """By what the scores of rows with so many interactions are multiplied; a column."""
    weights: Floats = np.maximum(degree, 1).astype(np.float32) ** _POPULARITY_POWER
    return weights[:, None]
