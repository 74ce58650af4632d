"""Interactions from arrays and matrices."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.data import Interactions
from sparserec_np.errors import DataError, SettingError

ROWS = st.lists(
    st.tuples(st.integers(-3, 9), st.sampled_from("abcdé"), st.integers(0, 5), st.integers(0, 99)), min_size=1
)


@given(ROWS)
def test_arrays_become_sorted_pairs(rows):
    users, items, weights, times = zip(*rows, strict=True)
    summed, latest = {}, {}
    for user, item, weight, time in rows:
        summed[user, item] = summed.get((user, item), 0) + weight
        latest[user, item] = max(time, latest.get((user, item), 0))
    kept = {pair: weight for pair, weight in summed.items() if weight}
    if not kept:
        with pytest.raises(DataError, match="all weights are 0"):
            Interactions.from_arrays(users, items, weights, times)
        return
    interactions = Interactions.from_arrays(np.array(users), items, np.array(weights, "f4"), times)
    pairs = sorted(kept)
    coo = interactions.user_items.tocoo()
    assert [interactions.users[row] for row in coo.row.tolist()] == [user for user, _ in pairs]
    assert [interactions.items[column] for column in coo.col.tolist()] == [item for _, item in pairs]
    assert coo.data.tolist() == [kept[pair] for pair in pairs]
    assert interactions.times.tolist() == [latest[pair] for pair in pairs]
    assert list(interactions.users.ids()) == sorted({user for user, _ in kept})
    assert list(interactions.items.ids()) == sorted({item for _, item in kept})
    summary = interactions.summary
    assert summary.merged + summary.dropped.get("weight 0", 0) + len(kept) == len(rows)


def test_strings_stay_strings():
    interactions = Interactions.from_arrays(["10", "9"], np.array(["1", "2"]))
    assert list(interactions.users.ids()) == ["10", "9"]
    assert list(interactions.items.ids()) == ["1", "2"]


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.uint64, object])
def test_integer_types(dtype):
    interactions = Interactions.from_arrays(np.array([9, 3], dtype=dtype), np.array([1, 1], dtype=dtype))
    assert list(interactions.users.ids()) == [3, 9]


def test_far_apart_integers():
    interactions = Interactions.from_arrays([2**62, -(2**62), 0], [1, 2, 3])
    assert list(interactions.users.ids()) == [-(2**62), 0, 2**62]
    assert interactions.user_items.toarray().tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_dates_become_seconds():
    times = np.array(["1970-01-02", "1970-01-01T00:00:01"], dtype="datetime64[s]")
    assert Interactions.from_arrays([1, 2], [1, 2], times=times).times.tolist() == [86400, 1]


def test_min_rating_of_arrays():
    interactions = Interactions.from_arrays([1, 2], [1, 2], [-1, 0.1], min_rating=0.1)
    assert interactions.users.ids().tolist() == [2]
    assert interactions.user_items.data.tolist() == [1]
    assert not interactions.weighted
    with pytest.raises(SettingError, match="has no ratings"):
        Interactions.from_arrays([1], [1], min_rating=4)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([1, 2], [1]), "users and items have 2 and 1 elements"),
        (([1], [1], [1, 2]), "users and weights have 1 and 2"),
        (([1], [1], None, []), "users and times have 1 and 0"),
        (([], []), "at least one interaction"),
        (([[1, 2]], [1]), "users has 2 dimensions"),
        ((3, [1]), "users has 0 dimensions"),
        (([1.0, 2.0], [1, 2]), "users is of type float64"),
        (([True], [1]), "users is of type bool"),
        ((["a", 1], [1, 2]), "users holds int and str"),
        (([None], [1]), "users holds NoneType"),
        (([1, 2], ["a", ""]), r"items\[1\] is ''"),
        (([2**64], [1]), "users"),
        ((np.array([2**63], dtype=np.uint64), [1]), "beyond 64 bits"),
        (([1, 2], [1, 2], [1, -2]), r"weights\[1\] is -2.0"),
        (([1, 2], [1, 2], [1, np.nan]), r"weights\[1\] is nan"),
        (([1], [1], ["x"]), "weights is of type"),
        (([1], [1], [1j]), "weights is of type complex128"),
        (([1], [1], [1e39]), r"weights\[0\] is 1e\+39"),
        (
            ([1, 1], [1, 2], [1e12, 1.01e12]),
            r"weights\[1\] is 1010000000000.0; .* at most 1e\+12",
        ),
        (
            ([7, 7, 5], [3, 3, 3], [1e12, 1e12, 1]),
            r"the weights of user 7 and item 3 add up to 2e\+12; expected at most 1e\+12",
        ),
        ((["a"] * 2, ["b"] * 2, [1e12] * 2), "the weights of user 'a' and item 'b' add up to"),
        (([1], [1], None, [np.inf]), r"times\[0\] is inf"),
        (([1], [1], None, np.array(["NaT"], dtype="datetime64[s]")), r"times\[0\] is NaT"),
    ],
)
def test_impossible_arrays(arrays, message):
    with pytest.raises(DataError, match=message):
        Interactions.from_arrays(*arrays)


def test_arrays_are_not_modified():
    arrays = [np.array([3, 1, 3]), np.array([1, 2, 1]), np.array([1.0, 2, 3], "f4"), np.array([9.0, 8, 7])]
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    interactions = Interactions.from_arrays(*arrays)
    interactions.user_items.data[:] = 0
    interactions.times[:] = 0
    for array, copy in zip(arrays, copies, strict=True):
        assert np.array_equal(array, copy)


@pytest.mark.parametrize("format_", ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"])
@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int8])
def test_matrices(format_, kind, dtype):
    dense = np.array([[0, 2, 0], [1, 0, 0], [0, 0, 0]], dtype=dtype)
    interactions = Interactions.from_matrix(kind(dense).asformat(format_))
    assert isinstance(interactions.user_items, sp.csr_array)
    assert interactions.user_items.dtype == np.float32
    assert np.array_equal(interactions.user_items.toarray(), dense)
    assert interactions.weighted
    assert interactions.users.ids().tolist() == [0, 1, 2]
    assert interactions.user_items.indices.dtype == np.int32


def test_a_matrix_is_not_modified_and_is_put_in_order():
    data = np.array([1.0, 2, 3, 0], dtype=np.float32)
    matrix = sp.csr_array((data, np.array([2, 0, 2, 1]), np.array([0, 4])), shape=(1, 3))
    before = [array.copy() for array in (matrix.data, matrix.indices, matrix.indptr)]
    interactions = Interactions.from_matrix(matrix)
    assert interactions.user_items.indices.tolist() == [0, 2]
    assert interactions.user_items.data.tolist() == [2, 4]
    assert interactions.summary.merged == 1
    assert interactions.summary.dropped == {"weight 0": 1}
    interactions.user_items.data[:] = 9
    for array, copy in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        assert np.array_equal(array, copy)


def test_binary_matrix_is_unweighted():
    assert not Interactions.from_matrix(sp.csr_array(np.eye(2, dtype=bool))).weighted


def test_matrix_ids():
    interactions = Interactions.from_matrix(sp.csr_array(np.eye(2)), user_ids=["a", "b"], item_ids=[10, 20])
    assert interactions.users.row("b") == 1
    assert interactions.items.row(10) == 0


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2), "matrix is a ndarray"),
        ([[1]], "matrix is a list"),
        pytest.param(
            sp.coo_array(np.ones(3)),
            "has 1 dimensions",
            marks=pytest.mark.skipif(
                sp.coo_array(np.ones(3)).ndim == 2, reason="this SciPy's arrays all have two dimensions"
            ),
        ),
        (sp.csr_array(np.array([[1, 0], [0, -1.5]])), r"matrix\[1, 1\] is -1.5"),
        (sp.csr_array(np.array([[0, np.nan]])), r"matrix\[0, 1\] is nan"),
        (sp.csr_array(np.array([[0], [np.inf]])), r"matrix\[1, 0\] is inf"),
        (sp.csr_array(np.array([[1e39]])), r"matrix\[0, 0\] is inf"),
        (
            sp.csr_array(np.array([[0, 1], [2e12, 1]])),
            r"matrix\[1, 0\] is 1999999991808.0; .* at most 1e\+12",
        ),
        (sp.coo_array(([1e12, 1e12], ([0, 0], [1, 1]))), r"matrix\[0, 1\] is 1999999991808.0"),
        (sp.csr_array(np.array([[1j]])), "of type complex128"),
        (sp.csr_array((3, 3)), "holds nothing but 0"),
        (sp.csr_array((0, 3)), "holds nothing but 0"),
    ],
)
def test_impossible_matrices(matrix, message):
    with pytest.raises(DataError, match=message):
        Interactions.from_matrix(matrix)


def test_a_matrix_the_wrong_way_round_is_refused_by_its_ids():
    with pytest.raises(DataError, match=r"user_ids has 3 elements for a matrix with 2 users.*transposed"):
        Interactions.from_matrix(sp.csr_array(np.ones((2, 3))), user_ids=[1, 2, 3])


def test_repr_says_what_it_holds():
    assert repr(Interactions.from_arrays([1], [2])) == "<Interactions: 1 users x 1 items, 1 pairs>"
    assert "with weights and times" in repr(Interactions.from_arrays([1], [2], [3], [4]))
