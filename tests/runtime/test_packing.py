"""Lists as lengths and gaps: the same lists back, and nothing wrong from wrong bytes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.errors import ModelFormatError
from sparserec_np.runtime import packing
from sparserec_np.runtime.packing import pack, unpack

BOUND = 1 << 32
NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, BOUND - 1), st.sampled_from([127, 128, 16383, 16384]))
LISTS = st.lists(st.sets(NUMBERS, max_size=6).map(sorted), max_size=12)


def csr(lists):
    indptr = np.cumsum([0, *map(len, lists)])
    return indptr, np.array([number for one in lists for number in one], np.int64)


@pytest.mark.parametrize("chunk", [5, 7, packing._CHUNK])
@given(lists=LISTS)
def test_round_trip(chunk, lists):
    indptr, indices = csr(lists)
    lengths, gaps = pack(indptr, indices)
    # Chunks of the least size end within lists and within numbers.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_CHUNK", chunk)
        found = unpack("x", lengths, gaps, BOUND, np.uint32)
    np.testing.assert_array_equal(found[0], indptr)
    np.testing.assert_array_equal(found[1], indices)
    assert found[1].dtype == np.uint32


def test_bytes():
    lengths, gaps = pack(*csr([[5, 6, 200], [], [128 + 127, 70_000]]))
    assert (lengths.dtype, lengths.tolist()) == (np.uint8, [3, 0, 2])
    # 5; 0 left out; 193 = 1 * 128 + 65 left out; 255 = 1 * 128 + 127; 69,744 = 4 * 128² + 32 * 128 + 112.
    assert gaps.tolist() == [5, 0, 129, 65, 129, 127, 132, 160, 112]


def test_a_column_of_every_row_costs_a_byte_each():
    lengths, gaps = pack(np.array([0, 100_000]), np.arange(100_000))
    assert len(gaps) == 100_000
    _, indices = unpack("x", lengths, gaps, 100_000, np.intp)
    np.testing.assert_array_equal(indices, np.arange(100_000))


@pytest.mark.parametrize(
    ("lengths", "gaps", "message"),
    [
        ([2], [3], "x.gaps holds 1 numbers; expected 2 by x.lengths"),
        ([1], [3, 4], "x.gaps holds 2 numbers; expected 1"),
        ([1], [], "x.gaps holds 0 numbers"),
        ([1], [3, 128], "x.gaps ends within a number"),
        ([0], [128] * 9, "x.gaps ends within a number"),
        ([1], [128] * 5 + [1], "x.gaps holds a number of more than 5 bytes"),
        ([1], [128] * 100_000 + [1], "x.gaps holds a number of more than 5 bytes"),
        ([2], [50, 49], "x.gaps lead to 100; expected numbers below 100"),
        ([1, 1], [99, 100], "x.gaps lead to 100"),
        ([1], [255, 255, 255, 255, 127], "x.gaps lead to 34359738367"),
    ],
)
def test_wrong_bytes_are_refused(lengths, gaps, message):
    with pytest.raises(ModelFormatError, match=message):
        unpack("x", np.array(lengths, np.uint32), np.array(gaps, np.uint8), 100, np.uint8)


@pytest.mark.parametrize(
    ("lengths", "gaps"), [(np.int32, np.uint8), (np.uint8, np.uint16), (float, np.uint8)]
)
def test_wrong_types_are_refused(lengths, gaps):
    with pytest.raises(ModelFormatError, match="expected unsigned integers and uint8"):
        unpack("x", np.array([1], lengths), np.array([1], gaps), 100, np.uint8)


@given(
    lengths=st.lists(st.integers(0, 5), max_size=8), gaps=st.lists(st.integers(0, 255), max_size=30),
    bound=st.integers(1, 400),
)  # fmt: skip
def test_any_bytes_are_refused_or_rising_lists(lengths, gaps, bound):
    try:
        indptr, indices = unpack("x", np.array(lengths, np.uint8), np.array(gaps, np.uint8), bound, np.int64)
    except ModelFormatError:
        return
    assert indptr.tolist() == np.cumsum([0, *lengths]).tolist()
    for start, stop in pairwise(indptr):
        assert (np.diff(indices[start:stop]) > 0).all()
    assert ((indices >= 0) & (indices < bound)).all()
