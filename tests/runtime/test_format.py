"""The container: what it writes, what it reads, what it refuses."""

from __future__ import annotations

import json
import os
import stat

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.runtime.format import read_tensors, write_tensors

DTYPES = ["f4", "f2", "f8", "i1", "i4", "i8", "u1", "u2", "u4"]
TENSORS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5).filter(lambda name: name != "__metadata__"),
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0))
    ),
    max_size=5,
)


def write_raw(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@given(tensors=TENSORS)
def test_round_trip(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("container") / "t.srec"
    write_tensors(path, tensors, {"a": "ä"})
    found, metadata = read_tensors(path)
    assert metadata == {"a": "ä"}
    assert found.keys() == tensors.keys()
    theirs = safetensors.numpy.load_file(path)
    for name, array in tensors.items():
        for read in (found[name], theirs[name]):
            assert (read.dtype, read.shape) == (array.dtype, array.shape)
            assert read.tobytes() == array.tobytes()
        assert found[name].flags.aligned
        assert not found[name].flags.writeable


def test_reads_what_safetensors_writes(tmp_path):
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(3, dtype=np.uint8)}
    safetensors.numpy.save_file(tensors, tmp_path / "t.safetensors", {"made": "by them"})
    found, metadata = read_tensors(tmp_path / "t.safetensors")
    assert metadata == {"made": "by them"}
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array)


def test_layout(tmp_path):
    tensors = {"bytes": np.ones(3, np.uint8), "wide": np.ones(2, np.int64), "big": np.array([1, 2], ">u2")}
    write_tensors(tmp_path / "t", tensors, {})
    content = (tmp_path / "t").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert (8 + length) % 64 == 0
    assert header["wide"]["data_offsets"] == [0, 16]
    assert header["big"] == {"dtype": "U16", "shape": [2], "data_offsets": [16, 20]}
    assert content[8 + length + 16 :] == b"\1\0\2\0\1\1\1"
    write_tensors(tmp_path / "again", dict(reversed(tensors.items())), {})
    assert (tmp_path / "again").read_bytes() == content


def test_a_copy_in_memory_outlives_its_file(tmp_path):
    write_tensors(tmp_path / "t", {"a": np.arange(1000)}, {})
    found, _ = read_tensors(tmp_path / "t")
    write_tensors(tmp_path / "t", {"a": np.zeros(3)}, {})
    assert found["a"].sum() == 499500


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"a": entry()}, b"1234567", "data, which holds 7: the file is truncated"),
        ({"a": entry()}, b"123456789", "longer than it says"),
        ({"a": entry(offsets=(4, 12))}, bytes(12), "'a' begins at 4 and leaves a gap"),
        ({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12), "'b' begins at 4 and overlaps"),
        ({"a": entry(offsets=(0, 4))}, bytes(4), "4 bytes; expected 8 for F32"),
        ({"a": entry(offsets=(8, 0))}, bytes(8), "-8 bytes; expected 8"),
        ({"a": entry(shape=(-1, -2))}, bytes(8), "shape .*-1, -2"),
        ({"a": entry(shape=(True, 2))}, bytes(8), "shape .*True"),
        ({"a": entry(shape=(2.0,))}, bytes(8), "shape"),
        ({"a": entry(shape=(1,) * 33, offsets=(0, 4))}, bytes(4), "up to 32 lengths"),
        ({"a": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}, b"", "NumPy cannot hold"),
        ({"a": entry(dtype="BF16")}, bytes(8), "dtype 'BF16'"),
        ({"a": entry(dtype=["F32"])}, bytes(8), r"dtype \['F32'\]"),
        ({"a": entry(offsets=(0, 8, 8))}, bytes(8), "two positions"),
        ({"a": 1}, b"", "expected dtype, shape and data_offsets"),
        ({"__metadata__": {"a": 1}}, b"", "expected strings by name"),
        ({"__metadata__": []}, b"", "expected strings by name"),
        (b'{"a": 1, "a": 1}', b"", "name 'a' occurs twice"),
        (b"[]", b"", "expected a JSON object"),
        (b"{]", b"", "not the JSON expected"),
        (b'{"a": "\xff"}', b"", "not the JSON expected"),
        (b'{"a": "\xed\xa0\x80"}', b"", "not the JSON expected"),
        (b'{"a": NaN}', b"", "NaN is no number"),
        (b"[" * 200_000, b"", "nested too deeply"),
        (rb'{"__metadata__": {"a": "x\ud800"}}', b"", r"header holds '\\ud800', half of a character"),
        (rb'{"__metadata__": {"\udfff": "x"}}', b"", r"header holds '\\udfff', half of a character"),
        (b'{"a": ' + b"9" * 100_000 + b"}", b"", "an integer has 100000 digits"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, header, data, message):
    path = write_raw(tmp_path / "t.srec", header, data)
    with pytest.raises(ModelFormatError, match=message) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"1234567", bytes(8), b"\xff" * 8 + b"{}", b"{" * 5000])
def test_no_header_at_all_is_refused(tmp_path, content):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(ModelFormatError, match="header length"):
        read_tensors(tmp_path / "t")


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "t")
    with pytest.raises(FileNotFoundError):
        write_tensors(tmp_path / "no folder" / "t", {}, {})


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "t"
    write_tensors(path, {"a": np.ones(3)}, {})
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(OSError, match="no space left"):
            write_tensors(path, {"a": np.zeros(3)}, {})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["t"]


def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path):
    with pytest.raises(SettingError, match="'a' has dtype complex128"):
        write_tensors(tmp_path / "t", {"a": np.ones(3, complex)}, {})
    with pytest.raises(SettingError, match="the metadata takes"):
        write_tensors(tmp_path / "t", {}, {"info": "x" * (9 << 20)})
    with pytest.raises(SettingError, match="not a regular file"):
        write_tensors(tmp_path, {}, {})
    for tensors, metadata in (({}, {"info": "\ud800"}), ({"\ud800": np.ones(1)}, {})):
        with pytest.raises(SettingError, match=r"the metadata hold '\\ud800', half of a character"):
            write_tensors(tmp_path / "t", tensors, metadata)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and links")
def test_permissions_and_links(tmp_path):
    old = os.umask(0o027)
    try:
        write_tensors(tmp_path / "t", {}, {})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o640
    (tmp_path / "link").symlink_to(tmp_path / "t")
    write_tensors(tmp_path / "link", {"a": np.ones(1)}, {})
    assert (tmp_path / "link").is_symlink()
    assert "a" in read_tensors(tmp_path / "t")[0]
