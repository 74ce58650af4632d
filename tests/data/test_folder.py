"""Interactions as a folder: what goes in comes out, and nothing damaged does."""

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sparserec_np import SparseGraph
from sparserec_np.data import Interactions, make_interactions, split_random
from sparserec_np.data.folder import user_blocks
from sparserec_np.errors import DataError, SettingError

IDS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30),
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), min_size=1, max_size=30
    ),
)


def assert_same(one, other):
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(one.user_items, name), getattr(other.user_items, name))
        assert getattr(one.user_items, name).dtype == getattr(other.user_items, name).dtype
    assert one.user_items.shape == other.user_items.shape
    assert one.users == other.users
    assert one.items == other.items
    assert one.weighted == other.weighted
    assert (one.times is None) == (other.times is None)
    if one.times is not None:
        np.testing.assert_array_equal(one.times, other.times)


@settings(max_examples=40)
@given(data=st.data(), users=IDS, items=IDS)
def test_round_trip(data, users, items):
    n = min(len(users), len(items))
    weights = data.draw(st.none() | st.lists(st.floats(0.25, 1e6, width=32), min_size=n, max_size=n))
    times = data.draw(st.none() | st.lists(st.floats(-1e12, 1e12), min_size=n, max_size=n))
    given_ = Interactions.from_arrays(users[:n], items[:n], weights, times)
    with tempfile.TemporaryDirectory() as parent:
        given_.to_dir(Path(parent) / "folder")
        read = Interactions.from_dir(Path(parent) / "folder")
        assert_same(given_, read)
        assert [path.name for path in Path(parent).iterdir()] == ["folder"]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    users = [f"u{n}" for n in rng.integers(0, 50, 900)]
    Interactions.from_arrays(users, rng.integers(0, 70, 900), rng.random(900) + 1, rng.random(900)).to_dir(
        tmp_path / "data"
    )
    return tmp_path / "data"


def test_arrays_are_mapped_and_stay_so(folder):
    interactions = Interactions.from_dir(folder)
    for array in (*(getattr(interactions.user_items, name) for name in ("data", "indices", "indptr")),
                  interactions.times):  # fmt: skip
        assert not array.flags.owndata
        assert not array.flags.writeable
        base = array
        while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap)


def test_the_summary_says_where_it_comes_from(folder):
    interactions = Interactions.from_dir(folder)
    assert str(interactions.summary).startswith(f"900 rows from arrays, by way of {folder}")


def test_splits_and_fits_like_what_it_was_made_from(tmp_path):
    made = make_interactions(100, 60, 2000, random_state=0)
    made.to_dir(tmp_path / "data")
    read = Interactions.from_dir(tmp_path / "data")
    for one, other in zip(
        split_random(made, random_state=1), split_random(read, random_state=1), strict=True
    ):
        assert_same(one, other)
    models = [SparseGraph(dim=16, epochs=2, random_state=0).fit(data) for data in (made, read)]
    np.testing.assert_array_equal(models[0].items_.data, models[1].items_.data)
    models[1].save(tmp_path / "model.srec")


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=40), size=st.integers(1, 30))
def test_blocks_cover_all_users(lengths, size):
    indptr = np.append(0, np.cumsum(lengths))
    blocks = list(user_blocks(indptr, size))
    assert [start for start, _ in blocks] == [0, *(stop for _, stop in blocks[:-1])]
    assert blocks[-1][1] == len(lengths)
    for start, stop in blocks:
        assert stop == start + 1 or indptr[stop] - indptr[start] <= size


def change(file, at, value):
    array = np.load(file)
    array[at] = value
    np.save(file, array)


def truncate(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def header(file, text, data=b""):
    """Write an array file with a header of one's own."""
    text = text.encode() + b"\n"
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)


def sparse_file(file, size):
    with open(file, "rb+") as content:
        content.truncate(size)


def instead(file, make):
    file.unlink()
    make(file)


IN_ORDER = "{'descr': '<i4', 'fortran_order': False, 'shape': (%s,), }"


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("name", ["interactions.json", "items.npy"])
@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, *(lambda f, to=to: f.symlink_to(to) for to in ("/dev/zero", "/dev/null"))]
)
def test_what_is_not_a_regular_file_is_refused_at_once(folder, name, make):
    instead(folder / name, make)
    with pytest.raises(
        DataError, match=rf"{name}: (found something else than a regular file|cannot be read)"
    ):
        Interactions.from_dir(folder)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("items.npy", lambda f: header(f, "{'descr': '<i4', 'shape': (3"), "no header of an array"),
        ("items.npy", lambda f: header(f, "(" * 5000), "no header of an array"),
        ("items.npy", lambda f: header(f, "-" * 5000 + "1"), "no header of an array"),
        ("items.npy", lambda f: header(f, IN_ORDER % ("9" * 5000)), "no header of an array"),
        ("items.npy", lambda f: header(f, IN_ORDER % 2**63, bytes(12)), "it holds 12 bytes of data"),
        ("items.npy", lambda f: header(f, IN_ORDER % 2, bytes(12)), "it holds 12 bytes of data; expected 8"),
        ("items.npy", lambda f: header(f, IN_ORDER.replace("<i4", "<f1") % 3), "the type '<f1'"),
        ("items.npy", lambda f: sparse_file(f, 1 << 40), "bytes of data; expected"),
        ("interactions.json", lambda f: sparse_file(f, 1 << 40), "found more than"),
        ("items.npy", lambda f: truncate(f, 0.6), "truncated or damaged"),
        ("items.npy", lambda f: truncate(f, 0), "truncated or damaged"),
        ("items.npy", lambda f: f.unlink(), "the file is missing"),
        ("items.npy", lambda f: change(f, 3, 70), "found item row 70 in user row 0; expected 0 to 69"),
        ("items.npy", lambda f: change(f, 3, -1), "found item row -1 in user row 0"),
        ("items.npy", lambda f: change(f, 3, 0), "do not rise within user row 0"),
        ("items.npy", lambda f: np.save(f, np.load(f).astype(np.float32)), "found float32"),
        ("items.npy", lambda f: np.save(f, np.load(f)[:-1]), "values; expected"),
        ("items.npy", lambda f: np.save(f, np.array([{}]), allow_pickle=True), "truncated or damaged"),
        ("items.npy", lambda f: f.write_bytes(b"PK\x03\x04 something else"), "damaged"),
        ("indptr.npy", lambda f: change(f, 0, 1), "found row pointers from 1"),
        ("indptr.npy", lambda f: change(f, -1, 5), "to 5; expected 0 to"),
        ("indptr.npy", lambda f: change(f, 3, 0), "user row 2 ends before it starts"),
        ("weights.npy", lambda f: change(f, 7, 0), "found 0.0 at 7; expected a finite number above 0"),
        ("weights.npy", lambda f: change(f, 7, np.nan), "found nan at 7"),
        ("weights.npy", lambda f: change(f, 7, 1.1e12), "expected a finite number above 0 and at most 1e+12"),
        ("times.npy", lambda f: change(f, 7, np.inf), "found inf at 7"),
        ("times.npy", lambda f: np.save(f, np.load(f)[None]), "of shape"),
        ("user_ids.text.npy", lambda f: change(f, 0, 255), "text"),
        ("user_ids.offsets.npy", lambda f: change(f, 1, 200), "offsets do not rise"),
        ("interactions.json", lambda f: f.unlink(), "no interactions.json in it"),
        ("interactions.json", lambda f: truncate(f, 0.5), "found no JSON"),
        ("interactions.json", lambda f: f.write_text("[" * 100_000), "found no JSON"),
        ("interactions.json", lambda f: f.write_text("[]"), "another format"),
        ("interactions.json", lambda f: edit(f, version=2), "found version 2"),
        ("interactions.json", lambda f: edit(f, weighted="\ud800"), "half of a character"),
        ("interactions.json", lambda f: edit(f, n_items=1 << 30, ids={}), "found 1073741824 as n_items, of "),
        ("interactions.json", lambda f: edit(f, n_items=True), "found True as n_items"),
        ("interactions.json", lambda f: edit(f, n_users=49), "expected 50"),
        ("interactions.json", lambda f: edit(f, n_items=1 << 31), "n_items; expected at most 2,147,483,647"),
        ("interactions.json", lambda f: edit(f, n_items=10**19), "as n_items; expected at most"),
        ("interactions.json", lambda f: edit(f, n_items=10**4000), "an integer has 4001 digits"),
        ("interactions.json", lambda f: edit(f, arrays={}), "no array 'indptr'"),
        ("interactions.json", lambda f: edit(f, arrays={"../x": {}}), "no place here"),
        ("interactions.json", lambda f: edit(f, arrays={"user_ids./x": {}}), "no file of this folder"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_refused_by_file_and_fault(folder, file, damage, message):
    damage(folder / file)
    with pytest.raises(DataError) as error:
        Interactions.from_dir(folder)
    assert message in str(error.value)
    assert str(folder) in str(error.value)


def test_a_summary_that_makes_no_sense_is_left_out(folder):
    edit(folder / "interactions.json", summary={"source": "x", "n_rows": 1e400})
    text = (folder / "interactions.json").read_text().replace("Infinity", "1e400")
    (folder / "interactions.json").write_text(text)
    assert Interactions.from_dir(folder).summary.n_rows == 0


def test_a_source_whose_name_is_not_text_does_no_harm(tmp_path):
    interactions = Interactions.from_arrays([1, 2], [3, 4])
    interactions = replace(interactions, summary=replace(interactions.summary, source="\udcff.csv"))
    interactions.to_dir(tmp_path / "data")
    assert Interactions.from_dir(tmp_path / "data").summary.source.startswith("?.csv, by way of ")


def test_more_items_without_interactions_than_files_tell_of_are_refused(tmp_path):
    ones = np.ones(1, np.float32), (np.zeros(1, int), np.zeros(1, int))
    interactions = Interactions.from_matrix(sp.csr_array(ones, shape=(1, (1 << 24) + 2)))
    with pytest.raises(DataError, match="more than 16,777,216 of the 16,777,218 items have no interaction"):
        interactions.to_dir(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unasked(folder):
    interactions = make_interactions(20, 20, 60, random_state=0)
    with pytest.raises(SettingError, match="replace=True"):
        interactions.to_dir(folder)
    interactions.to_dir(folder, replace=True)
    assert_same(Interactions.from_dir(folder), interactions)
    assert sorted(path.name for path in folder.iterdir()) == [
        "indptr.npy", "interactions.json", "items.npy", "weights.npy"
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_what_is_no_folder_of_interactions_is_left_alone(tmp_path):
    interactions = make_interactions(20, 20, 60, random_state=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "mine", tmp_path / "file"):
        with pytest.raises(SettingError, match="no folder of interactions"):
            interactions.to_dir(path, replace=True)
    with pytest.raises(SettingError, match="there is no folder"):
        interactions.to_dir(tmp_path / "none" / "data")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failed_write_leaves_what_was_there(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space"):
        make_interactions(20, 20, 60, random_state=0).to_dir(folder, replace=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["data"]
