"""The model file: the same numbers back, the same bytes each time, and no harm from a stranger's file."""

from __future__ import annotations

import json
import os
import tracemalloc
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_models import assert_same, random_model, random_table

from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.runtime import IdMap, Recommender, SeenItems, TableData, load_model, save_model
from sparserec_np.runtime.format import read_tensors, write_tensors

# The longer run: SPARSEREC_MUTATIONS=10000 pytest tests/runtime/test_model_file.py -k mutated
EXAMPLES = int(os.environ.get("SPARSEREC_MUTATIONS", "300"))

MODELS = st.builds(
    random_model,
    st.integers(0, 10**6),
    n_users=st.integers(0, 6),
    n_items=st.integers(0, 9),
    dim=st.sampled_from([1, 3, 300]),
    ids=st.sampled_from(["range", "int", "str"]),
    biases=st.booleans(),
)


@given(model=MODELS)
def test_round_trip(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("round_trip")
    save_model(folder / "a.srec", model)
    again = load_model(folder / "a.srec")
    assert_same(model, again)
    save_model(folder / "b.srec", again)
    assert (folder / "a.srec").read_bytes() == (folder / "b.srec").read_bytes()


@pytest.mark.parametrize("most", [254, 255, 256, 70_000, 2**32, 2**40])
def test_popularity_comes_back_whole_in_few_bytes(tmp_path, most):
    popularity = np.arange(1000, dtype=np.int64) % 250
    popularity[[3, 999]] = most - 1, most
    model = random_model(n_items=1000, popularity=popularity)
    save_model(tmp_path / "m", model)
    tensors, _ = read_tensors(tmp_path / "m")
    n_bytes = sum(array.nbytes for name, array in tensors.items() if name.startswith("popularity"))
    assert n_bytes <= (1000 + 2 * 4 if most < 2**32 else 8000)
    loaded = load_model(tmp_path / "m")
    assert loaded.popularity.tolist() == popularity.tolist()
    assert not loaded.popularity.flags.writeable
    save_model(tmp_path / "again", loaded)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (np.array([300], np.uint16), "popularity.rest has length 1; expected 2"),
        (np.array([300, 254], np.uint16), "popularity.rest holds 254; expected at least 255"),
        (np.array([300, 400], np.int32), "'popularity.rest' is int32; expected unsigned integers"),
        (np.array([[300, 400]], np.uint16), r"'popularity.rest' has shape \(1, 2\)"),
        (np.array([np.nan, np.inf], np.float32), "'popularity.rest' is float32; expected unsigned integers"),
    ],
)
def test_wrong_popularity_of_popular_items_is_refused(tmp_path, rest, message):
    save_model(tmp_path / "m", random_model(n_items=5))
    with_popular_items(tmp_path / "m", [255, 0, 1, 255, 2], rest)
    with pytest.raises(ModelFormatError, match=message):
        load_model(tmp_path / "m")


def test_popularity_beside_its_rest_takes_a_byte(tmp_path):
    save_model(tmp_path / "m", random_model(n_items=5))
    tensors, metadata = read_tensors(tmp_path / "m")
    tensors |= {"popularity": np.full(5, 255, np.uint16), "popularity.rest": np.full(5, 300, np.uint16)}
    write_tensors(tmp_path / "m", tensors, metadata)
    with pytest.raises(
        ModelFormatError, match=r"popularity is uint16; expected uint8 beside popularity.rest"
    ):
        load_model(tmp_path / "m")


def test_round_trip_of_the_least(tmp_path):
    model = random_model(
        users=None, user_ids=IdMap.range(0, entity="user"), seen=None, encoder="sum", info={}
    )
    save_model(tmp_path / "m", model)
    again = load_model(tmp_path / "m")
    assert_same(model, again)
    assert again.user_ids.entity == "user"
    assert again.item_ids.entity == "item"


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_types_are_narrow_in_the_file(tmp_path, precision):
    model = random_model(dim=256, ids="int")
    save_model(tmp_path / "m", model, precision)
    tensors = safetensors.numpy.load_file(tmp_path / "m")
    scales = {"items.scales", "users.scales"} if precision == "int8" else set()
    for name in ("items.starts", "users.starts"):
        assert tensors.pop(name).dtype == np.uint16
    assert {name for name in tensors if tensors[name].dtype != np.uint8} == {"items.values", "users.values"}
    assert str(tensors["items.values"].dtype) == str(tensors["users.values"].dtype) == precision
    assert tensors.keys() == scales | {
        "items.lengths",
        "items.gaps",
        "items.values",
        "users.lengths",
        "users.gaps",
        "users.values",
        "seen.lengths",
        "seen.gaps",
        "seen.starts",
        "popularity",
        "item_ids.numbers",
        "user_ids.numbers",
    }


@given(model=MODELS, precision=st.sampled_from(["float16", "int8"]))
def test_short_values_change_by_their_rounding_alone_and_once(tmp_path_factory, model, precision):
    folder = tmp_path_factory.mktemp("short")
    save_model(folder / "a.srec", model, precision)
    short = load_model(folder / "a.srec")
    for whole, found in ((model.items, short.items), (model.users, short.users)):
        np.testing.assert_array_equal(whole.indptr, found.indptr)
        np.testing.assert_array_equal(whole.indices, found.indices)
        largest = np.zeros(whole.n_rows)
        np.maximum.at(largest, whole.by_row.majors, np.abs(whole.values))
        # Half a step: a float16 has 11 digits, an int8 up to 127 steps or, between two scales, 117.
        bound = np.abs(whole.values) / 2**11 if precision == "float16" else largest[whole.by_row.majors] / 232
        assert (np.abs(whole.values - found.values) <= bound + 1e-7).all()
    save_model(folder / "b.srec", short, precision)
    assert (folder / "a.srec").read_bytes() == (folder / "b.srec").read_bytes()


def test_int8_holds_rows_of_very_different_length(tmp_path):
    values = np.array([1e6, -3e-3, 0.0, 5.0, -5.0], np.float32)
    items = TableData(np.arange(6), np.zeros(5, int), values, 1)
    save_model(tmp_path / "m", random_model(n_items=5, dim=1, items=items), "int8")
    np.testing.assert_allclose(load_model(tmp_path / "m").items.values, values, rtol=1 / 232)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@pytest.mark.parametrize("largest", [1e12, 9.99e11, 65504, 1e-3, 1e-19, 1e-30, 1e-44, 0])
def test_what_is_written_can_be_read(tmp_path, precision, largest):
    values = (np.linspace(-1, 1, 8) * largest).astype(np.float32)
    items = TableData(np.arange(9), np.zeros(8, int), values, 1)
    model = random_model(n_items=8, dim=1, items=items)
    if precision == "float16" and largest > 65504:
        with pytest.raises(SettingError, match="float16 65504 at most"):
            save_model(tmp_path / "m", model, precision)
        assert not (tmp_path / "m").exists()
        return
    save_model(tmp_path / "m", model, precision)
    found = load_model(tmp_path / "m", verify=True).items.values
    np.testing.assert_allclose(found, values, rtol=1e-2, atol=1e-7 if precision == "float16" else 1e-18)


def test_values_beyond_float16_are_refused(tmp_path):
    with pytest.raises(SettingError, match="a table holds 1e\\+06 and float16 65504 at most; use"):
        save_model(tmp_path / "m", replace(M, items=with_value(M.items, 1e6)), "float16")
    with pytest.raises(SettingError, match="precision is 'int4'; expected one of float32, float16, int8"):
        save_model(tmp_path / "m", M, "int4")


def test_metadata(tmp_path):
    model = random_model(ids="str", biases=True, encoder="ratings", encoder_settings={"assumed_rating": 4.5})
    save_model(tmp_path / "m", model)
    with safetensors.safe_open(tmp_path / "m", "np") as file:
        metadata = file.metadata()
    info = json.loads(metadata.pop("info"))
    assert info == model.info
    assert metadata == {
        "format": "srec",
        "format_version": "2",
        "precision": "float32",
        "item_exponent": "0",
        "user_exponent": "0",
        "dim": "8",
        "n_users": "12",
        "n_items": "30",
        "user_nnz": str(model.users.nnz),
        "item_nnz": str(model.items.nnz),
        "density": repr((model.users.nnz + model.items.nnz) / (42 * 8)),
        "offset": "3.5",
        "user_ids": "str",
        "item_ids": "str",
        "encoder": "ratings",
        "encoder_settings": '{"assumed_rating":4.5}',
    }


def test_loaded_arrays_are_read_only_views(tmp_path):
    save_model(tmp_path / "m", random_model())
    model = load_model(tmp_path / "m")
    for array in (model.users.values, model.items.by_column.values, model.popularity):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        assert not array.flags.owndata


def test_a_failed_save_leaves_the_old_model(tmp_path, monkeypatch):
    save_model(tmp_path / "m", random_model(seed=1))

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        save_model(tmp_path / "m", random_model(seed=2))
    assert os.listdir(tmp_path) == ["m"]
    assert_same(load_model(tmp_path / "m"), random_model(seed=1))


def changed(table, part, place, value):
    """The table with one number of one of its arrays replaced."""
    parts = {name: getattr(table, name).copy() for name in ("indptr", "indices", "values")}
    parts[part][place] = value
    return TableData(**parts, dim=table.dim)


def with_indices(table, entry, value):
    return changed(table, "indices", entry, value)


def with_indptr(table, row, value):
    return changed(table, "indptr", row, value)


def with_value(table, value):
    return changed(table, "values", 2, value)


def with_parts(table, **parts):
    return TableData(
        **({"indptr": table.indptr, "indices": table.indices, "values": table.values, "dim": 8} | parts)
    )


def csr(indptr, indices):
    return SeenItems(np.array(indptr), np.array(indices))


M = random_model(biases=True)
WRONG = {
    "items.indptr leads from 1": {"items": with_indptr(M.items, 0, 1)},
    "items.indptr falls after row 4": {"items": with_indptr(M.items, 4, M.items.nnz)},
    "users.indptr leads from 0 to 5": {"users": with_indptr(M.users, -1, 5)},
    "users.indices holds 8 in row 2; expected 0 to 7": {"users": with_indices(M.users, 5, 8)},
    "users.indices holds -1 in row 2; expected 0 to 7": {"users": with_indices(M.users, 5, -1)},
    "users.indices is float64": {"users": with_parts(M.users, indices=M.users.indices.astype(float))},
    "items.indices is not rising within row 1; expected sorted, unique": {
        "items": TableData(np.array([0, 2, 4]), np.array([0, 3, 1, 1]), np.ones(4, np.float32), 8),
        "item_ids": IdMap.range(2),
    },
    "items.values holds nan at position 2": {"items": with_value(M.items, np.nan)},
    "items.values holds inf at position 2": {"items": with_value(M.items, np.inf)},
    "items.values holds -1.0000.* at position 2": {"items": with_value(M.items, -1e30)},
    "items.values is float64": {"items": with_parts(M.items, values=M.items.values.astype(float))},
    "items.values has length 1": {"items": with_parts(M.items, values=np.ones(1, np.float32))},
    "columns of items.indices holds 30 in column 1; expected 0 to 29": {
        "items": TableData.from_columns(
            np.arange(9), np.array([0, 30, 1, 1, 2, 3, 4, 5]), np.ones(8, np.float32), 30
        )
    },
    "dim of items is 0": {"items": with_parts(M.items, dim=0)},
    "users have dim 9; expected 8": {"users": with_parts(M.users, dim=9)},
    "item_ids has length 3; expected 30": {"item_ids": IdMap.range(3)},
    "user_ids has length 3; expected 12": {"user_ids": IdMap.range(3, entity="user")},
    "popularity has length 3": {"popularity": np.ones(3, int)},
    "popularity holds -1": {"popularity": np.full(30, -1)},
    "popularity holds nan": {"popularity": np.full(30, np.nan, np.float32)},
    "popularity is bool": {"popularity": np.ones(30, bool)},
    "item_bias has length 3": {"item_bias": np.ones(3, np.float32)},
    "user_bias holds inf": {"user_bias": np.full(12, np.inf, np.float32)},
    "offset is nan": {"offset": float("nan")},
    "seen.indptr has length 2": {"seen": csr([0, 1], [0])},
    "seen.indices holds 30 in row 11; expected 0 to 29": {"seen": csr([0] * 12 + [1], [30])},
    "seen.indices is not rising within row 11": {"seen": csr([0] * 12 + [2], [4, 4])},
    "encoder is 'x'": {"encoder": "x"},
    "user_bias is given although there is no user table": {"users": None},
}


@pytest.mark.parametrize("message", WRONG)
def test_arrays_that_contradict_each_other_are_not_written(tmp_path, message):
    with pytest.raises(ModelFormatError, match=message):
        save_model(tmp_path / "m", replace(M, **WRONG[message]))
    assert os.listdir(tmp_path) == []


def test_info_must_be_json(tmp_path):
    for info in (
        {"loss": float("nan")},
        {"model": object()},
        {"by": "\ud800"},
        {1: "one", "1": "one"},
        {"settings": 5},
        {"seed": 10**400},
        {"deep": eval("[" * 50 + "]" * 50)},
    ):
        with pytest.raises(SettingError, match="info cannot be written as JSON"):
            save_model(tmp_path / "m", replace(M, info=info))
    assert not (tmp_path / "m").exists()
    save_model(tmp_path / "m", replace(M, info={"random_state": 2**128}))
    assert load_model(tmp_path / "m").info == {"random_state": 2**128}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", None, "format is None; expected 'srec'"),
        ("format_version", "1", "format_version is '1'; this sparserec_np reads '2'"),
        ("precision", "float8", "precision is 'float8'; expected one of float32, float16, int8"),
        ("precision", "int8", "items.values is float32 of length .*; expected int8, as the metadata say"),
        ("item_exponent", "61", "item_exponent is '61'; expected -60 to 60"),
        ("user_exponent", "1.5", "user_exponent is '1.5'"),
        ("dim", "9", "items.lengths has length 8; expected dim, 9"),
        ("dim", "-1", "dim is '-1'"),
        ("dim", "99999", "dim is '99999'"),
        ("dim", None, "'dim' is missing"),
        ("n_users", "13", "n_users is '13'; the tensors say '12'"),
        ("density", "0.1", "density is '0.1'; the tensors say"),
        ("offset", "inf", "offset is 'inf'"),
        ("offset", "1,5", "offset is '1,5'"),
        ("item_ids", "int", "item_ids: numbers is missing"),
        ("encoder", "x", "encoder is 'x'"),
        ("encoder_settings", "[]", "encoder_settings is .*; expected a JSON object"),
        ("encoder_settings", '{"alpha":1,"alpha":2}', "occurs twice"),
        ("encoder_settings", '{"alpha":1e999}', "alpha is inf"),
        ("info", "{", "info is not the JSON expected"),
        ("info", '{"name":"\\ud800"}', r"info holds '\\ud800', half of a character"),
        ("info", None, "'info' is missing"),
        ("info", "[]", r"info is \[\]; expected a JSON object"),
        (
            "info",
            '{"validation":{"recall@20":1e999}}',
            r"info\.validation\.recall@20 is inf; expected a",
        ),
        ("info", '{"\\udfff":1}', r"info holds '\\udfff', half of a character"),
        ("info", '{"a":' * 40 + "1" + "}" * 40, "info is nested more than 32 levels deep"),
        ("info", '{"seed":' + "9" * 301 + "}", "an integer has 301 digits"),
        ("info", '{"settings":5}', r"info\.settings is 5; expected a JSON object"),
        ("info", '{"n_epochs":true}', r"info\.n_epochs is True; expected an integer of at least 0"),
        ("info", '{"baseline":{"recall@20":"good"}}', r"info\.baseline is .* expected numbers by"),
        ("info", '{"by_amount":[]}', r"info\.by_amount is \[\]; expected a JSON object"),
        ("n_items", "٣", "n_items is '٣'; expected 0 to"),
        ("n_items", "9" * 30, "n_items is '9+'; expected 0 to"),
        ("density", "nan", "density is 'nan'; expected a finite number"),
        ("offset", "1e30", r"offset is '1e30'; expected a finite number"),
        ("user_ids", "text", "user_ids is 'text'; expected one of range, int, str"),
    ],
)
def test_wrong_metadata_is_refused(tmp_path, key, value, message):
    path = tmp_path / "m.srec"
    save_model(path, M)
    tensors, metadata = read_tensors(path)
    if value is None:
        del metadata[key]
    else:
        metadata[key] = value
    write_tensors(path, tensors, metadata)
    with pytest.raises(ModelFormatError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_missing_and_surplus_tensors_are_refused(tmp_path):
    path = tmp_path / "m.srec"
    save_model(path, random_model(ids="str"))
    tensors, metadata = read_tensors(path)
    for name in tensors:
        write_tensors(path, {other: array for other, array in tensors.items() if other != name}, metadata)
        with pytest.raises(ModelFormatError, match=f"{name.rpartition('.')[2]}'? is missing"):
            load_model(path)
    write_tensors(path, tensors | {"item_bia3": np.ones(30, np.float32)}, metadata)
    with pytest.raises(ModelFormatError, match="'item_bia3' has no place in a model"):
        load_model(path)
    write_tensors(path, tensors | {"items.values": np.ones((3, 2), np.float32)}, metadata)
    with pytest.raises(ModelFormatError, match=r"'items.values' has shape \(3, 2\)"):
        load_model(path)


def small_file(path, seed=3):
    model = random_model(seed, n_users=3, n_items=5, dim=4, ids="str" if seed % 2 else "int", biases=True)
    save_model(path, model, ("float32", "int8", "float16")[seed % 3])
    if seed % 3:
        with_popular_items(path, [7, 255, 0, 255, 3], np.array([255, 70_000], np.uint32))
    return path.read_bytes()


def with_popular_items(path, popularity, rest):
    """Give a file the popularity of one in which few items have more than a byte holds."""
    tensors, metadata = read_tensors(path)
    tensors |= {"popularity": np.array(popularity, np.uint8), "popularity.rest": rest}
    write_tensors(path, tensors, metadata)


def uses(recommender):
    """Everything that a recommender can be asked for, each by itself: a part may be damaged."""
    for user in range(len(recommender.user_ids)):
        yield lambda one, user=user: answered(one.recommend(one.user_ids[user], k=3))
        yield lambda one, user=user: one.similar_users(one.user_ids[user])
    for item in range(len(recommender.item_ids)):
        yield lambda one, item=item: answered(one.recommend(history=[one.item_ids[item]], k=3))
        yield lambda one, item=item: one.similar_items(one.item_ids[item])
    yield lambda one: one.recommend(history=one.item_ids.ids()[:2], weights=[1, 1], k=3)
    yield lambda one: one.predict(one.user_ids.ids()[:2], one.item_ids.ids()[:2])
    yield lambda one: one.recommend(history=[], k=3)
    yield lambda one: one.data.seen and list(one.data.seen)


def answered(answer):
    assert len(answer.ids) == len(answer.scores) <= 3
    assert np.isfinite(answer.scores).all()


def assert_refused_or_sound(path):
    """A mutated file is refused, now or where it is used, or satisfies every invariant and answers."""
    try:
        recommender = Recommender.load(path)
    except ModelFormatError:
        return
    try:
        load_model(path, verify=True).check()
    except ModelFormatError:
        sound = False
    else:
        sound = True
    for use in uses(recommender):
        if sound:
            use(recommender)
            continue
        # Of a file that was just opened, and of one that others used before.
        for one in (Recommender.load(path), recommender):
            with suppress(ModelFormatError):
                use(one)


def test_truncation_at_every_byte_is_refused(tmp_path):
    path = tmp_path / "m.srec"
    content = small_file(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFormatError):
            load_model(path)


@st.composite
def mutations(draw, size):
    """Some bytes of a file changed: places and, for each, what happens there."""
    places = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=4))
    return [
        (place, draw(st.sampled_from(["flip", "set", "swap"])), draw(st.integers(0, 255))) for place in places
    ]


@pytest.mark.filterwarnings("error")
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data(), seed=st.integers(0, 5))
def test_mutated_files_do_no_harm(tmp_path_factory, data, seed):
    path = tmp_path_factory.getbasetemp() / "mutated.srec"
    content = bytearray(small_file(path, seed))
    for place, how, what in data.draw(mutations(len(content))):
        if how == "flip":
            content[place] ^= 1 << what % 8
        elif how == "set":
            content[place] = what
        else:
            other = what * 131 % len(content)
            content[place], content[other] = content[other], content[place]
    path.write_bytes(content)
    assert_refused_or_sound(path)


@pytest.mark.filterwarnings("error")
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data(), seed=st.integers(0, 5))
def test_mutated_tensors_do_no_harm(tmp_path_factory, data, seed):
    """The mutations that a wrong header hides: those of numbers in tensors of the right size."""
    path = tmp_path_factory.getbasetemp() / "tensors.srec"
    small_file(path, seed)
    tensors, metadata = read_tensors(path)
    name = data.draw(st.sampled_from(sorted(name for name in tensors if tensors[name].size)))
    mutated = bytearray(tensors[name].tobytes())
    for place, _, what in data.draw(mutations(len(mutated))):
        mutated[place] = what
    array = np.frombuffer(mutated, tensors[name].dtype).reshape(tensors[name].shape)
    write_tensors(path, tensors | {name: array}, metadata)
    assert_refused_or_sound(path)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_large_model_is_opened_at_once_and_used_in_memory_that_its_bytes_bound(tmp_path, precision):
    rng = np.random.default_rng(0)
    n = 20_000
    parts = {
        "items": random_table(rng, n, 32, 0.5),
        "item_ids": IdMap.from_ids([f"{i:06d}" for i in range(n)]),
        "users": random_table(rng, n, 32, 0.5),
        "user_ids": IdMap.range(n, entity="user"),
        "seen": None,
    }
    save_model(tmp_path / "m", random_model(n_items=n, dim=32, **parts), precision)
    size = (tmp_path / "m").stat().st_size
    tracemalloc.start()
    recommender = Recommender.load(tmp_path / "m")
    assert tracemalloc.get_traced_memory()[1] < 150_000 < size / 5
    recommender.recommend(0, filter_seen=False)
    one = tracemalloc.get_traced_memory()[1]
    recommender.data.check()
    everything = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The person's columns, about half of them, and a piece of the ids; then at most twelve bytes for an
    # entry, which has two in the file at least, and a chunk.
    assert one < 6 * size
    assert everything < 8 * size


def test_damage_is_found_where_it_is_used(tmp_path):
    """A user whose row lies in another block, and whose columns do, is still answered."""
    model = random_model(n_users=130, ids="str")
    path = tmp_path / "m.srec"
    save_model(path, model)
    tensors, metadata = read_tensors(path)
    gaps = tensors["users.gaps"].copy()
    gaps[-1] = 255
    write_tensors(path, tensors | {"users.gaps": gaps}, metadata)
    recommender = Recommender.load(path)
    for row in (0, 63, 127):
        expected = Recommender(model).recommend(model.user_ids[row], k=5)
        np.testing.assert_array_equal(recommender.recommend(model.user_ids[row], k=5).ids, expected.ids)
    for _ in range(2):
        with pytest.raises(ModelFormatError, match=r"m\.srec: users\.gaps"):
            recommender.recommend(model.user_ids[129])
    with pytest.raises(ModelFormatError, match=r"m\.srec: users\.gaps"):
        Recommender.load(path, verify=True)


def test_starts_that_miss_a_list_are_refused(tmp_path):
    path = tmp_path / "m.srec"
    save_model(path, random_model(n_users=130))
    tensors, metadata = read_tensors(path)
    for name in ("items.starts", "users.starts", "seen.starts"):
        for place in range(len(tensors[name])):
            starts = tensors[name].copy()
            starts[place] += 1
            write_tensors(path, tensors | {name: starts}, metadata)
            with pytest.raises(ModelFormatError, match=f"{name} (are not|lead)"):
                load_model(path, verify=True)
