"""Files of every shape that people have, read; and every kind that is broken, refused."""

import bz2
import contextlib
import csv
import gzip
import io
import lzma
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparserec_np.data import Interactions, blocks, source
from sparserec_np.data.sniff import Layout
from sparserec_np.data.words import padded
from sparserec_np.errors import DataError, SettingError

ROWS = [("7", "20", "3.5", "1000000000"), ("7", "3", "5", "1000000007"), ("12", "20", "1", "1000000003")]
DENSE = [[5, 3.5], [0, 1]]  # users 7, 12; items 3, 20


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def dense(interactions):
    return interactions.user_items.toarray().tolist()


def text_of(separator, header=None, end="\n"):
    rows = ([header] if header else []) + ROWS
    return "".join(separator.join(row) + end for row in rows)


def check(interactions):
    assert dense(interactions) == DENSE
    assert list(interactions.users.ids()) == [7, 12]
    assert list(interactions.items.ids()) == [3, 20]
    assert interactions.times.tolist() == [1000000007, 1000000000, 1000000003]
    assert interactions.weighted
    assert interactions.user_items.has_canonical_format
    assert interactions.user_items.dtype == np.float32
    assert interactions.user_items.indices.dtype == np.int32


HEADER = ("userId", "movieId", "rating", "timestamp")


@pytest.mark.parametrize("separator", [",", "\t", ";", "::", " ", "|"])
@pytest.mark.parametrize("header", [None, HEADER])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_formats(write, separator, header, end, bom):
    interactions = Interactions.from_csv(write(bom + text_of(separator, header, end).encode()))
    check(interactions)
    assert interactions.summary.n_rows == 3
    assert interactions.summary.header == (header is not None)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["data.csv.gz", "data.csv.bz2", "data.csv.xz", "data"])
def test_compression_is_told_by_content(write, compress, name):
    check(Interactions.from_csv(write(compress(text_of(",", HEADER).encode()), name)))


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("buffer", [io.BytesIO, lambda data: io.BufferedReader(io.BytesIO(data))])
def test_standard_input(monkeypatch, compress, buffer):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer(compress(text_of(",").encode()))))
    interactions = Interactions.from_csv("-")
    check(interactions)
    assert "standard input" in str(interactions.summary)


@pytest.mark.parametrize(
    "header",
    [
        ("user", "item", "rating", "time"),
        ("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
        ("User-ID", "ISBN", "Book-Rating", "Date"),
        ("reviewerID", "asin", "overall", "unixReviewTime"),
        ("CUSTOMER", "Product", "Weight", "DateTime"),
        ("uid", "iid", "score", "ts"),
        ("visitorid", "track_id", "plays", "created_at"),
        ("user", "business_id", "stars", "date"),
    ],
)
def test_names_in_use(write, header):
    check(Interactions.from_csv(write(text_of("\t", header))))


def test_columns_in_any_order_beside_others(write):
    text = "idx,rating,genre,item,user\n0,3.5,a,20,7\n1,5,b,3,7\n2,1,c,20,12\n"
    assert dense(Interactions.from_csv(write(text))) == DENSE


@pytest.mark.parametrize(
    "columns", [{"user": "who", "item": "what", "weight": "much"}, {"user": 3, "item": 1, "weight": 2}]
)
@pytest.mark.parametrize("as_text", [False, True])
def test_columns_by_name_and_position(write, columns, as_text):
    if as_text:  # as a command line gives them
        columns = {role: str(column) for role, column in columns.items()}
    path = write("what,much,who\n20,3.5,7\n3,5,7\n20,1,12\n")
    assert dense(Interactions.from_csv(path, **columns)) == DENSE


def test_headerless_times_and_ratings(write):
    assert Interactions.from_csv(write("1,2,3\n")).times is None
    dated = Interactions.from_csv(write("1,2,1000000000\n"))
    assert dated.times.tolist() == [1e9]
    assert not dated.weighted
    swapped = Interactions.from_csv(write("1,2,1000000000,4\n"))
    assert swapped.times.tolist() == [1e9]
    assert swapped.user_items.data.tolist() == [4]
    titled = Interactions.from_csv(write("1,2,Heat\n1,3,Alien\n"))
    assert titled.times is None
    assert not titled.weighted


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("1970-01-02", 86400),
        ("1970-01-01T00:01:00", 60),
        ("1970-01-01 00:01:00", 60),
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T01:01:00+01:00", 60),
        ("1970-01-01T00:00:00.500000", 0.5),
        ("1969-12-31T23:00:00-01:00", 0),
        ("-5", -5),
        ("-1970", -1970),
        ("1.5e3", 1500),
    ],
)
def test_dates(write, date, seconds):
    assert Interactions.from_csv(write(f"user,item,date\n1,2,{date}\n")).times.tolist() == [seconds]


def test_a_date_column_that_is_none_is_left_alone(write):
    path = write('user,item,date\n1,2,"09 13, 2009"\n')
    assert Interactions.from_csv(path).times is None
    with pytest.raises(DataError, match="line 2, column 3 \\(\"date\"\\): found '09 13, 2009'"):
        Interactions.from_csv(path, time="date")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("anna,heat\nbert,alien\n", False),
        ("anna,heat,4\nbert,alien,5\n", False),
        ("u1,i1\nu2,i2\n", False),
        ("user,item\nanna,heat\n", True),
        ("usr_key,mov_key\n1,2\n3,4\n", True),
        ("user;title\n1;2\n", True),
        ("user;title\nanna;heat\n", True),
        ("u,i\nanna,heat\n", False),
        ("u,i\n1,2\n", True),
        ("user,item\nitem,user\nuser,item\n", False),
    ],
)
def test_header_detection(write, text, header):
    choices = {"user": 1, "item": 2}
    interactions = Interactions.from_csv(write(text), **choices)
    assert interactions.summary.header is header
    assert interactions.summary.n_rows == text.count("\n") - header


def test_header_as_told(write):
    path = write("user,item\nanna,heat\n")
    assert Interactions.from_csv(path, header=False).n_users == 2
    assert Interactions.from_csv(write("1,2\n3,4\n"), header=True, user=1, item=2).n_users == 1


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["10", "9", "0"], [0, 9, 10]),
        (["10", "-9"], [-9, 10]),
        (["10", "09"], ["09", "10"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        (["9223372036854775807", "1234567890123456789"], [1234567890123456789, 9223372036854775807]),
        (["9223372036854775808", "1"], ["1", "9223372036854775808"]),
        (["+1", "2"], ["+1", "2"]),
        (["é", "z", "日本"], ["z", "é", "日本"]),
        (["00", "0"], ["0", "00"]),
    ],
)
def test_ids(write, ids, expected):
    interactions = Interactions.from_csv(write("user,item\n" + "".join(f"{id},1\n" for id in ids)))
    assert [interactions.users[row] for row in range(interactions.n_users)] == expected


def test_blanks_and_blank_lines(write):
    check(Interactions.from_csv(write("\n\n" + text_of(" ,  ").replace("\n", "  \n\n   \n"))))
    check(Interactions.from_csv(write("  " + text_of("   ").replace("\n", " \n"))))


def test_no_newline_at_the_end(write):
    check(Interactions.from_csv(write(text_of(",").rstrip("\n"))))


@pytest.mark.parametrize("separator", [",", ";", "|", " "])
def test_quotes(write, separator):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    rows = [("a" + separator + "b", 'say "x"'), ("two\nlines", "plain"), ("c", '"')]
    writer.writerows([("user", "item"), *rows])
    interactions = Interactions.from_csv(write(out.getvalue()))
    assert set(interactions.users.ids()) == {user for user, _ in rows}
    assert set(interactions.items.ids()) == {item for _, item in rows}


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("header", ['"user\nid",item\n', ""])
def test_quoted_newlines_in_the_first_line_and_the_last(write, header, end):
    """The last line of a file that ends without a newline is a block of its own."""
    options = {"user": 1, "item": 2, "header": bool(header)}
    interactions = Interactions.from_csv(write(f'{header}"a\nb","c\n\nd"{end}'), **options)
    assert interactions.users.ids() == ["a\nb"]
    assert interactions.items.ids() == ["c\n\nd"]
    with pytest.raises(DataError, match=f"line {3 + 2 * bool(header)}, "):
        Interactions.from_csv(write(f'{header}"a\nb","c"\n1,2,3{end}'), **options)


@pytest.mark.parametrize("name", ["²", "9" * 5000, "-1"])
def test_a_column_that_is_neither_a_name_nor_a_position_is_refused(write, name):
    with pytest.raises(DataError, match=r"expected .* among them"):
        Interactions.from_csv(write("user,item\n1,2\n"), user=name)


def test_a_separator_that_no_text_holds_is_refused(write):
    with pytest.raises(SettingError, match=r"sep is '\\ud800', which no text in UTF-8 holds"):
        Interactions.from_csv(write("1\0,2\n"), sep="\ud800")


def test_every_field_quoted(write):
    text = "".join(",".join(f'"{field}"' for field in row) + "\n" for row in [HEADER, *ROWS])
    check(Interactions.from_csv(write(text)))


def test_quotes_are_characters_between_tabs(write):
    interactions = Interactions.from_csv(write('user\titem\n1\t"weird al" yankovic\n2\t"b"\n3\t7" single\n'))
    assert list(interactions.items.ids()) == ['"weird al" yankovic', '7" single', "b"]


def test_repeated_pairs(write):
    summed = Interactions.from_csv(write("user,item,plays,time\n1,2,3,30\n1,2,4,10\n1,1,1,5\n"))
    assert dense(summed) == [[1, 7]]
    assert summed.times.tolist() == [5, 30]
    assert summed.summary.merged == 1
    assert "1 rows repeated" in str(summed.summary)
    unweighted = Interactions.from_csv(write("user,item\n1,2\n1,2\n"))
    assert dense(unweighted) == [[1]]
    assert unweighted.summary.merged == 1


def test_min_rating(write):
    path = write("1,1,5\n1,2,3.7\n2,2,3\n3,3,-1\n")
    interactions = Interactions.from_csv(path, min_rating=3.7)
    assert dense(interactions) == [[1, 1]]
    assert not interactions.weighted
    assert interactions.summary.n_rows == 4
    assert interactions.summary.dropped == {"rating below 3.7": 2}
    assert "2 rows dropped: rating below 3.7" in interactions.summary.lines()
    with pytest.raises(DataError, match="the highest is 5"):
        Interactions.from_csv(path, min_rating=6)
    with pytest.raises(SettingError, match="has no ratings"):
        Interactions.from_csv(write("1,1\n"), min_rating=1)


def test_weight_zero_is_no_interaction(write):
    interactions = Interactions.from_csv(write("1,1,5\n1,2,0\n2,2,0.0\n"))
    assert dense(interactions) == [[5]]
    assert interactions.summary.dropped == {"weight 0": 2}
    with pytest.raises(DataError, match="all weights are 0"):
        Interactions.from_csv(write("1,1,0\n"))


def test_one_user_and_a_user_with_every_item(write):
    assert Interactions.from_csv(write("1,1\n")).user_items.shape == (1, 1)
    assert dense(Interactions.from_csv(write("1,1\n1,2\n2,2\n"))) == [[1, 1], [0, 1]]


GOOD = "user,item,rating\n1,2,3\n"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["line 1", "column 1", "empty", "another file"]),
        ("\n \n", ["line 1", "empty"]),
        ("user,item\n", ["line 2", "header", "nothing after it", "header=False"]),
        ("justone\nand\n", ["line 1", "column 1", "'justone'", "user and an item", "sep"]),
        (GOOD + "1,2,abc\n", ["line 3", 'column 3 ("rating")', "'abc'", "a number", "correct"]),
        (GOOD + "1,2,-1\n", ["line 3", 'column 3 ("rating")', "'-1'", "0 or more", "min_rating"]),
        (GOOD + "1,2,NaN\n", ["line 3", 'column 3 ("rating")', "'NaN'", "finite"]),
        (GOOD + "1,2,inf\n", ["line 3", 'column 3 ("rating")', "'inf'", "finite"]),
        (GOOD + "1,2,1e39\n", ["line 3", 'column 3 ("rating")', "'1e39'", "finite", "32 bits"]),
        (GOOD + "1,2,1000000000001\n", ["line 3", 'column 3 ("rating")', "'1000000000001'", "at most 1e+12"]),
        (GOOD + "1,2,1e30\n", ["line 3", 'column 3 ("rating")', "'1e30'", "at most 1e+12"]),
        ("user,item,rating\n7,8,1e12\n7,8,9e11\n", ["user 7 and item 8", "1.9e+12", "at most 1e+12"]),
        (GOOD + "1,2,1_0\n", ["line 3", 'column 3 ("rating")', "'1_0'", "a number"]),
        (GOOD + "1,2,\n", ["line 3", 'column 3 ("rating")', "''", "a number"]),
        (GOOD + "\n1,,5\n", ["line 4", 'column 2 ("item")', "''", "an item id", "fill it in"]),
        (GOOD + ",1,5\n", ["line 3", 'column 1 ("user")', "''", "a user id"]),
        (GOOD + ",,\n", ["line 3", 'column 1 ("user")', "''", "a user id"]),
        (GOOD + "1,2\n", ["line 3", "column 3", "2 fields, '1,2'", "3 fields", "comma"]),
        (GOOD + "1,2,3,4\n", ["line 3", "column 4", "4 fields", "3 fields", "remove the line"]),
        (GOOD + "1,2,3,1,2,3\n", ["line 3", "column 4", "6 fields", "3 fields"]),
        (GOOD + "1,2\n3,4,5,6\n", ["line 3", "2 fields"]),
        (GOOD + '"1,2,3\n', ["line 3", "column 1", "'\"1,2,3'", "quote", "close it"]),
        (GOOD + '1,"2"x,3\n', ["line 3", "column 2", "quote"]),
        (GOOD + '"1","2\n2","3\n', ["line 3", "column 3", "quote"]),
        (GOOD + '1,"2\n2",x\n', ["line 3", 'column 3 ("rating")', "'x'"]),
        (GOOD + '1,"2,2",3\n"3\n3",2,3\n1,2,x\n', ["line 6", "'x'"]),
        (GOOD + "1,2\x003,4\n", ["line 3", "column 2", "NUL", "UTF-8"]),
        (GOOD.encode() + b"1,2\xe9,4\n", ["line 3", "column 2", "0xe9", "UTF-8", "iconv"]),
        (GOOD + "1,2," + '"' + "x" * 200_000 + '"\n', ["line 3", "column 3", "quote"]),
        (GOOD.encode("utf-16"), ["line 1", "UTF-16", "UTF-8"]),
        (b"PK\x03\x04abc", ["line 1", "zip", "CSV"]),
        ("user,item,rating\nx,y\n", ["line 2", "column 3", "2 fields", "3 fields"]),
        ("user,item,time\n1,2,3\n1,2,soon\n", ["line 3", 'column 3 ("time")', "'soon'", "ISO date"]),
        ("user,item,time\n1,2,3\n1,2,nan\n", ["line 3", 'column 3 ("time")', "'nan'"]),
        ("1,2,x\n1,2,3\n", ["line 1", "column 3:", "'x'", "a number"]),
        ("a,1,2020-01-01 10:00\nb\nc,1,2020-01-01 10:00\n", ["line 2", "column 2", "1 field", "3 fields"]),
        ("1,2,3\n1,2,x\n", ["line 2", "column 3:", "'x'", "a number"]),
        ("foo,bar\n1,2\n", ["line 1", "'foo', 'bar'", "user=NAME"]),
        ("user,bar\n1,2\n", ["line 1", "'user', 'bar'", "item=NAME"]),
    ],
)
def test_a_broken_file_gets_one_error(write, content, parts):
    path = write(content)
    with pytest.raises(DataError) as caught:
        Interactions.from_csv(path)
    for part in [str(path), "found", "expected", *parts]:
        assert part in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", ["1,2,x", "1,2", '1,"2,3', "1,,3"])
def test_a_fault_is_found_far_into_a_file(write, bad, monkeypatch):
    monkeypatch.setattr(source, "BLOCK_BYTES", 64)
    lines = ["user,item,rating"] + ["1,2,3"] * 500
    lines[400] = bad
    with pytest.raises(DataError, match="line 401,"):
        Interactions.from_csv(write("\n".join(lines)))


def test_blocks_may_differ_in_how_lines_end_and_times_are_written(write, monkeypatch):
    monkeypatch.setattr(source, "BLOCK_BYTES", 64)
    times = ["5", "2147483648", "1.5", "2147483647", "1970-01-01T00:01:00", "7"]
    lines = [f"{user}é,{item}{end}" for user, end in enumerate(["\n", "\r\n", "\n"]) for item in range(20)]
    lines = [line.replace(",", f",i,{times[number // 10]},", 1) for number, line in enumerate(lines)]
    content = "user,item,time,more\n" + "".join(lines)
    read = Interactions.from_csv(write("\ufeff" + content))
    assert list(read.users.ids()) == ["0é", "1é", "2é"]
    assert read.times.tolist() == [2147483648.0, 2147483647.0, 60.0]
    assert read.user_items.toarray().tolist() == [[1], [1], [1]]


@pytest.mark.parametrize("first", ["1,2,x,5", ",2,3,5", "1,2,3,y", "1,2,3"])
@pytest.mark.parametrize("then", ["1,,3,5", "1,2", '1,"2,3,5', "1,2,-3,5", "1,\0,3,5"])
@pytest.mark.parametrize("apart", [4, 9, 20])  # lines, of which a block has four: of one block text is first
def test_of_several_faults_the_first_is_told(write, first, then, apart, monkeypatch):
    # Columns are some blocks behind what is split, and one may be ahead of another.
    monkeypatch.setattr(source, "BLOCK_BYTES", 32)
    lines = ["user,item,rating,time"] + ["1,2,3,4"] * 300
    lines[250], lines[250 + apart] = first, then
    with pytest.raises(DataError, match="line 251,"):
        Interactions.from_csv(write("\n".join(lines)))


@pytest.mark.parametrize(
    ("compress", "name"), [(gzip.compress, "gz"), (bz2.compress, "bz2"), (lzma.compress, "xz")]
)
def test_truncated_archives(write, compress, name):
    lines = random.Random(0)
    text = "".join(f"{lines.random()},{lines.random()}\n" for _ in range(1000)).encode()
    path = write(compress(text)[:-2000], f"data.{name}")
    with pytest.raises(DataError, match="truncated or damaged"):
        Interactions.from_csv(path)
    damaged = bytearray(compress(text))
    damaged[len(damaged) // 2] ^= 0xFF
    with pytest.raises(DataError):
        Interactions.from_csv(write(bytes(damaged), f"data.{name}"))


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        Interactions.from_csv(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="directory"):
        Interactions.from_csv(tmp_path)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"user": "nobody"}, "expected 'nobody' among them"),
        ({"user": 4}, "positions count from 1"),
        ({"user": 0}, "positions count from 1"),
        ({"user": "user", "item": "user"}, "both user and item"),
        ({"user": "user", "header": False}, "header is False"),
        ({"sep": ""}, "expected a separator"),
    ],
)
def test_wrong_settings(write, settings_, message):
    with pytest.raises((DataError, SettingError), match=message):
        Interactions.from_csv(write(GOOD), **settings_)


IDS = st.one_of(
    st.integers(-5, 1000).map(str),
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z")), min_size=1, max_size=5),
)


@settings(max_examples=200)
@given(
    rows=st.lists(st.tuples(IDS, IDS, st.integers(1, 9)), min_size=1, max_size=40),
    delimiter=st.sampled_from(",;|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    block_bytes=st.integers(1, 60),
)
def test_round_trip_whatever_the_blocks(tmp_path_factory, rows, delimiter, quoting, block_bytes):
    path = tmp_path_factory.mktemp("round") / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
        writer.writerows([("user", "item", "rating"), *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "BLOCK_BYTES", block_bytes)
        interactions = Interactions.from_csv(path, sep=delimiter, header=True)
    expected = {}
    for user, item, weight in rows:
        expected[user, item] = expected.get((user, item), 0) + weight
    coo = interactions.user_items.tocoo()
    found = {
        (str(interactions.users[row]), str(interactions.items[column])): weight
        for row, column, weight in zip(coo.row.tolist(), coo.col.tolist(), coo.data.tolist(), strict=True)
    }
    assert found == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "data"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        Interactions.from_csv(path)


@given(st.text(alphabet='12ab,;"\n\r\t .-:|', max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "data"
    path.write_bytes(content.encode())
    with contextlib.suppress(DataError):
        Interactions.from_csv(path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux reports it")
def test_ten_million_rows_in_memory_in_proportion(tmp_path):
    path = tmp_path / "large.csv"
    lines = "".join(f"{n % 500:03},{n // 500},{n % 5 + 1}\n" for n in range(10**5)).encode()
    with path.open("wb") as file:
        file.write(b"user,item,rating\n")
        for prefix in map(str, range(1, 101)):
            at = prefix.encode()
            file.write((at + lines.replace(b"\n", b"\n" + at))[: -len(at)])
    script = (
        "import resource, sys; from sparserec_np.data import Interactions\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        "interactions = Interactions.from_csv(sys.argv[1])\n"
        "print(interactions.n_interactions, *interactions.user_items.shape, peak() - before)"
    )
    command = [sys.executable, "-c", script, path]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    *counts, n_bytes = map(int, out.split())
    assert counts == [10**7, 50_000, 200]
    assert n_bytes < 50 * 10**7


FIELDS = {
    "user": st.one_of(
        st.integers(-20, 2**64).map(str), st.sampled_from(["007", "+7", " 7 ", "-0", "é", "a b", "0x1F", "0"])
    ),
    "item": st.integers(0, 5).map(str) | st.sampled_from(["00", "1e3", "x", "NA", "null", "nan"]),
    "weight": st.floats(0, 1e6).map(repr)
    | st.sampled_from(["1", "0", "1e-3", ".5", " 2 ", "nan", "-1", "1_0", "inf", "x", "+1"]),
    "time": st.integers(-5, 2**62).map(str)
    | st.sampled_from(["1.5", "2024-05-31", "1e9", "infinity", "-0.0"]),
}


@settings(max_examples=300)
@given(
    rows=st.lists(st.tuples(*FIELDS.values()), min_size=1, max_size=12),
    separator=st.sampled_from([",", ";", "\t", "|", " ", "::"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quote=st.sampled_from(["", '"']),
    lines=st.lists(st.sampled_from(["", "a,b", "1,2,3,4,5", "  ", '"1",2,3,4'])),
)
def test_the_fast_road_changes_neither_result_nor_error(rows, separator, end, quote, lines):
    content = "".join(separator.join(f"{quote}{field}{quote}" for field in row) + end for row in rows)
    content += "".join(line + end for line in lines)
    results = []
    for split in (blocks.FastSplitter.split, lambda *_: None):
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
            patch.setattr(blocks.FastSplitter, "split", split)
            patch.setattr(source, "BLOCK_BYTES", 64)
            patch.chdir(folder)
            Path("data.csv").write_bytes(content.encode())
            try:
                read = Interactions.from_csv(
                    "data.csv", user=1, item=2, weight=3, time=4, sep=separator, header=False
                )
            except (DataError, SettingError) as error:
                results.append(str(error))
            else:
                results.append(
                    (
                        read.user_items.todense().tolist(),
                        read.users.tensors(),
                        read.items.tensors(),
                        read.users.kind,
                        read.items.kind,
                        read.times,
                        read.summary,
                    )
                )
    np.testing.assert_equal(*results)


@pytest.mark.parametrize(
    ("text", "is_fast"),
    [
        ("7,1,3.5\n9,0,1\n", True),
        ("\n7,1,3.5\n\n\nann,02,1\n", True),
        ("7,1,3.5\r\n9,0,1\r\n", True),
        ('"ann","1",3.5\n"b","","1"\n', True),
        ('"ann, b",1,3.5\n', False),
        ('"ann ""b""",1,3.5\n', False),
        ('ann "b",1,3.5\n', False),
        ("7,1\n9,0,1\n", False),
        ("7,1,3,4\n9,0\n", False),
        ("7,1,3\n9,0", False),
        ("7,1,3\n9,0\0,1\n", False),
    ],
)
def test_which_blocks_take_the_fast_road(text, is_fast):
    layout = Layout(",", None, 3, {"user": 0, "item": 1, "weight": 2})
    assert (blocks.FastSplitter(layout).split(padded(text.encode())) is not None) == is_fast
