"""numba kernels: arrays in, arrays out; of the library they know nothing but how they are compiled."""

# Before any module imports numba: the environment is checked first.
from sparserec_np import compilation as compilation
