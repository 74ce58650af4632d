import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.kernels.grouping import lay_out_ascending, lay_out_pairs


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.data())
def test_pairs_are_sorted_by_row_and_their_entries_lie_one_after_the_other(lengths, data):
    n_rows = len(lengths)
    rows = np.array(data.draw(st.lists(st.integers(0, n_rows - 1), max_size=15)) * 2, np.uint32)
    owners = np.arange(len(rows) // 2, dtype=np.uint32) + 7
    probes = np.sort(data.draw(st.lists(st.integers(0, n_rows - 1), unique=True).map(np.array))).astype(int)
    slots = np.full(n_rows, -1, np.int32)
    slots[probes] = np.arange(len(probes))
    indptr = np.append(0, np.cumsum(lengths)).astype(np.uint32)
    touched, counts = np.unique(rows), np.bincount(rows, minlength=n_rows).astype(np.int32)
    offsets, starts = np.full(len(touched) + 1, -1), np.full(len(rows) + 1, -1)
    pairs, pair_owners = np.full(len(rows), -1), np.full(len(rows), -1)
    firsts, judged = np.full(len(rows), -1), np.full(len(probes) + 1, -9)
    lay_out_pairs(
        rows,
        owners,
        touched,
        counts.copy(),
        slots,
        indptr,
        offsets,
        pairs,
        pair_owners,
        firsts,
        starts,
        judged,
    )
    assert firsts.tolist() == indptr[rows].tolist()
    assert pairs.tolist() == np.argsort(rows, kind="stable").tolist()
    assert pair_owners.tolist() == [owners[p // 2] for p in pairs]
    assert offsets.tolist() == np.append(0, np.cumsum(counts[touched])).tolist()
    assert np.diff(starts).tolist() == [lengths[row] for row in rows]
    assert starts[0] == 0
    assert judged[:-1].tolist() == [list(touched).index(row) if row in touched else -1 for row in probes]


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
