"""A process that serves a model never imports what it takes to train one."""

from __future__ import annotations

import json
import subprocess
import sys

from runtime_models import random_model

from sparserec_np.runtime import save_model

HEAVY = {"scipy", "numba", "sklearn", "click", "llvmlite", "joblib"}

PROGRAM = """
import json, sys
from sparserec_np.runtime import Recommender
recommender = Recommender.load(sys.argv[1])
ids, scores = recommender.recommend(3, k=5)
recommender.recommend(history=[1, 2])
recommender.similar_items(4)
print(json.dumps({"ids": ids.tolist(), "modules": sorted(sys.modules)}))
"""


def test_the_runtime_is_light(tmp_path):
    model = random_model()
    save_model(tmp_path / "m.srec", model)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "m.srec"], check=True, capture_output=True, text=True
    )
    answer = json.loads(run.stdout)
    assert len(answer["ids"]) == 5
    assert not HEAVY & {module.partition(".")[0] for module in answer["modules"]}
    ours = {module for module in answer["modules"] if module.startswith("sparserec_np.")}
    assert all(
        module == "sparserec_np.errors" or module.startswith("sparserec_np.runtime") for module in ours
    )
