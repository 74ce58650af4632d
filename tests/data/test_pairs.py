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
    chunks=st.lists(st.lists(st.integers(0, 60), max_size=4).map(sorted), min_size=4, max_size=4),
)
def test_rows_are_sorted_stably_whatever_the_parts_and_chunks(rows, part, carried, chunks):
    users, items = np.array(rows, np.int32).T.copy()
    weights, times = np.arange(len(rows), dtype=np.float32), -np.arange(len(rows), dtype=np.float64)
    kept = [column if wanted else None for column, wanted in zip((weights, times), carried, strict=True)]
    columns = zip((users.copy(), items.copy(), *kept), chunks, strict=True)
    before = [None if column is None else column.copy() for column in kept]
    given_rows = Rows(*(None if column is None else np.split(column, cuts) for column, cuts in columns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "_PART", part)
        made = given_rows.sort(8, 1 + items.max())
    assert [column is None or column.tolist() for column in kept] == [
        column is None or column.tolist() for column in before
    ]
    order = np.lexsort((items, users))
    assert made.indptr.tolist() == [0, *np.cumsum(np.bincount(users, minlength=8))]
    assert made.items.tolist() == items[order].tolist()
    assert made.weights is None or made.weights.tolist() == weights[order].tolist()
    assert made.times is None or made.times.tolist() == times[order].tolist()


@pytest.mark.parametrize("part", [1, 1 << 16])
def test_times_kept_in_half_the_bytes_become_whole(part, monkeypatch):
    monkeypatch.setattr(pairs, "_PART", part)
    codes = [np.array([2, 0], np.int32), np.array([1], np.int32)]
    times = [np.array([7, 2**31 - 1], np.int32), np.array([2.5])]
    made = Rows([chunk.copy() for chunk in codes], codes, None, times).sort(3, 3)
    assert made.times.dtype == np.float64
    assert made.times.tolist() == [2**31 - 1, 2.5, 7]


@pytest.mark.parametrize("n_distinct", [1, 50, 100])
def test_merged_rows_hold_little_more_memory_than_they_fill(n_distinct, monkeypatch):
    monkeypatch.setattr(pairs, "_PART", 1)
    users = np.arange(100, dtype=np.int32) % n_distinct
    made = Rows([users], [users.copy()], None, [np.arange(100.0)]).sort(n_distinct, n_distinct)
    assert made.merge() == (100 - n_distinct, 0)
    assert made.items.tolist() == list(range(n_distinct))
    assert made.times.tolist() == list(range(100 - n_distinct, 100))
    for column in (made.items, made.times):
        whole = column if column.base is None else np.frombuffer(column.base, np.uint8)
        assert whole.nbytes <= 1.2 * column.nbytes
