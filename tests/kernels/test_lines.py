import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.kernels.lines import AT_ONCE, count_newlines, find_ends


@given(
    data=st.lists(st.sampled_from(b',\n,\n:a+-\x0b\xff"'), max_size=300).map(bytes),
    before=st.integers(0, 70),
    separator=st.sampled_from(b",:"),
)
def test_separators_and_newlines_are_found_wherever_they_stand(data, before, separator):
    buffer = np.frombuffer(b"," * before + data + bytes(AT_ONCE), np.uint8)
    found = np.full(len(data) + AT_ONCE, -1, np.int32)
    n_found, n_newlines = find_ends(buffer, before, before + len(data), np.uint8(separator), found)
    places = [before + at for at, byte in enumerate(data) if byte in (separator, ord("\n"))]
    assert found[:n_found].tolist() == places
    assert n_newlines == data.count(b"\n")


@given(st.lists(st.sampled_from(b"\n\n\x0b*\x8a"), max_size=300).map(bytes), st.integers(0, 70))
def test_newlines_are_counted_wherever_they_stand(data, before):
    buffer = np.frombuffer(b"\n" * before + data, np.uint8)[before:]
    assert count_newlines(buffer) == data.count(b"\n")
