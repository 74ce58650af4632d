"""Random sparse matrices by what every SciPy from 1.10 on has: `scipy.sparse.random_array` is from 1.12."""

import numpy as np
from scipy import sparse


def random_sparse(shape, *, density, rng, dtype=np.float64, format="csr"):
    """Return a CSR or CSC array with uniform values below 1."""
    array = {"csr": sparse.csr_array, "csc": sparse.csc_array}[format]
    seeded = np.random.default_rng(rng)
    return array(sparse.random(*shape, density=density, random_state=seeded, dtype=dtype, format=format))
