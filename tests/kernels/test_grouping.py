import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.kernels.grouping import lay_out_ascending, lay_out_runs


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.data())
def test_runs_lie_one_after_the_other_and_are_as_long_as_their_rows(lengths, data):
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=30))
    indptr = np.append(0, np.cumsum(lengths)).astype(np.uint32)
    starts = np.full(len(rows) + 1, -1, dtype=np.int64)
    lay_out_runs(np.array(rows, dtype=np.uint32), indptr, starts)
    assert starts[0] == 0
    assert np.diff(starts).tolist() == [lengths[row] for row in rows]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.data())
def test_ascending_rows_are_laid_out_with_their_owners(lengths, data):
    rows = np.sort(np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=30)), np.uint32))
    indptr = np.append(0, np.cumsum(lengths)).astype(np.uint32)
    touched, owners = np.full(len(rows), -1), np.full(len(rows), -1)
    offsets, starts = np.full(len(rows) + 1, -1), np.full(len(rows) + 1, -1)
    n = lay_out_ascending(rows, indptr, touched, offsets, owners, starts)
    expected, inverse, counts = np.unique(rows, return_inverse=True, return_counts=True)
    assert touched[:n].tolist() == expected.tolist()
    assert owners.tolist() == inverse.tolist()
    assert offsets[: n + 1].tolist() == np.append(0, np.cumsum(counts)).tolist()
    assert np.diff(starts[: n + 1]).tolist() == [lengths[row] for row in expected]
    assert starts[0] == 0
