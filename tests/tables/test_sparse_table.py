import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from tables_by_hand import dense, dense_gradient, random_table

from sparserec_np.errors import SettingError
from sparserec_np.tables import SparseTable, TableGradient, index_dtype


def table_of(indptr, indices, data, dim, index=np.int32):
    return SparseTable(np.array(indptr, index), np.array(indices, index), np.array(data, np.float32), dim)


def test_what_a_table_says_about_itself():
    table = table_of([0, 2, 2, 3], [0, 3, 1], [1, 2, 3], 4)
    table.check()
    assert (table.n_rows, table.shape, table.nnz, table.density) == (3, (3, 4), 3, 0.25)
    assert table.nbytes == 4 * 4 + 3 * 4 + 3 * 4


@given(
    n_rows=st.integers(1, 20),
    dim=st.integers(1, 20),
    density=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_positions_go_there_and_back(n_rows, dim, density, seed):
    rng = np.random.default_rng(seed)
    size = n_rows * dim
    positions = np.sort(rng.choice(size, round(density * size), replace=False))
    table = SparseTable.from_positions(positions, (n_rows, dim))
    table.check()
    assert table.nnz == len(positions)
    assert table.indptr.dtype == np.int32
    assert table.indices.dtype == np.uint16
    assert table.data.dtype == np.float32
    assert not table.data.any()
    np.testing.assert_array_equal(table.positions(), positions)
    assert table.positions().dtype == np.int64


def test_positions_beyond_32_bits():
    positions = np.array([0, 70_000 * 60_000 - 1])
    table = SparseTable.from_positions(positions, (70_000, 60_000))
    np.testing.assert_array_equal(table.positions(), positions)


def test_index_dtype_is_the_smaller_that_fits():
    assert index_dtype(10, 10, 2**31 - 1) is np.int32
    assert index_dtype(10, 10, 2**31) is np.int64


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix])
def test_from_scipy_and_back_without_a_copy(make):
    matrix = make(np.array([[0, 1.5, 0], [2, 0, 3]], dtype=np.float32))
    table = SparseTable.from_scipy(matrix)
    back = table.to_scipy()
    for ours, before, after in (
        (table.data, matrix.data, back.data),
        (table.indices, matrix.indices, back.indices),
        (table.indptr, matrix.indptr, back.indptr),
    ):
        assert np.shares_memory(ours, before)
        assert np.shares_memory(ours, after)
    assert isinstance(back, sparse.csr_array)
    np.testing.assert_array_equal(back.toarray(), matrix.toarray())


def test_a_table_from_positions_is_shared_with_scipy():
    table = random_table(10, 8, 0.3)
    table.to_scipy().data[0] = 42
    assert table.data[0] == 42


def test_a_copy_shares_nothing():
    table = random_table(4, 5, 0.5)
    copy = table.copy()
    for name in ("indptr", "indices", "data"):
        assert not np.shares_memory(getattr(table, name), getattr(copy, name))
    np.testing.assert_array_equal(dense(table), dense(copy))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), "must be a scipy.sparse CSR array, found ndarray; use matrix.tocsr"),
        (sparse.csc_array(np.eye(3)), "found csc"),
        (sparse.csr_array(np.eye(3, dtype=int)), "must hold floats, found int64; use matrix.astype"),
        (
            sparse.csr_array((np.ones(2), np.array([1, 0]), np.array([0, 2])), shape=(1, 2)),
            "sorted and unique within a row; use matrix.sum_duplicates",
        ),
        (
            sparse.csr_array((np.ones(2), np.array([1, 1]), np.array([0, 2])), shape=(1, 2)),
            "sorted and unique within a row",
        ),
    ],
)
def test_from_scipy_refuses_what_is_no_table(matrix, message):
    with pytest.raises(SettingError, match=message):
        SparseTable.from_scipy(matrix)


@pytest.mark.parametrize(
    ("indptr", "indices", "n_data", "message"),
    [
        ([], [], 0, "row pointers must start at 0"),
        ([1, 2], [0, 1], 2, "row pointers must start at 0"),
        ([0, 1], [0, 1], 2, "end at the number of stored entries"),
        ([0, 2, 1, 3], [0, 1, 2], 3, "row pointers must not fall"),
        ([0, 2], [0], 2, "a value for each column number"),
        ([0, 2], [0, 3], 2, "column numbers must lie in 0 … 2"),
        ([0, 2], [-1, 0], 2, "column numbers must lie in 0 … 2"),
        ([0, 2], [1, 0], 2, "sorted and unique"),
        ([0, 2], [1, 1], 2, "sorted and unique"),
        ([0, 1, 3], [2, 1, 1], 3, "sorted and unique"),
    ],
)
def test_check_finds_each_violation(indptr, indices, n_data, message):
    with pytest.raises(SettingError, match=message):
        table_of(indptr, indices, np.ones(n_data), 3).check()


@pytest.mark.parametrize(
    ("indptr", "indices"),
    [
        ([0], []),
        ([0, 0, 0], []),
        ([0, 0, 1, 1], [2]),
        ([0, 1, 2, 2], [2, 0]),
        ([0, 3, 6], [0, 1, 2, 0, 1, 2]),
    ],
)
def test_check_accepts_empty_and_full_rows(indptr, indices):
    table_of(indptr, indices, np.ones(len(indices)), 3).check()


def gradient_of(table, rows, counts, seed):
    gradient = TableGradient.empty_like(
        table, np.array(rows, dtype=np.int64), np.array(counts, dtype=np.int64)
    )
    gradient.values[:] = np.random.default_rng(seed).standard_normal(len(gradient.values))
    return gradient


def test_an_empty_gradient_has_room_for_the_entries_of_its_rows():
    table = random_table(6, 5, 0.5)
    gradient = gradient_of(table, [1, 4], [1, 3], 0)
    lengths = np.diff(table.indptr)
    np.testing.assert_array_equal(np.diff(gradient.starts), lengths[[1, 4]])
    np.testing.assert_array_equal(
        gradient.entries(table), np.r_[table.indptr[1] : table.indptr[2], table.indptr[4] : table.indptr[5]]
    )


@given(
    first=st.sets(st.integers(0, 7)),
    second=st.sets(st.integers(0, 7)),
    density=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 2),
)
def test_gradients_of_one_table_add_up(first, second, density, seed):
    table = random_table(8, 5, density, seed)
    one = gradient_of(table, sorted(first), [2] * len(first), seed)
    two = gradient_of(table, sorted(second), [3] * len(second), seed + 1)
    both = one + two
    np.testing.assert_array_equal(both.rows, sorted(first | second))
    np.testing.assert_array_equal(both.counts, [2 * (r in first) + 3 * (r in second) for r in both.rows])
    np.testing.assert_allclose(
        dense_gradient(both, table), dense_gradient(one, table) + dense_gradient(two, table)
    )
    assert len(both.values) == len(both.entries(table))


def test_a_gradient_as_scipy_array_names_the_right_entries():
    table = random_table(6, 5, 0.6)
    gradient = gradient_of(table, [0, 5], [1, 1], 0)
    gradient.values[:] = table.data[gradient.entries(table)]
    expected = dense(table)
    expected[1:5] = 0
    found = gradient.to_scipy(table)
    assert found.shape == table.shape
    np.testing.assert_array_equal(found.toarray(), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [[], [3], [4, 0, 0, 2]])
def test_rows_are_taken_in_the_order_given(rows, dtype):
    table = random_table(5, 7, 0.4, dtype=dtype)
    taken = table.take(np.array(rows, dtype=np.int64))
    taken.check()
    np.testing.assert_array_equal(dense(taken), dense(table)[rows])
    assert taken.data.dtype == dtype
    taken.data[:] = 0
    assert np.count_nonzero(table.data) == table.nnz
