"""A file converted with a few rows in memory at a time: the folder that all of them in memory would make."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparserec_np.data import Interactions, columns, conversion, convert_csv, source
from sparserec_np.errors import DataError, SettingError


@pytest.fixture(autouse=True, scope="module")
def little_memory():
    """As if every file were large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "ROWS_IN_MEMORY", 5)
        patch.setattr(source, "BLOCK_BYTES", 40)
        patch.setattr(columns, "_LEAST_DISTINCT", 3)
        yield


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


IDS = st.one_of(
    st.integers(0, 9).map(str),
    st.integers(0, 10**12).map(str),
    st.sampled_from(["a", "b", "007", "7", "é"]),
)
ROWS = st.lists(
    st.tuples(IDS, IDS, st.sampled_from(["0", "0.5", "1", "2.5", "5", "8e11"]), st.integers(0, 2 * 10**9)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(
    rows=ROWS,
    names=st.sampled_from([["user", "item"], ["user", "item", "rating"], ["user", "item", "rating", "time"]]),
    min_rating=st.sampled_from([None, 2]),
)
def test_the_folder_is_the_same_byte_for_byte(rows, names, min_rating):
    lines = [",".join(names)] + [",".join(map(str, row[: len(names)])) for row in rows]
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        file, one, other = parent / "data.csv", parent / "one", parent / "other"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        read, refused = None, None
        try:
            read = Interactions.from_csv(file, min_rating=min_rating)
        except (DataError, SettingError) as error:
            refused = error
        if read is None:
            with pytest.raises((DataError, SettingError)) as raised:
                convert_csv(file, one, min_rating=min_rating)
            assert str(raised.value) == str(refused)
            assert list(parent.iterdir()) == [file]
            return
        read.to_dir(one)
        made = convert_csv(file, other, min_rating=min_rating)
        assert contents(one) == contents(other)
        assert made.summary == read.summary
        assert (made.n_users, made.n_items) == read.user_items.shape
        assert made.n_interactions == read.n_interactions
        assert sorted(path.name for path in parent.iterdir()) == ["data.csv", "one", "other"]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("user,item\n" + "".join(f"{n * 7 % 30},{n % 41}\n" for n in range(300)))
    return path


def test_more_parts_than_may_be_are_made_larger(data, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "_MOST_PARTS", 2)
    convert_csv(data, tmp_path / "made")
    assert Interactions.from_dir(tmp_path / "made").n_interactions == 300


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("step", ["_count", "_deal_out", "_merge", "_write"])
def test_nothing_is_left_of_what_was_stopped(data, tmp_path, monkeypatch, error, step):
    before = getattr(conversion._Converter, step)

    def stopped(self, *args):
        before(self, *args)
        raise error

    monkeypatch.setattr(conversion._Converter, step, stopped)
    with pytest.raises(type(error) if isinstance(error, OSError) else error):
        convert_csv(data, tmp_path / "made")
    assert list(tmp_path.iterdir()) == [data]


def test_what_is_replaced_stays_where_it_is_not_replaced(data, tmp_path):
    convert_csv(data, tmp_path / "made")
    before = contents(tmp_path / "made")
    with pytest.raises(SettingError, match="replace=True"):
        convert_csv(data, tmp_path / "made")
    data.write_text(data.read_text() + "1,2,3\n")
    with pytest.raises(DataError, match="line 302"):
        convert_csv(data, tmp_path / "made", replace=True)
    assert contents(tmp_path / "made") == before
    data.write_text("user,item\n1,2\n")
    convert_csv(data, tmp_path / "made", replace=True)
    made = Interactions.from_dir(tmp_path / "made")
    np.testing.assert_array_equal(made.user_items.toarray(), [[1]])
