import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.kernels.grouping import lay_out_runs


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.data())
def test_runs_lie_one_after_the_other_and_are_as_long_as_their_rows(lengths, data):
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=30))
    indptr = np.append(0, np.cumsum(lengths)).astype(np.uint32)
    starts = np.full(len(rows) + 1, -1, dtype=np.int64)
    lay_out_runs(np.array(rows, dtype=np.uint32), indptr, starts)
    assert starts[0] == 0
    assert np.diff(starts).tolist() == [lengths[row] for row in rows]
