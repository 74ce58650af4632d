"""A model whose answers are known: 4 users and 6 items in two tastes, one column each."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sparserec_np.cli import main

from sparserec_np.runtime import IdMap, ModelData, SeenItems, TableData, save_model

ITEM_SCORES = [3.0, 2.0, 1.0, 3.0, 2.0, 1.0]


def known_model(user_ids, item_ids) -> ModelData:
    """Users 0 and 1 like items 0, 1, 2 in this order, users 2 and 3 items 3, 4, 5; 0 and 3 are seen."""
    return ModelData(
        users=TableData(
            np.arange(5), np.array([0, 0, 1, 1], np.uint8), np.array([1, 0.5, 1, 2], np.float32), dim=2
        ),
        items=TableData(
            np.arange(7), np.array([0, 0, 0, 1, 1, 1], np.uint8), np.array(ITEM_SCORES, np.float32), dim=2
        ),
        user_ids=IdMap.from_ids(user_ids, entity="user"),
        item_ids=IdMap.from_ids(item_ids),
        seen=SeenItems(np.arange(5), np.array([0, 0, 3, 3])),
        popularity=np.array([2, 0, 0, 2, 0, 0]),
        info={"estimator": "SparseBPR", "settings": {"dim": 2, "density": 0.5}},
    )


@pytest.fixture
def save_known(tmp_path: Path):
    """Write the known model under ids of one's own."""

    def save(user_ids, item_ids) -> Path:
        save_model(tmp_path / "model.srec", known_model(user_ids, item_ids))
        return tmp_path / "model.srec"

    return save


@pytest.fixture
def model(save_known) -> Path:
    """Integer ids: users 10 20 30 40, items 1 to 6."""
    return save_known([10, 20, 30, 40], range(1, 7))


@pytest.fixture
def named_model(save_known) -> Path:
    """String ids, one of them with a comma."""
    return save_known(["ann", "bob", "cat", "dan"], ["Alien", "Heat", "Jaws", "Speed", "Up", "Yes, please"])


@pytest.fixture
def run(capsys):
    """Run a command within this process: stdout, stderr and, with ``--json``, what it says."""

    def call(*arguments, code=0):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main.main([str(argument) for argument in arguments], prog_name="sparserec-np")
        out, err = capsys.readouterr()
        assert end.value.code == code, out + err
        return SimpleNamespace(
            stdout=out, stderr=err, json=json.loads(out) if "--json" in arguments and code == 0 else None
        )

    return call
