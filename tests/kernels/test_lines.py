import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.kernels.lines import AT_ONCE, count_newlines, find_ends


@given(
    data=st.lists(st.sampled_from(b',\n,\n:a+-\x0b"'), max_size=300).map(bytes)
    | st.lists(st.sampled_from(b',\n:a\x8c\x0b\xff\0\r"'), max_size=300).map(bytes),
    before=st.integers(0, 70),
    separator=st.sampled_from(b",:"),
)
def test_separators_and_newlines_are_found_wherever_they_stand(data, before, separator):
    buffer = np.frombuffer(b"," * before + data + bytes(AT_ONCE), np.uint8)
    found = np.full(len(data) + AT_ONCE, -1, np.int32)
    n_found, n_newlines, n_quotes, has_nul, has_return, is_ascii = find_ends(
        buffer, before, before + len(data), np.uint8(separator), found
    )
    places = [before + at for at, byte in enumerate(data) if byte in (separator, ord("\n"))]
    assert found[:n_found].tolist() == places
    assert (n_newlines, n_quotes) == (data.count(b"\n"), data.count(b'"'))
    assert (has_nul, has_return, is_ascii) == (b"\0" in data, b"\r" in data, data.isascii())


@given(st.lists(st.sampled_from(b"\n\n\x0b*\x8a"), max_size=300).map(bytes), st.integers(0, 70))
def test_newlines_are_counted_wherever_they_stand(data, before):
    buffer = np.frombuffer(b"\n" * before + data + b"\n", np.uint8)
    behind = before + data.rfind(b"\n") + 1
    assert count_newlines(buffer, before, before + len(data)) == (data.count(b"\n"), behind)
