"""Which entries exist before the first training step, and their values.

A factorisation says how much each entry matters (`sparserec_np.exploration.nmf`, `spectral`); which of them
are stored is decided here. `random_tables` is the control.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.exploration.selection import largest
from sparserec_np.kernels.workers import Workers
from sparserec_np.tables import SparseTable


def n_stored(density: float, n_users: int, n_items: int, dim: int) -> int:
    """Return how many entries of both tables exist at a density."""
    return round(density * (n_users + n_items) * dim)


def split_budget(density: float, n_users: int, n_items: int, dim: int, user_share: float) -> tuple[int, int]:
    """Share the stored entries out between the user and the item table.

    Together exactly `n_stored`. Users get ``user_share`` of them, but
    neither table more than ``dim`` a row, nor, while there is one for each row, less than that.
    """
    total = n_stored(density, n_users, n_items, dim)
    least_users, least_items = (n_users, n_items) if total >= n_users + n_items else (0, 0)
    users = max(round(user_share * total), total - n_items * dim, least_users)
    users = min(users, n_users * dim, total - least_items)
    return users, total - users


def normalised_interactions(
    user_items: sparse.csr_array, user_power: float = 0.5, item_power: float = 0.5
) -> sparse.csr_array:
    """``D_u^-a X D_i^-b``: every interaction ÷ powers of its user's and its item's number of them.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Only the pattern is looked at.
    user_power, item_power : float
        The powers ``a`` and ``b``; ½ each is the normalised adjacency matrix of the graph of interactions.

    Returns
    -------
    csr_array of float32
    """
    user_degree = np.diff(user_items.indptr).astype(float)
    item_degree = np.bincount(user_items.indices, minlength=user_items.shape[1]).astype(float)
    values = np.repeat(np.maximum(user_degree, 1) ** -user_power, np.diff(user_items.indptr))
    values *= (np.maximum(item_degree, 1) ** -item_power)[user_items.indices]
    return sparse.csr_array(
        (values.astype(np.float32), user_items.indices, user_items.indptr), shape=user_items.shape
    )


def unit_rows(factor: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale rows to length 1, in place; those of zeros stay as they are."""
    lengths = np.linalg.norm(factor, axis=1, keepdims=True)
    factor /= np.where(lengths > 0, lengths, 1)
    return factor


def strongest_entries(
    scores: npt.NDArray[Any], n: int, needed: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Positions of the ``n`` entries to store: the largest, but each needed row gets one while that can be.

    Parameters
    ----------
    scores : float array (n_rows, dim)
        Non-negative.
    n : int
        How many, 0 … n_rows · dim.
    needed : bool array (n_rows,)
        Rows that something is to be learnt about; the others may stay empty.
    rng : numpy.random.Generator
        Chooses among the zeros where the positive scores do not suffice.

    Returns
    -------
    int64 array (n,)
        ``row · dim + column``, ascending. Of equal scores those that stand first.
    """
    n_rows, dim = scores.shape
    flat = scores.reshape(-1)
    column = scores.argmax(axis=1)
    # A factorisation with too few columns says nothing about some rows: any column is as good.
    silent = np.flatnonzero(needed & (flat[np.arange(n_rows) * dim + column] == 0))
    column[silent] = rng.integers(dim, size=len(silent))
    best = (np.arange(n_rows) * dim + column)[needed]
    if n <= len(best):
        return best[largest(flat[best], n)]
    ranked = flat.copy()
    ranked[best] = np.inf
    n_positive = np.count_nonzero(ranked)
    if n <= n_positive:
        return largest(ranked, n)
    zeros = np.flatnonzero(ranked == 0)
    filled = rng.choice(zeros, n - n_positive, replace=False)
    return np.sort(np.concatenate([np.flatnonzero(ranked), filled]))


def random_tables(
    user_items: sparse.csr_array,
    dim: int,
    budget: tuple[int, int],
    *,
    rng: np.random.Generator,
    workers: Workers,
    vectors: npt.NDArray[np.float32] | None = None,
) -> tuple[SparseTable, SparseTable]:
    """Tables that store uniformly drawn positions with normal values; arguments as in `nmf_tables`."""
    tables = []
    for n_rows, n in zip(user_items.shape, budget, strict=True):
        positions = _distinct(n, n_rows * dim, rng)
        table = SparseTable.from_positions(positions, (n_rows, dim))
        table.data[:] = rng.standard_normal(n)
        tables.append(table)
    return tables[0], tables[1]


def _distinct(n: int, size: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """``n`` distinct numbers below ``size``, ascending, uniformly; memory in proportion to ``n``."""
    if 2 * n > size:
        return np.sort(rng.choice(size, n, replace=False, shuffle=False))
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < n:
        more = rng.integers(size, size=n - len(drawn) + n // 8 + 16)
        drawn = np.unique(np.concatenate([drawn, more]))
    surplus = rng.choice(len(drawn), len(drawn) - n, replace=False, shuffle=False)
    return np.delete(drawn, surplus)
