"""numba kernels: arrays in, arrays out; of the library they know how they are compiled, and its errors."""

# Before any module imports numba: the environment is checked first.
from sparserec_np import compilation as compilation
