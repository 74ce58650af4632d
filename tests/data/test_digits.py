"""Numbers parsed from bytes, against Python's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.data.digits import PADDING, parse_decimals, parse_integers


def fields(texts):
    ends = PADDING + np.cumsum([len(text) + 1 for text in texts]) - 1
    starts = ends - [len(text) for text in texts]
    buffer = np.frombuffer(bytes(PADDING) + "".join(text + "," for text in texts).encode(), dtype=np.uint8)
    return buffer, starts, ends


@given(st.lists(st.integers(0, 10**18 - 1), min_size=1))
def test_integers(numbers):
    parsed = parse_integers(*fields([str(number) for number in numbers]))
    assert parsed.tolist() == numbers


@given(st.lists(st.from_regex(r"[0-9]{0,7}\.[0-9]{1,8}|[0-9]{1,15}\.?", fullmatch=True), min_size=1))
def test_decimals_to_the_last_bit(texts):
    assert all(text.isascii() for text in texts)
    expected = [float(text) for text in texts]
    parsed = parse_decimals(*fields(texts))
    if parsed is None:
        assert any(len(text) > 15 for text in texts)
    else:
        assert parsed.tolist() == expected


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1 ", " 1", "1_0", "a", "1a", "/", ":", "1e5", "é", "9" * 19, "\x00", "\xff"]
)
def test_integers_leave_the_rest_to_others(text):
    buffer = np.frombuffer(bytes(PADDING) + b"12," + text.encode() + b",", dtype=np.uint8)
    starts, ends = np.array([PADDING, PADDING + 3]), np.array([PADDING + 2, buffer.size - 1])
    assert parse_integers(buffer, starts, ends) is None


@pytest.mark.parametrize("text", ["", ".", "1.2.3", "-1.5", "1e5", "nan", "1,5", "0." + "1" * 15])
def test_decimals_leave_the_rest_to_others(text):
    buffer = np.frombuffer(bytes(PADDING) + text.encode() + b"\n", dtype=np.uint8)
    assert parse_decimals(buffer, np.array([PADDING]), np.array([buffer.size - 1])) is None


@given(st.binary(min_size=1, max_size=10))
def test_any_bytes_are_parsed_right_or_not_at_all(text):
    buffer = np.frombuffer(bytes(PADDING) + text + b"\n", dtype=np.uint8)
    parsed = parse_integers(buffer, np.array([PADDING]), np.array([buffer.size - 1]))
    if text.isdigit():
        assert parsed.tolist() == [int(text)]
    else:
        assert parsed is None


def test_no_fields():
    nothing = np.empty(0, dtype=np.int64)
    assert parse_integers(np.zeros(PADDING, np.uint8), nothing, nothing).size == 0
    assert parse_decimals(np.zeros(PADDING, np.uint8), nothing, nothing).size == 0
