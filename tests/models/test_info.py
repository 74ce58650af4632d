"""Whatever stands in the metadata of a model file is read, or refused by the name of the field."""

import json
import math

import pytest
from click.testing import CliRunner
from sparserec_np.cli import main

from sparserec_np import SparseBPR, SparseGraph, load
from sparserec_np.errors import ModelFormatError
from sparserec_np.runtime import load_model
from sparserec_np.runtime.format import read_tensors, write_tensors

# Of every JSON type, and some that only look like the right one.
ODD = [None, True, -1, 5, 1.5, 10**100, "", "few", "\ud800", [], [5], {}, {"a": "b"}, {"a": {"b": []}}]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory, tastes):
    path = tmp_path_factory.mktemp("info") / "model.srec"
    SparseGraph(dim=8, epochs=2, random_state=0, n_jobs=1).fit(tastes).save(path)
    return path


def with_info(source, path, info):
    tensors, metadata = read_tensors(source)
    write_tensors(path, tensors, metadata | {"info": json.dumps(info)})
    return path


def info_of(path):
    return json.loads(read_tensors(path)[1]["info"])


def use(model):
    """Ask for all that comes of the metadata."""
    repr(model)
    model.get_params()
    assert model.amount_ in ("thin", "few", "many")
    assert isinstance(model.n_epochs_, int)
    assert math.isfinite(model.learning_rate_)
    for measured in (model.validation_, model.baseline_):
        assert all(map(math.isfinite, measured.values()))
    assert len(next(iter(model.recommend_all(3))).users)
    assert 0 < model.density_ <= 1
    assert model.width_ > 0


@pytest.mark.parametrize(
    "name", ["estimator", "settings", "n_epochs", "learning_rate", "validation", "baseline"]
)
def test_a_missing_field_is_named(model_file, tmp_path, name):
    info = info_of(model_file)
    del info[name]
    path = with_info(model_file, tmp_path / "m.srec", info)
    expected = "the estimator is None" if name == "estimator" else f"info holds no {name}; expected"
    with pytest.raises(ModelFormatError, match=expected) as error:
        load(path)
    assert str(path) in str(error.value)
    # Who only asks for recommendations needs none of it.
    assert load_model(path).n_items


@pytest.mark.parametrize("name", ["amount", "by_amount", "n_interactions", "version"])
def test_files_of_earlier_versions_without_a_field_still_open(model_file, tmp_path, name):
    info = info_of(model_file)
    del info[name]
    use(load(with_info(model_file, tmp_path / "m.srec", info)))


def refusal(path):
    """Message of the error that a file is refused with, if it is not used."""
    try:
        use(load(path))
    except ModelFormatError as error:
        return str(error)
    return None


def test_odd_values_are_refused_or_used(model_file, tmp_path):
    whole = info_of(model_file)
    places = [(name,) for name in whole] + [
        (name, inner) for name in ("settings", "by_amount", "validation", "baseline") for inner in whole[name]
    ]
    refused = 0
    for place in places:
        for value in ODD:
            info = json.loads(json.dumps(whole))
            inner = info
            for name in place[:-1]:
                inner = inner[name]
            inner[place[-1]] = value
            path = with_info(model_file, tmp_path / "m.srec", info)
            found = refusal(path)
            if found is not None:
                refused += 1
                assert str(path) in found
                assert any(part in found for part in place) or "info holds" in found
            if len(place) > 1 and value != "\ud800":
                continue
            shown = [CliRunner().invoke(main, ["info", str(path), *options]) for options in ([], ["--json"])]
            for answer in shown:
                assert answer.exception is None or isinstance(answer.exception, SystemExit), (place, value)
            assert shown[0].exit_code == shown[1].exit_code
            if shown[1].exit_code == 0:
                json.loads(shown[1].stdout)
    assert refused > len(places)


def test_a_file_decides_nothing_about_the_machine(model_file, tmp_path):
    info = info_of(model_file)
    info["settings"] |= {"n_jobs": "all of them", "verbose": True}
    model = load(with_info(model_file, tmp_path / "m.srec", info))
    assert model.n_jobs is None
    assert not model.verbose
    use(model)


def test_an_estimator_that_the_tables_do_not_fit_still_answers(model_file, tmp_path):
    info = info_of(model_file) | {"estimator": SparseBPR.__name__}
    use(load(with_info(model_file, tmp_path / "m.srec", info)))
