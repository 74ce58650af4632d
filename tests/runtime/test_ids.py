"""Id maps: both kinds, look-ups in both directions, hints for unknown ids, the way to a file and back."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.errors import DataError, ModelFormatError, SettingError, UnknownIdError
from sparserec_np.runtime.ids import IdMap, smallest_integers

INT_IDS = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=30).map(sorted)
STR_IDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6), unique=True, max_size=30
).map(sorted)


@given(st.one_of(INT_IDS, STR_IDS))
def test_ids_and_rows_invert_each_other(ids):
    ids_map = IdMap.from_ids(ids)
    assert len(ids_map) == len(ids)
    assert list(ids_map) == ids
    assert list(ids_map.ids()) == ids
    assert [ids_map.row(id) for id in ids] == list(range(len(ids)))
    assert ids_map.rows(ids).tolist() == list(range(len(ids)))
    assert ids_map.rows(ids[::-1]).dtype == np.int64
    assert list(ids_map.ids(list(range(len(ids)))[::-1])) == ids[::-1]
    assert all(id in ids_map for id in ids)


@given(st.one_of(INT_IDS, STR_IDS))
def test_tensors_rebuild_the_map(ids):
    ids_map = IdMap.from_ids(ids)
    again = IdMap.from_tensors(ids_map.encoding, ids_map.tensors(), len(ids_map))
    assert again == ids_map
    assert list(again) == ids
    assert [again.row(id) for id in ids] == list(range(len(ids)))
    assert again.rows(ids).tolist() == list(range(len(ids)))


@given(INT_IDS.filter(len), st.integers(-(2**70), 2**70))
def test_an_unknown_integer_is_told_apart_in_any_stored_type(ids, other):
    ids_map = IdMap.from_ids(ids)
    stored = IdMap.from_tensors(ids_map.encoding, ids_map.tensors(), len(ids))
    for one in (ids_map, stored):
        assert (other in one) == (other in ids)
        if other not in ids:
            with pytest.raises(UnknownIdError):
                one.rows([ids[0], other])


def test_types_at_the_border():
    ids_map = IdMap.from_ids(np.array([3, 5, 9], np.uint8))
    assert type(ids_map[0]) is int
    assert ids_map.ids().dtype == np.int64
    assert ids_map.row(np.int32(5)) == 1
    assert "5" not in ids_map
    assert 5.0 not in ids_map
    assert IdMap.from_ids([0, 1]).rows(np.array([1, 0], np.uint64)).tolist() == [1, 0]
    names = IdMap.from_ids(np.array(["a", "b"]))
    assert type(names[1]) is str
    assert type(names.ids()[0]) is str
    assert names.row(np.str_("b")) == 1
    assert 1 not in names


def test_range_needs_no_array():
    ids_map = IdMap.range(10, entity="user")
    assert ids_map == IdMap.from_ids(range(10))
    assert ids_map.encoding == "range"
    assert ids_map.tensors() == {}
    assert ids_map.rows([3, 9]).tolist() == [3, 9]
    with pytest.raises(UnknownIdError, match="unknown user 10; the closest known: 9, 8, 7"):
        ids_map.rows([3, 10])


def test_the_caller_keeps_their_array():
    ids = np.array([2, 4, 8])
    ids_map = IdMap.from_ids(ids)
    ids[0] = 7
    assert ids_map[0] == 2


def test_strings_sort_by_code_point():
    ids = sorted(["z", "é", "Z", "\U0001f600", "\uffff", ""])
    assert list(IdMap.from_ids(ids)) == ids


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 3, 2], "item ids are not sorted and unique: .*2.* after .*3.* at position 2"),
        (["a", "a"], "'a' after 'a' at position 1"),
        ([1, "a"], "type int, str; expected all int or all str"),
        ([0.5], "type float; expected all int or all str"),
        (np.array([0.5]), "type float64"),
        (np.zeros((2, 2), int), r"shape \(2, 2\)"),
        ([False, True], "type bool"),
        ([2**64], "beyond 64 bits"),
        (np.array([2**63], np.uint64), "beyond 64 bits"),
        (["a", "\ud800"], "not valid Unicode"),
    ],
)
def test_unusable_ids_are_refused(ids, message):
    with pytest.raises(DataError, match=message):
        IdMap.from_ids(ids)


def test_a_row_out_of_range_is_refused():
    for ids_map in (IdMap.range(3), IdMap.from_ids([5, 7, 9]), IdMap.from_ids(["a", "b", "c"])):
        for row in (-1, 3):
            with pytest.raises(IndexError, match="expected 0 to 2"):
                ids_map[row]
            with pytest.raises(IndexError, match="expected 0 to 2"):
                ids_map.ids([0, row])


def test_the_first_unknown_id_is_named():
    names = IdMap.from_ids(["Alien (1979)", "Heat (1995)", "Toy Story (1995)"])
    for ids in (["Heat (1995)", "toy storey (1995)", "x"], np.array(["toy storey (1995)", "x"])):
        with pytest.raises(UnknownIdError) as caught:
            names.rows(ids)
        assert caught.value.kind == "item"
        assert caught.value.id == "toy storey (1995)"
        assert caught.value.closest == ["Toy Story (1995)"]


LARGE = [-(2**63), -1, 0, 1, 2**53 + 1, 2**63 - 1]


@pytest.mark.parametrize("ids", [LARGE, [0, 1, 2], [0, 1, 300], [-1, 0, 1]])
@pytest.mark.parametrize("stored", [False, True])
def test_integers_of_every_type_are_found(ids, stored):
    ids_map = IdMap.from_ids(ids)
    if stored:
        ids_map = IdMap.from_tensors(ids_map.encoding, ids_map.tensors(), len(ids))
    for row, id in enumerate(ids):
        same = [
            id,
            *(t(id) for t in (np.int64, np.uint64, np.int8) if np.iinfo(t).min <= id <= np.iinfo(t).max),
        ]
        for one in same:
            assert one in ids_map
            assert ids_map.row(one) == row
            assert ids_map.rows([one]).tolist() == ids_map.rows(np.array([one])).tolist() == [row]
            assert ids_map.rows(np.array([one], dtype=object)).tolist() == [row]
        assert ids_map.parse(str(id)) == id
    for other in (
        2**63,
        -(2**63) - 1,
        10**5000,
        np.uint64(2**64 - 1),
        True,
        False,
        1.0,
        None,
        "1",
        b"1",
    ):
        assert other not in ids_map
        for many in ([ids[0], other], np.array([other, None], dtype=object)[:1]):
            with pytest.raises(UnknownIdError) as caught:
                ids_map.rows(many)
            assert len(str(caught.value)) < 200


@pytest.mark.parametrize("ids", [[[1, 2], [1, 2]], [[1, 2], [1]], np.zeros((2, 2), int), np.array(1)])
def test_nested_ids_are_refused(ids):
    with pytest.raises(SettingError, match="item ids are nested"):
        IdMap.range(3).rows(ids)


@pytest.mark.parametrize("n", [2, 5000])
def test_what_is_no_string_is_no_string_id(n):
    names = IdMap.from_ids([f"{number:05d}" for number in range(n)])
    for other in ("\udcff", "x" * 100_000, 1, True, None, b"00001", ["00001"], 10**5000):
        assert other not in names
        for many in (["00001", other], ["00001", other] * n):
            with pytest.raises(UnknownIdError) as caught:
                names.rows(many)
            assert caught.value.id == other
            assert len(str(caught.value)) < 200


def test_closest_integers():
    ids_map = IdMap.from_ids([10, 20, 30, 1000])
    assert ids_map.closest(22) == [20, 30, 10]
    assert ids_map.closest("u19", n=1) == [20]
    assert ids_map.closest(10**30, n=1) == [1000]
    assert ids_map.closest("none") == []
    assert IdMap.range(0).closest(3) == []


def test_parse():
    ids_map = IdMap.from_ids([10, 20], entity="user")
    assert ids_map.parse(" 10 ") == 10
    assert ids_map.parse("-7") == -7
    for number in (-(2**63), 2**63 - 1, 10**18):
        assert ids_map.parse(str(number)) == number
    assert ids_map.parse("+0010") == 10
    assert ids_map.parse("-0") == ids_map.parse("0" * 5000) == 0
    for text in ("ten", "1_0", "10.0", "", "9" * 5000, str(2**63), str(-(2**63) - 1), "٣", "+-1"):
        with pytest.raises(UnknownIdError):
            ids_map.parse(text)
    assert IdMap.from_ids(["10"]).parse("10") == "10"


@pytest.mark.parametrize("kind", ["int", "str"])
def test_hints_are_quick_among_a_million(kind):
    numbers = np.arange(1_000_000) * 7 + 3
    ids_map = IdMap.from_ids(numbers if kind == "int" else [f"user-{number:08d}" for number in numbers])
    start = time.perf_counter()
    closest = ids_map.closest(numbers[123456] + 1 if kind == "int" else "USER-00864196x")
    assert time.perf_counter() - start < 0.2
    assert ids_map[123456] in closest or kind == "str"
    assert closest


@pytest.mark.parametrize(
    ("encoding", "tensors", "n", "message"),
    [
        ("float", {}, 2, "encoding is 'float'"),
        ("int", {}, 2, "numbers is missing"),
        ("int", {"numbers": np.zeros(2, np.float32)}, 2, "numbers is float32"),
        ("int", {"numbers": np.zeros((2, 1), np.int64)}, 2, "numbers is int64 of shape"),
        ("int", {"numbers": np.arange(3)}, 2, "numbers holds 3 ids; expected 2"),
        ("int", {"numbers": np.array([2, 2])}, 2, "not sorted and unique: 2 after 2 at position 1"),
        ("str", {"text": np.zeros(1, np.uint8)}, 1, "offsets is missing"),
        ("str", {"text": np.zeros(1, np.int64), "offsets": np.array([0, 1])}, 1, "text has dtype int64"),
        ("str", {"text": np.zeros(1, np.uint8), "offsets": np.array([0, 1])}, 2, "offsets holds 2 values"),
        ("str", {"text": np.zeros(1, np.uint8), "offsets": np.array([0, 2])}, 1, "offsets do not rise"),
        ("str", {"text": np.zeros(3, np.uint8), "offsets": np.array([0, 4, 3])}, 2, "offsets do not rise"),
        (
            "str",
            {"text": np.full(2, 97, np.uint8), "offsets": np.array([0, 1, 2])},
            2,
            "not sorted and unique",
        ),
        ("str", {"text": np.full(1, 255, np.uint8), "offsets": np.array([0, 1])}, 1, "not UTF-8"),
    ],
)
def test_damaged_tensors_are_refused(encoding, tensors, n, message):
    with pytest.raises(ModelFormatError, match=message):
        IdMap.from_tensors(encoding, tensors, n).check()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([], np.uint8),
        ([0, 255], np.uint8),
        ([256], np.uint16),
        ([65536], np.uint32),
        ([-1], np.int32),
        ([-1, 2**31], np.int64),
        ([2**32], np.int64),
    ],
)
def test_smallest_integers(values, dtype):
    small = smallest_integers(np.array(values, np.int64))
    assert small.dtype == dtype
    assert small.tolist() == values
