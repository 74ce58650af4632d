from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparserec_np.data.codebook import Codebook
from sparserec_np.data.pairs import id_map
from sparserec_np.runtime.ids import IdMap

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))


def in_order_of_occurrence(texts):
    numbers = {}
    return [numbers.setdefault(text, len(numbers)) for text in texts], list(numbers)


def strings(texts):
    cuts = texts.offsets.tolist()
    assert [cuts[0], cuts[-1]] == [0, len(texts.content)]
    assert len(texts) == len(cuts) - 1
    return [texts.content[start:stop].tobytes().decode() for start, stop in pairwise(cuts)]


def ascending(book, texts):
    """Return a book's texts as it sorts them, and check that its order says the same."""
    order, made = book.ascending()
    assert [texts[at] for at in order] == strings(made)
    assert not made or id_map(made, "item") == IdMap.from_ids(strings(made))
    return strings(made)


@given(TEXTS, TEXTS)
def test_texts_are_numbered_as_they_occur(first, second):
    book = Codebook()
    codes = [*book.encode(first), *book.encode(second)]
    expected, texts = in_order_of_occurrence([text.strip(" \t\r") for text in first + second])
    assert codes == expected
    assert list(book.texts()) == texts
    assert ascending(book, texts) == sorted(texts)
    assert len(book) == len(texts)
    assert book.holds_empty() == ("" in texts)


def test_many_texts_find_room():
    rng = np.random.default_rng(0)
    texts = [f"{number:x}" * (1 + number % 7) for number in rng.integers(0, 30_000, 60_000).tolist()]
    book = Codebook()
    expected, distinct = in_order_of_occurrence(texts)
    assert book.encode(texts).tolist() == expected
    assert list(book.texts()) == distinct
    assert ascending(book, distinct) == sorted(distinct)


@given(st.lists(st.tuples(st.text("ab", max_size=2), st.sampled_from([0, 6, 7, 8, 14, 15, 16, 17, 30]))))
def test_texts_that_end_alike_are_told_apart(parts):
    texts = [begin + "c" * n for begin, n in parts]
    book = Codebook()
    expected, distinct = in_order_of_occurrence(texts)
    assert book.encode(texts).tolist() == expected
    assert list(book.texts()) == distinct


def test_texts_in_slots_of_one_line_are_told_apart():
    # All of the same last 16 bytes: some share a line of the table, whatever it begins with.
    texts = [f"{number}, and so it goes on" for number in range(900)]
    book = Codebook()
    assert book.encode(texts + texts[::-1]).tolist() == [*range(900), *reversed(range(900))]


def test_a_text_longer_than_all_room_so_far():
    book = Codebook()
    assert book.encode(["a", "b" * 100_000, "a", "b" * 99_999, "b" * 100_000]).tolist() == [0, 1, 0, 2, 1]


@given(st.lists(st.text("ab\0é", max_size=70), unique=True))
def test_order_is_that_of_strings(texts):
    book = Codebook()
    book.encode(texts)
    assert ascending(book, texts) == sorted(texts)


@given(st.lists(st.tuples(st.text("ab\0é", max_size=20), st.booleans()), unique_by=lambda pair: pair[0]))
def test_texts_are_chosen_as_strings_are(chosen):
    book = Codebook()
    book.encode([text for text, _ in chosen])
    _, texts = book.ascending()
    mask = np.array([wanted for _, wanted in sorted(chosen)], bool)
    assert strings(texts.chosen(mask)) == sorted(text for text, wanted in chosen if wanted)
