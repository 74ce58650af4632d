"""Random sparse tables for the tests, and what they are as dense arrays."""

import numpy as np

from sparserec_np.tables import SparseTable


def random_table(n_rows, dim, density, seed=0, dtype=np.float64):
    """A table with exactly ``round(density · n_rows · dim)`` normal entries at random positions."""
    rng = np.random.default_rng(seed)
    size = n_rows * dim
    positions = np.sort(rng.choice(size, round(density * size), replace=False))
    table = SparseTable.from_positions(positions, (n_rows, dim), dtype)
    table.data[:] = rng.standard_normal(table.nnz)
    return table


def dense(table):
    return table.to_scipy().toarray()


def mask(table):
    """Which positions are stored, as a bool array."""
    out = np.zeros(table.n_rows * table.dim, dtype=bool)
    out[table.positions()] = True
    return out.reshape(table.shape)


def dense_gradient(gradient, table):
    return gradient.to_scipy(table).toarray()
