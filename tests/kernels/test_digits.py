"""Numbers parsed from bytes, against Python's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.data.words import PADDING, padded
from sparserec_np.kernels import digits


def parse_integers(texts, canonical=False):
    buffer, starts, ends = fields(texts)
    numbers = np.empty(len(texts), np.int64)
    return numbers.tolist() if digits.parse_integers(buffer, starts, ends, canonical, numbers) else None


def parse_decimals(texts):
    numbers = np.empty(len(texts))
    return numbers.tolist() if digits.parse_decimals(*fields(texts), numbers) else None


def fields(texts):
    texts = [text if isinstance(text, bytes) else text.encode() for text in texts]
    ends = (PADDING + np.cumsum([len(text) + 1 for text in texts], dtype=np.int64) - 1).astype(np.int32)
    starts = (ends - [len(text) for text in texts]).astype(np.int32)
    return padded(b",".join([*texts, b""])), starts, ends


@given(st.lists(st.integers(0, 10**18 - 1)))
def test_integers(numbers):
    assert parse_integers([str(number) for number in numbers], canonical=True) == numbers


@given(st.lists(st.from_regex(r"[0-9]{0,7}\.[0-9]{1,8}|[0-9]{1,15}\.?", fullmatch=True)))
def test_decimals_to_the_last_bit(texts):
    assert all(text.isascii() for text in texts)
    assert parse_decimals(texts) == [float(text) for text in texts]


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1 ", " 1", "1_0", "a", "1a", "/", ":", "1e5", "é", "9" * 19, "\x00", b"\xff"]
)
def test_integers_leave_the_rest_to_others(text):
    assert parse_integers(["12", text]) is None


def test_a_leading_zero_is_lost_only_where_it_may_be():
    assert parse_integers(["0", "007"]) == [0, 7]
    assert parse_integers(["0", "007"], canonical=True) is None
    assert parse_integers(["0", "700"], canonical=True) == [0, 700]


@pytest.mark.parametrize("text", ["", ".", "1.2.3", "-1.5", "1e5", "nan", "1,5", "0." + "1" * 15])
def test_decimals_leave_the_rest_to_others(text):
    assert parse_decimals(["12", text]) is None


@given(st.binary(min_size=1, max_size=20))
def test_any_bytes_are_parsed_right_or_not_at_all(text):
    assert parse_integers([text]) == ([int(text)] if text.isdigit() and len(text) <= 18 else None)
