"""Mutated state files, against every way to load and use them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from asking import ask_recommender
from cases import Cases, refused
from model_files import random_model
from mutating import mutated_container, pick

from sparserec_np import Recommender


class StateFiles(Cases):
    """Mutated files that `Recommender.save_state` wrote."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "s.state"
        self.models, self.contents = [], []
        for seed in range(6):
            ids = ("range", "int", "str")[seed % 3]
            parts = {"encoder": "sum"} if seed % 2 else {"encoder": "ratings", "encoder_settings": {}}
            if seed > 3:
                parts |= {"users": None}
            model = random_model(seed, n_users=5, n_items=8, dim=4, ids=ids, biases=seed == 2, **parts)
            one = Recommender(model)
            for user in [*one.user_ids.ids()[:3], "somebody new" if ids == "str" else 10**6, 4]:
                items = one.item_ids.ids()[: 1 + seed]
                refused(lambda one=one, user=user, items=items: one.update(user, items, [1.5] * len(items)))
            one.save_state(self.path)
            self.models.append(model)
            self.contents.append(self.path.read_bytes())
            ask_recommender(np.random.default_rng(0), one, folder)
            ask_recommender(np.random.default_rng(0), Recommender(model, accelerate=True), folder)

    def run(self, number, rng):
        """Load a mutated state, of the right model or of another, and use it."""
        at = int(rng.integers(len(self.models)))
        self.path.write_bytes(mutated_container(rng, self.contents[at]))
        model = self.models[at] if rng.random() < 0.9 else pick(rng, self.models)
        recommender = Recommender(model, accelerate=bool(rng.random() < 0.3))
        error = refused(lambda: recommender.load_state(self.path))
        ask_recommender(rng, recommender, self.folder)
        return "answered" if error is None else "refused"


make = StateFiles
