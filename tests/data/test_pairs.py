"""Rows brought into order, against NumPy's sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.data import pairs
from sparserec_np.data.pairs import Rows


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=60),
    part=st.integers(1, 70),
    carried=st.tuples(st.booleans(), st.booleans()),
)
def test_rows_are_sorted_stably_whatever_the_parts(rows, part, carried):
    users, items = np.array(rows, np.int32).T.copy()
    weights, times = np.arange(len(rows), dtype=np.float32), -np.arange(len(rows), dtype=np.float64)
    kept = [
        column.copy() if wanted else None for column, wanted in zip((weights, times), carried, strict=True)
    ]
    made = Rows(users.copy(), items.copy(), *kept)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "_PART", part)
        indptr = made.sort(8, 1 + items.max())
    order = np.lexsort((items, users))
    assert indptr.tolist() == [0, *np.cumsum(np.bincount(users, minlength=8))]
    assert made.items.tolist() == items[order].tolist()
    assert made.weights is None or made.weights.tolist() == weights[order].tolist()
    assert made.times is None or made.times.tolist() == times[order].tolist()
