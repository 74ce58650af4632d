import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.kernels.dense import zeros_in_lines


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(n_rows=st.integers(0, 40), dim=st.integers(1, 70))
def test_zeros_begin_with_a_cache_line(dtype, n_rows, dim):
    rows = zeros_in_lines(n_rows, dim, np.empty(0, dtype))
    assert rows.shape == (n_rows, dim)
    assert rows.dtype == dtype
    assert not rows.any()
    assert rows.flags.c_contiguous
    assert n_rows == 0 or rows.ctypes.data % 64 == 0
