"""How to encode a person from a history: encoders against the stored user rows of the same model.

    python benchmarks/history.py [--data gowalla|ml-100k] [--epochs 12] [--people 6000] [--json FILE]

The settings are compared on a part of the train part that a model was not trained on. Then a model of the
whole train part is measured on the test part, which takes no part in the choice: stored rows, the best
setting of each encoder, and the default.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import as_csr, gowalla, markdown, movielens, trained, write_json
from scipy import sparse

from sparserec_np import SparseBPR, metrics
from sparserec_np.data import Interactions, split_random
from sparserec_np.runtime import ModelData
from sparserec_np.runtime.encoding import encode
from sparserec_np.runtime.scoring import TableScorer

Row = dict[str, Any]

RIDGE = {"alpha": (0.003, 0.01, 0.02, 0.05, 0.1), "regularization": (1.0, 5.0, 10.0, 20.0, 40.0)}
# The length of a history changes no ranking without biases, so that its power is not looked for.
SUM = {"item_power": (0.0, 0.25, 0.5, 0.75, 1.0)}


def encoded(model: ModelData, histories: Any, rows: Any) -> sparse.csr_array:
    """User table with the rows encoded from their histories; the others are empty."""
    scorer = TableScorer(model.items)
    table = np.zeros((histories.shape[0], model.dim), np.float32)
    for row in rows:
        items = histories.indices[histories.indptr[row] : histories.indptr[row + 1]]
        if len(items):
            table[row] = encode(scorer, model, items, None).vector
    return sparse.csr_array(table)


class Measurement:
    """Recall and NDCG of user tables, over some people of a hold-out."""

    def __init__(self, model: ModelData, train: Interactions, held_out: Interactions, n_people: int) -> None:
        self.model, self.train = model, train.user_items
        lengths = np.diff(held_out.user_items.indptr)
        rows = np.flatnonzero(lengths)
        self.rows = np.sort(np.random.default_rng(0).permutation(rows)[:n_people])
        chosen = sparse.csr_array(sparse.diags_array(np.isin(np.arange(len(lengths)), self.rows) * 1.0))
        self.held_out = sparse.csr_array(chosen @ held_out.user_items)
        self.held_out.eliminate_zeros()

    def of(self, name: str, users: Any) -> Row:
        """Measure a user table, and print it under a name."""
        measured = metrics.evaluate(users, as_csr(self.model.items), self.train, self.held_out, 20)
        row = {"encoder": name, "recall@20": measured["recall@20"], "ndcg@20": measured["ndcg@20"]}
        print(f"  {name}: {row['recall@20']:.4f} {row['ndcg@20']:.4f}", flush=True)
        return row

    def of_encoder(self, encoder: str, settings: Mapping[str, float]) -> Row:
        """Measure the people as an encoder makes them of their train items."""
        model = replace(self.model, encoder=encoder, encoder_settings=dict(settings))
        text = ", ".join(f"{name} {value:g}" for name, value in settings.items()) or "default"
        row = self.of(f"{encoder}, {text}", encoded(model, self.train, self.rows))
        return row | {"settings": dict(settings)}

    def stored(self) -> Row:
        """Measure the trained user rows."""
        return self.of("stored rows", as_csr(self.model.users))


def grid(choices: Mapping[str, tuple[float, ...]]) -> Iterator[dict[str, float]]:
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=("gowalla", "ml-100k"), default="gowalla")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--people", type=int, default=6000, help="people on which settings are compared")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    train, test = gowalla() if args.data == "gowalla" else split_random(movielens(), 0.2, 0)

    part, validation = split_random(train, 0.2, 1)
    name = f"{args.data}-history-epochs{args.epochs}"
    settings: dict[str, Any] = {"dim": 64, "density": 0.1, "epochs": args.epochs, "random_state": 0}
    model = trained(f"{name}-part", lambda: SparseBPR(early_stopping=0, **settings).fit(part))
    print("on the validation part:")
    measurement = Measurement(model, part, validation, args.people)
    stored = measurement.stored()
    tried = {
        encoder: [measurement.of_encoder(encoder, settings) for settings in grid(choices)]
        for encoder, choices in (("ridge", RIDGE), ("sum", SUM))
    }
    best = {encoder: max(rows, key=lambda row: row["recall@20"]) for encoder, rows in tried.items()}

    model = trained(name, lambda: SparseBPR(**settings).fit(train))
    print("on the test part:")
    measurement = Measurement(model, train, test, train.n_users)
    final = [
        measurement.stored(),
        *(measurement.of_encoder(encoder, row["settings"]) for encoder, row in best.items()),
        measurement.of_encoder("ridge", {}),
    ]
    print(f"\n{args.data}, test part; settings chosen on a validation part\n")
    print(
        markdown(
            ("person", "Recall@20", "NDCG@20"),
            [(row["encoder"], f"{row['recall@20']:.4f}", f"{row['ndcg@20']:.4f}") for row in final],
        )
    )
    write_json(args.json, {"validation": {"stored": stored, **tried}, "test": final})


if __name__ == "__main__":
    main()
