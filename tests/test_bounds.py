"""Numbers that point to what does not exist are refused wherever they come in, and end no interpreter."""

import itertools
import subprocess
import sys
from pathlib import Path

import bounds_by_hand
import numpy as np
import pytest
from bounds_by_hand import N_ITEMS, N_USERS, embeddings, pairs, ranking, spoilt
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sparserec_np import Interactions, metrics
from sparserec_np.errors import DataError, SettingError
from sparserec_np.matrices import as_csr
from sparserec_np.runtime.bounds import first_outside, pattern_fault
from sparserec_np.tables import SparseTable


def test_the_interpreter_survives_every_way_in():
    done = subprocess.run(
        [sys.executable, Path(bounds_by_hand.__file__)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("taken []; tried 2"), done.stdout


@pytest.mark.parametrize("form", bounds_by_hand.FORMATS)
def test_a_message_names_row_and_column(form):
    matrix = sparse.csr_array(([1.0, 1.0], ([0, 2], [1, 3])), shape=(3, 4)).asformat(form)
    wrong = spoilt(matrix, 7, form)
    with pytest.raises(DataError) as error:
        Interactions.from_matrix(wrong)
    row, column = (7, 3) if form == "csc" else (2, 7)
    assert f"row {row}" in str(error.value).replace("rows of blocks", "row") or form == "bsr"
    assert f"column {column}" in str(error.value) or form == "bsr"
    assert "(3, 4)" in str(error.value)


def test_the_first_entry_at_fault_is_named_however_many_there_are():
    good = pairs()
    good.indices[good.indptr[5]] = N_ITEMS + 4
    good.indices[good.indptr[9]] = -3
    with pytest.raises(DataError, match=f"entry in row 5 and column {N_ITEMS + 4}, outside of its shape"):
        Interactions.from_matrix(good)
    with pytest.raises(DataError, match="test has an entry in row 5 and column 34"):
        metrics.evaluate(embeddings(N_USERS), embeddings(N_ITEMS), None, good, 2)


@pytest.mark.parametrize("form", [*bounds_by_hand.FORMATS, "dia", "dok"])
def test_sound_matrices_of_every_format_are_taken_and_left_alone(form):
    matrix = pairs().asformat(form)
    before = matrix.toarray()
    np.testing.assert_array_equal(as_csr(matrix, "matrix").toarray(), before)
    np.testing.assert_array_equal(Interactions.from_matrix(matrix).user_items.toarray(), before)
    np.testing.assert_array_equal(matrix.toarray(), before)


def test_arrays_longer_than_the_row_pointers_say_are_taken():
    good = pairs()
    longer = good.copy()
    longer.indices, longer.data = (
        np.append(good.indices, 999),
        np.append(good.data, np.nan).astype(np.float32),
    )
    found = Interactions.from_matrix(longer).user_items
    np.testing.assert_array_equal(found.toarray(), good.toarray())
    assert len(found.indices) == good.nnz
    assert len(longer.indices) == good.nnz + 1


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), "matrix is a ndarray; expected a scipy.sparse"),
        (sparse.csr_array(np.eye(3, dtype=complex)), "is of type complex128; expected real numbers"),
        (sparse.csr_array((1, 2**40)), "expected at most 2,147,483,647 rows and columns"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(matrix, message):
    with pytest.raises(DataError, match=message):
        as_csr(matrix, "matrix")


def test_wrong_lengths_are_refused():
    for part in ("indices", "data", "indptr"):
        wrong = pairs()
        setattr(wrong, part, getattr(wrong, part)[:-5])
        with pytest.raises(DataError, match=r"values for|indptr"):
            Interactions.from_matrix(wrong)


def test_interactions_that_were_changed_are_refused_by_name():
    interactions = Interactions.from_matrix(pairs())
    interactions.check()
    interactions.user_items.data[3] = np.nan
    with pytest.raises(DataError, match=r"user_items\[\d+, \d+\] is nan"):
        interactions.check()
    interactions = Interactions.from_matrix(pairs())
    row = interactions.user_items.indptr[4]
    interactions.user_items.indices[row] = interactions.user_items.indices[row + 1]
    with pytest.raises(DataError, match="no pair twice"):
        interactions.check()


def test_an_item_that_a_ranking_holds_twice_is_refused():
    twice = ranking(ids=((0, 1, 2), (3, 5, 3)))
    with pytest.raises(DataError, match="the list of user row 1 holds item row 3 twice"):
        metrics.evaluate_ranking(twice, pairs(), 3)
    # Slots that are not in use are not the same item.
    short = ranking(ids=((0, -1, -1), (3, 5, -1)))
    assert metrics.evaluate_ranking(short, pairs(), 3)["recall@3"] <= 1


def test_a_user_who_is_ranked_twice_is_refused():
    with pytest.raises(DataError, match=r"ranking\.rows holds user row 1 twice"):
        metrics.evaluate_ranking(ranking(rows=(1, 1)), pairs(), 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"ids": ((0, 1, 2), (3, 4, N_ITEMS))},
            r"ranking\.ids\[1, 2\] is 30; expected item rows from 0 to 29",
        ),
        ({"ids": ((0.0, 1.0), (3.0, 4.0))}, "is float64"),
        ({"rows": (0, N_USERS)}, r"ranking\.rows\[1\] is 40"),
        ({"rows": (0,)}, r"a list for each of ranking\.rows"),
    ],
)
def test_rankings_of_what_does_not_exist_are_refused(wrong, message):
    with pytest.raises(DataError, match=message):
        metrics.evaluate_ranking(ranking(**wrong), pairs(), 2)


def test_a_table_names_the_row_and_the_column():
    wrong = embeddings(N_ITEMS)
    wrong.indices[wrong.indptr[3]] = 99
    with pytest.raises(SettingError, match="found 99 in row 3"):
        SparseTable(wrong.indptr, wrong.indices, wrong.data, 8)


@given(data=st.data(), n_columns=st.integers(1, 9), block=st.integers(1, 7))
def test_faults_are_those_that_a_loop_finds(data, n_columns, block):
    lengths = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    indptr = np.append(0, np.cumsum(lengths))
    columns = st.integers(-1, n_columns)
    indices = np.array(
        data.draw(st.lists(columns, min_size=int(indptr[-1]), max_size=int(indptr[-1]))), np.int64
    )
    expected = None
    for row, (start, stop) in enumerate(itertools.pairwise(indptr.tolist())):
        for at in range(start, stop):
            if not 0 <= indices[at] < n_columns:
                expected = expected or ("outside", row)
            elif at > start and indices[at] <= indices[at - 1]:
                expected = expected or ("order", row)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparserec_np.runtime.bounds._BLOCK", block)
        fault = pattern_fault(indptr, indices, n_columns)
    if expected is None:
        assert fault is None
    else:
        # Within a block, what lies outside is found before what does not rise.
        assert fault is not None
        assert fault.kind in ("outside", "order")
        if block == 1:
            assert (fault.kind, fault.row) == expected
    assert (first_outside(indices, 0, n_columns) is None) == bool(
        ((indices >= 0) & (indices < n_columns)).all()
    )
