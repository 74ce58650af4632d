"""A start for tables over graphs: singular vectors of the interactions, rotated until they are sparse.

Singular vectors span the best subspace of a given width, but spread every item over all of it. A rotation
changes no score, and varimax finds the one in which few entries carry each row, so that keeping only these
loses little.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparserec_np.exploration.blockwise import (
    Core,
    NeighbourBlocks,
    UserBlocks,
    is_large,
    strongest_table,
    users_of_items,
)
from sparserec_np.exploration.masks import normalised_interactions, strongest_entries, unit_rows
from sparserec_np.exploration.singular import singular_items
from sparserec_np.exploration.tall import Floats, gram, inner_products, multiply, times
from sparserec_np.kernels.workers import Workers
from sparserec_np.tables import SparseTable

# The rotation is found on the rows that say most; more rows or rounds changed no figure in benchmarks.
_ROTATION_ROWS = 16_384
_ROTATION_ROUNDS = 12
# Popularity enters an item's row with this power: items of the same direction rank by it.
_POPULARITY_POWER = 0.4
# Keeps columns that few users have entries in from being blown up when items are folded in.
_RIDGE = 1e-3


def spectral_factors(
    user_items: sparse.csr_array,
    dim: int,
    rng: np.random.Generator,
    workers: Workers,
    vectors: Floats | None = None,
) -> Floats:
    """Item factors: right singular vectors of ``D_u^-½ X D_i^-½``, varimax rotated.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    dim : int
        Columns. Those beyond the rank of the matrix stay 0.
    rng : numpy.random.Generator
    workers : Workers
    vectors : float32 array (n_items, at least dim), optional
        What `singular_items` found; computed without.

    Returns
    -------
    float32 array (n_items, dim)
        Orthonormal columns.
    """
    if vectors is None:
        vectors = singular_items(user_items, dim, rng, workers)
    vectors = np.ascontiguousarray(vectors[:, :dim])
    rank = vectors.shape[1]
    strength = np.einsum("ij,ij->i", vectors, vectors)
    n_rows = min(len(vectors), max(_ROTATION_ROWS, 4 * rank))
    telling = np.sort(np.argpartition(-strength, n_rows - 1)[:n_rows])
    rotation = varimax(vectors[telling], _ROTATION_ROUNDS, workers=workers)
    out = np.zeros((len(vectors), dim), dtype=np.float32)
    out[:, :rank] = times(vectors, rotation, workers)
    return out


def varimax(loadings: Floats, rounds: int, tolerance: float = 1e-4, *, workers: Workers) -> Floats:
    """Rotation that makes the columns of ``loadings`` as sparse as a rotation can (Kaiser 1958).

    Parameters
    ----------
    loadings : float32 array (n, d)
        Not modified.
    rounds : int
        At most so many steps of the fixed-point iteration.
    tolerance : float
        Relative gain below which to stop.
    workers : Workers
        The bits do not depend on their number.

    Returns
    -------
    float32 array (d, d)
        Orthogonal; ``loadings @ rotation`` is sparse.
    """
    n, dim = loadings.shape
    rotation = np.eye(dim, dtype=np.float32)
    squares = gram(loadings, workers)
    gain = 0.0
    for _ in range(rounds):

        def cubes(rows: slice, rotation: Floats = rotation) -> Floats:
            rotated = loadings[rows] @ rotation
            return rotated * rotated * rotated  # a power would take many times as long

        turned = squares @ rotation
        lengths = np.einsum("ij,ij->j", rotation, turned)
        gradient = inner_products(loadings, cubes, workers) - turned * (lengths / n)
        left, singular, right = np.linalg.svd(gradient.astype(np.float32))
        rotation = left @ right
        total = float(singular.sum())
        if total <= gain * (1 + tolerance):
            break
        gain = total
    return rotation


def spectral_tables(
    user_items: sparse.csr_array,
    dim: int,
    budget: tuple[int, int],
    *,
    rng: np.random.Generator,
    workers: Workers,
    vectors: Floats | None = None,
) -> tuple[SparseTable, SparseTable]:
    """Make an item table of the strongest entries of `spectral_factors`, and a user table beside it.

    Popular items get more entries: what an entry is worth is its share in the scores of all who meet it.
    A user is what the whole factors of their history propagate to them, each item's over the root of its
    popularity, scaled to length 1 as in `nmf_tables`; all users compete for their entries as equals.
    Arguments as in `nmf_tables`; with a budget of 0 the user table is empty. Factors that would be too large
    to be held dense are made by way of a core of the most frequent users and items.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        if is_large(user_items.shape, dim):
            return _folded_tables(user_items, dim, budget, rng, workers)
        factors = spectral_factors(user_items, dim, rng, workers, vectors)
    degrees = np.bincount(user_items.indices, minlength=user_items.shape[1]).astype(np.float32)
    strength = np.abs(factors) * np.sqrt(degrees)[:, None]
    positions = strongest_entries(strength, budget[1], degrees > 0, rng)
    del strength
    items = SparseTable.from_positions(positions, factors.shape)
    items.data[:] = factors.reshape(-1)[positions]
    items.data *= np.repeat(degrees**_POPULARITY_POWER, np.diff(items.indptr))
    if not budget[0]:
        return SparseTable.from_positions(np.empty(0, dtype=np.int64), (user_items.shape[0], dim)), items
    people = unit_rows(multiply(normalised_interactions(user_items), factors, workers))
    positions = strongest_entries(np.abs(people), budget[0], np.diff(user_items.indptr) > 0, rng)
    users = SparseTable.from_positions(positions, people.shape)
    users.data[:] = people.reshape(-1)[positions]
    return users, items


def _folded_tables(
    user_items: sparse.csr_array,
    dim: int,
    budget: tuple[int, int],
    rng: np.random.Generator,
    workers: Workers,
) -> tuple[SparseTable, SparseTable]:
    """Do the same from singular vectors of the core, which users and then items are folded into.

    With ``P = X V`` for all users the item factors are ``Xᵀ P (Pᵀ P)⁻¹``: exactly ``V`` where these are
    singular vectors of all, rotated or not. But ``P`` is kept as the strongest entries of its rows of length
    1, so that the last factor is the one with which ``Xᵀ P`` comes closest to ``V`` for the core items.
    """
    n_users, n_items = user_items.shape
    of_user = np.diff(user_items.indptr)
    of_item = np.bincount(user_items.indices, minlength=n_items).astype(np.float32)
    core = Core(user_items, dim)
    factors = spectral_factors(core.user_items, dim, rng, workers)
    people_of = UserBlocks(user_items, core.items, factors, np.maximum(of_item, 1) ** -0.5)

    def people(start: int, stop: int) -> tuple[Floats, Floats]:
        rows = unit_rows(people_of(start, stop))
        return rows, np.abs(rows)

    # Items are known by their users' entries, so that these are needed where none is to be kept.
    n_kept = budget[0] or min(budget[1], n_users * dim)
    users = strongest_table(people, (n_users, dim), n_kept, of_user > 0, rng)
    sums = NeighbourBlocks(*users_of_items(user_items), users, np.maximum(of_user, 1.0) ** -0.5, workers)
    solve = _fitting_map(sums.of(core.items), factors)

    def items_of(start: int, stop: int) -> tuple[Floats, Floats]:
        rows = sums(start, stop) @ solve
        return rows, np.abs(rows) * np.sqrt(of_item[start:stop])[:, None]

    items = strongest_table(items_of, (n_items, dim), budget[1], of_item > 0, rng)
    items.data *= np.repeat(of_item**_POPULARITY_POWER, np.diff(items.indptr))
    if not budget[0]:
        users = SparseTable.from_positions(np.empty(0, dtype=np.int64), (n_users, dim))
    return users, items


def _fitting_map(given: Floats, wanted: Floats) -> Floats:
    """Matrix with which ``given`` comes closest to ``wanted``, by ridge regression; (dim, dim)."""
    inner = (given.T @ given).astype(np.float64)
    ridge = _RIDGE * np.trace(inner) / len(inner)
    inner[np.diag_indices(len(inner))] += max(ridge, np.finfo(np.float32).tiny)
    return np.linalg.solve(inner, (given.T @ wanted).astype(np.float64)).astype(np.float32)
