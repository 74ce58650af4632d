from pathlib import Path

import datasets
import numpy as np
import pytest

from sparserec_np import SparseBPR, metrics

HERE = {
    "gowalla": "gowalla/train.csv.gz",
    "thin-10": "gowalla/train.csv.gz",
    "thin-5": "gowalla/train.csv.gz",
    "movielens": "ml-100k/u.data.gz",
}
DATA = Path(__file__).parents[2] / "../shared/data"


@pytest.mark.parametrize("name", datasets.NAMES)
def test_parts_are_disjoint_and_repeatable(name):
    if name in HERE and not (DATA / HERE[name]).exists():
        pytest.skip(f"shared/data/{HERE[name]} is not there")
    train, test = datasets.train_and_test(name, 1)
    assert train.user_items.shape == test.user_items.shape
    assert train.user_items.multiply(test.user_items).nnz == 0
    assert np.bincount(train.user_items.indices, minlength=train.n_items).min() > 0
    again = datasets.train_and_test(name, 1)[0]
    assert (train.user_items != again.user_items).nnz == 0
    if name.startswith("thin-"):
        most = int(name.removeprefix("thin-"))
        lengths = np.diff(train.user_items.indptr)
        assert lengths.max() == most
        assert train.n_users == 29_858


def test_unknown_name():
    with pytest.raises(ValueError, match="movielens"):
        datasets.train_and_test("films")


def test_validation_split_is_that_of_the_estimators():
    train, _ = datasets.train_and_test("synthetic", 3)
    model = SparseBPR(dim=4, density=0.5, epochs=1, refit=False, random_state=3).fit(train)
    part, held_out = datasets.validation_split(train, 3)
    found = metrics.evaluate(
        model.users_.to_scipy(), model.items_.to_scipy(), part.user_items, held_out.user_items
    )
    assert found == pytest.approx(model.validation_)
