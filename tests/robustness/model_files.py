"""Mutated model files, against every way to load and use them."""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path

import numpy as np
from asking import ask_estimator, ask_recommender, command
from cases import Cases, refused
from mutating import mutated_container, pick

from sparserec_np import Interactions, Recommender, SparseBPR, SparseGraph, SparseMF, load
from sparserec_np.batch import recommend_all
from sparserec_np.data import make_interactions
from sparserec_np.runtime import IdMap, load_model, save_model

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))
from runtime_models import random_model, random_table

N_USERS, N_ITEMS = 12, 15


def small_interactions(ids="int", *, ratings=False, seed=0):
    """Interactions of a dozen users, with ids of a kind."""
    made = make_interactions(N_USERS, N_ITEMS, 70, n_tastes=3, ratings=ratings, times=True, random_state=seed)
    pairs = made.user_items.tocoo()
    users, items = pairs.row * 7 + 3, pairs.col * 1000 + 5
    if ids == "range":
        users, items = pairs.row, pairs.col
    elif ids == "str":
        users, items = [f"é{user}" for user in users], [f"item, {item}" for item in items]
    return Interactions.from_arrays(users, items, pairs.data if ratings else None, made.times)


def write_models(folder: Path) -> list[bytes]:
    """Write model files of every kind; return what they hold."""
    small = {"dim": 8, "epochs": 1, "random_state": 0, "density": 0.3}
    fitted = [
        SparseGraph(**small).fit(small_interactions("int")),
        SparseGraph(**small).fit(small_interactions("str")),
        SparseBPR(**small).fit(small_interactions("range")),
        SparseMF(**small).fit(small_interactions("str")),
        SparseMF(**small, loss="squared").fit(small_interactions("int", ratings=True)),
    ]
    made = [model.recommender.data for model in fitted]
    sizes = {"n_users": 6, "n_items": 9, "dim": 4}
    for seed, (encoder, settings) in enumerate(
        [
            ("sum", {}),
            ("sum", {"norm": 2.0, "item_power": 0.3}),
            ("ridge", {"alpha": 0.1}),
            ("ratings", {"assumed_rating": 4.5}),
        ]
    ):
        model = random_model(seed, **sizes, ids=("int", "str")[seed % 2], biases=encoder == "ratings")
        popularity = np.array([300, *model.popularity[1:]], np.int32)
        made.append(
            random_model(
                seed,
                **sizes,
                ids=("int", "str")[seed % 2],
                biases=encoder == "ratings",
                popularity=popularity,
                encoder=encoder,
                encoder_settings=settings,
                info=made[seed].info,
            )
        )
    nobody = {"users": None, "seen": None, "user_ids": IdMap.range(0, entity="user"), "encoder": "sum"}
    made.append(random_model(9, **sizes, **nobody, info=made[0].info))
    # Small files of wide tables: work that grows with the width, or its square, is asked for by few bytes.
    for encoder, dim in (("sum", 65_536), ("ridge", 65_536), ("ratings", 20_000)):
        wide = {**sizes, "dim": dim, "items": random_table(np.random.default_rng(0), 9, dim, 2 / dim)}
        of_ratings = {"encoder_settings": {"assumed_rating": 4.0}} if encoder == "ratings" else {}
        made.append(random_model(9, **wide, users=None, encoder=encoder, info=made[0].info, **of_ratings))
    contents = []
    for at, model in enumerate(made):
        for precision in ("float32", ("float16", "int8")[at % 2]):
            save_model(folder / "made.srec", model, precision)
            contents.append((folder / "made.srec").read_bytes())
    (folder / "made.srec").unlink()
    return contents


class ModelFiles(Cases):
    """Mutated model files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.contents = write_models(folder)
        self.path = folder / "m.srec"
        self.modes = [
            {"verify": verify, "accelerate": fast} for verify in (False, True) for fast in (False, True)
        ]
        if "mmap" in inspect.signature(Recommender.load).parameters:
            self.modes = [{**mode, "mmap": mmap} for mode in self.modes for mmap in (True, False)]
        small_interactions("str").to_dir(folder / "test.interactions")
        (folder / "test.csv").write_text("user,item\n3,5\n10,1005\n17,2005\n24,8005\n31,14005\n")
        for (
            content
        ) in self.contents:  # every kernel is compiled, and every module imported, before memory is bounded
            self.path.write_bytes(content)
            for mode in self.modes:
                ask_recommender(np.random.default_rng(0), Recommender.load(self.path, **mode), folder)
            ask_estimator(np.random.default_rng(0), functools.partial(load, self.path), folder)
            for at in range(len(self.commands())):
                command(*self.commands()[at])

    def commands(self):
        """What the command line can do with a model file."""
        model, out = self.path, self.folder / "out"
        return [
            ("info", model),
            ("info", model, "--json"),
            ("evaluate", model, self.folder / "test.csv", "-k", 3),
            ("evaluate", model, self.folder / "test.interactions", "--json"),
            ("export", model, "-o", out, "--force"),
            ("export", model, "-o", out, "--force", "--precision", "int8", "--items-only", "--json"),
            ("export", model, "-o", out, "--force", "--no-seen", "--test", self.folder / "test.csv"),
            ("recommend", model, "--user", "3"),
            ("recommend", model, "--history", "5,1005", "--json"),
            ("recommend", model, "--all", "-o", self.folder / "out.csv", "--force"),
            ("recommend", model, "--all", "--csv", "--include-seen"),
            ("similar", model, "--item", "5"),
            ("similar", model, "--user", "é3"),
            ("bundle", model, "-o", self.folder / "bundle", "--force"),
        ]

    def run(self, number, rng):
        """Load and use a mutated model file."""
        self.path.write_bytes(mutated_container(rng, pick(rng, self.contents)))
        answered, accepted = 0, False
        for mode in rng.permutation(len(self.modes))[:2].tolist():
            loaded = []
            load_so = functools.partial(Recommender.load, self.path, **self.modes[mode])
            if refused(lambda into=loaded, load_so=load_so: into.append(load_so())) is None:
                answered += ask_recommender(rng, loaded[0], self.folder, share=0.6)
        accepted = ask_estimator(rng, lambda: load(self.path), self.folder)
        refused(lambda: [sum(len(block.users) for block in recommend_all(load_model(self.path), 3))])
        refused(lambda: save_model(self.folder / "again.srec", load_model(self.path), "float16"))
        command(*pick(rng, self.commands()))
        return "answered" if accepted and answered else "answered in part" if answered else "refused"


make = ModelFiles
