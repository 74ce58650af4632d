"""Which entries exist before the first training step, and their values.

`nmf_tables` is SparseRec's start: a nonnegative factorisation of the interactions tells which few columns
matter to each row. `random_tables` is the control.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.exploration.selection import largest
from sparserec_np.kernels.workers import Workers
from sparserec_np.tables import SparseTable

# Coordinate descent comes close to its optimum in this many rounds.
_NMF_ROUNDS = 30


def split_budget(density: float, n_users: int, n_items: int, dim: int) -> tuple[int, int]:
    """Share the stored entries out between the user and the item table.

    Together exactly ``round(density · (n_users + n_items) · dim)``; each in proportion to its rows.
    """
    total = round(density * (n_users + n_items) * dim)
    users = round(density * n_users * dim)
    return users, total - users


def normalised_interactions(
    user_items: sparse.csr_array, user_power: float = 0.5, item_power: float = 0.5
) -> sparse.csr_matrix:
    """``D_u^-a X D_i^-b``: every interaction ÷ powers of its user's and its item's number of them.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Only the pattern is looked at.
    user_power, item_power : float
        The powers ``a`` and ``b``; ½ each is the normalised adjacency matrix of the graph of interactions.

    Returns
    -------
    csr_matrix of float32
        In the older matrix class, which scikit-learn's solvers want.
    """
    user_degree = np.diff(user_items.indptr).astype(float)
    item_degree = np.bincount(user_items.indices, minlength=user_items.shape[1]).astype(float)
    values = np.repeat(np.maximum(user_degree, 1) ** -user_power, np.diff(user_items.indptr))
    values *= (np.maximum(item_degree, 1) ** -item_power)[user_items.indices]
    return sparse.csr_matrix(
        (values.astype(np.float32), user_items.indices, user_items.indptr), shape=user_items.shape
    )


def nmf_factors(
    user_items: sparse.csr_array, dim: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Factorise the normalised interactions: ``D_u^-½ X D_i^-½ ≈ W Hᵀ`` with ``W, H ≥ 0``.

    The normalisation by the square roots of users' and items' numbers of interactions keeps heavy users
    and best-sellers from taking all components.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions; only the pattern is looked at.
    dim : int
        Columns of the factors. Those beyond the rank of the matrix stay 0.
    rng : numpy.random.Generator

    Returns
    -------
    W, H : float32 arrays (n_users, dim), (n_items, dim)
        Non-negative; each column has the same norm in both.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    n_users, n_items = user_items.shape
    rank = min(dim, n_users, n_items)
    normalised = normalised_interactions(user_items)
    seed = int(rng.integers(2**31))
    # The start from singular vectors is the better one, but where the matrix has a lower rank it may divide
    # 0 by 0 and give NaN throughout.
    for init in ("nndsvda", "random"):
        solver = NMF(rank, init=init, max_iter=_NMF_ROUNDS, tol=1e-5, random_state=seed)
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is meant
            found_w = solver.fit_transform(normalised)
        found_h = solver.components_.T
        if np.isfinite(found_w).all() and np.isfinite(found_h).all():
            break

    # W and H share each component's scale by chance; give both the geometric mean.
    norms_w = np.linalg.norm(found_w, axis=0)
    norms_h = np.linalg.norm(found_h, axis=0)
    alive = (norms_w > 0) & (norms_h > 0)
    balance = np.sqrt(np.divide(norms_h, norms_w, out=np.ones_like(norms_w), where=alive))
    W = np.zeros((n_users, dim), dtype=np.float32)
    H = np.zeros((n_items, dim), dtype=np.float32)
    W[:, :rank] = found_w * balance
    H[:, :rank] = found_h / balance
    return W, H


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


def nmf_tables(
    user_items: sparse.csr_array,
    dim: int,
    budget: tuple[int, int],
    *,
    rng: np.random.Generator,
    workers: Workers,
) -> tuple[SparseTable, SparseTable]:
    """Tables that store the strongest entries of a nonnegative factorisation, with its values.

    Rows are scaled to length 1 before they compete: what counts is which few columns describe a row, and
    rows of rare users and items have as much right to theirs as those of popular ones.

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

    Returns
    -------
    users, items : SparseTable
        float32; exactly as many entries as asked for. Their scale is left to the scorer.
    """
    from threadpoolctl import threadpool_limits

    # With more than one BLAS thread the factors' last bits would depend on the number of threads.
    with threadpool_limits(1):
        factors = nmf_factors(user_items, dim, rng)
    tables = []
    degrees = (np.diff(user_items.indptr), np.bincount(user_items.indices, minlength=user_items.shape[1]))
    for factor, n, degree in zip(factors, budget, degrees, strict=True):
        lengths = np.linalg.norm(factor, axis=1, keepdims=True)
        factor /= np.where(lengths > 0, lengths, 1)
        positions = strongest_entries(factor, n, degree > 0, rng)
        table = SparseTable.from_positions(positions, factor.shape)
        table.data[:] = factor.reshape(-1)[positions]
        # Entries that the factorisation left at 0 need a start from which both tables can move.
        unset = table.data == 0
        typical = np.sqrt(np.mean(table.data[~unset] ** 2)) if not unset.all() else 1.0
        table.data[unset] = 0.1 * typical * rng.standard_normal(np.count_nonzero(unset))
        tables.append(table)
    return tables[0], tables[1]


def random_tables(
    user_items: sparse.csr_array,
    dim: int,
    budget: tuple[int, int],
    *,
    rng: np.random.Generator,
    workers: Workers,
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
