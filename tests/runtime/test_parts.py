"""The description of a sum of parts in a file: what it may say, and what it is refused for."""

from __future__ import annotations

import numpy as np
import pytest
from runtime_models import random_model

from sparserec_np.batch import recommend_all
from sparserec_np.errors import ModelFormatError
from sparserec_np.runtime import Recommender, SeenItems, load_model, save_model

NEIGHBOURS = {"item_power": 1.0, "user_power": 1.0, "score_power": 0.25, "weight": 1.0}


def parts(blocks, neighbours=None, **sizes):
    settings = {"blocks": blocks} | ({} if neighbours is None else {"neighbours": neighbours})
    return random_model(2, encoder="parts", encoder_settings=settings, users=None, **sizes)


def test_a_table_and_a_block_of_items_stand_side_by_side(tmp_path):
    blocks = [{"encoder": "sum", "width": 5}, {"encoder": "items", "width": 30}]
    save_model(tmp_path / "m.srec", parts(blocks, NEIGHBOURS, dim=35))
    one = Recommender.load(tmp_path / "m.srec", mmap=False)
    assert len(one.recommend(history=[3, 29], k=4).ids) == 4
    assert len(one.recommend(2, k=4).ids) == 4


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (
            [{"encoder": "items", "width": 8}],
            "width of a block of items is 8; expected 30, a column for each",
        ),
        (
            [{"encoder": "sum", "width": 9}],
            r"the blocks have widths \[9\]; expected them to add up to dim, 8",
        ),
        ([{"encoder": ["sum"], "width": 8}], r"the encoder of a block is \['sum'\]"),
        ([{"encoder": "sum", "width": True}], "the width of a block is True"),
        ([{"encoder": "ratings", "width": 8}], "the encoder of a block is 'ratings'"),
        ([{"encoder": "sum", "width": 70_000}], "the width of a block is 70000; expected at most 65536"),
        ([5], "a block is 5; expected its encoder and width"),
        ([], r"the blocks have widths \[\]"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path, blocks, message):
    with pytest.raises(ModelFormatError, match=message):
        save_model(tmp_path / "m.srec", parts(blocks))


def test_many_blocks_ask_for_too_much_time(tmp_path):
    blocks = [{"encoder": "ridge", "width": 1}] * 40
    with pytest.raises(ModelFormatError, match="encoder_settings hold 40 blocks; expected at most 32"):
        save_model(tmp_path / "m.srec", parts(blocks, dim=40))
    save_model(tmp_path / "m.srec", parts(blocks[:32], dim=32))
    assert load_model(tmp_path / "m.srec").dim == 32


def test_interactions_of_what_does_not_exist_reach_no_kernel():
    model = parts([{"encoder": "sum", "width": 8}], NEIGHBOURS)
    indices = model.seen.indices.copy()
    indices[-1] = 10**8
    wrong = random_model(
        2,
        encoder=model.encoder,
        encoder_settings=model.encoder_settings,
        seen=SeenItems(model.seen.indptr, indices),
    )
    for filter_seen in (True, False):
        with pytest.raises(ModelFormatError, match=r"seen\.indices holds 100000000 in row"):
            list(recommend_all(wrong, 3, filter_seen=filter_seen))
    assert len(next(iter(recommend_all(model, 3))).users) == 12
    assert np.isfinite(next(iter(recommend_all(model, 3))).scores).all()
