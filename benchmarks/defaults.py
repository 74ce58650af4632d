"""What the defaults stand on: one setting varied at a time, on several data sets, by validation.

    python benchmarks/defaults.py [--model bpr graph mf] [--data movielens synthetic thin-10 thin-5 gowalla]
        [--only SETTING ...] [--seeds 8] [--json FILE]

The data are the train parts of ``datasets.py``. Every figure is NDCG@20 on the interactions that the fit
itself holds out; no test part is looked at. A row marked * is the default.

On little data one hold-out tells settings apart by luck: those of MovieLens 100K differ by several percent,
and a good change gains half a percent. With ``--seeds`` each row is fitted with so many of them and compared
with the default on the same ones; printed is the mean difference, and its standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from common import markdown, write_json
from datasets import NAMES, train_and_test
from results import Record, Results, mean_at

from sparserec_np import Interactions
from sparserec_np.exploration import masks, nmf, singular
from sparserec_np.models import ESTIMATORS, fitting
from sparserec_np.models.amounts import amount_of
from sparserec_np.optim import Adagrad

# Modules that know the normalised interactions by name.
_NORMALISING: tuple[Any, ...] = (nmf, singular)

MODELS = {"bpr": "SparseBPR", "graph": "SparseGraph", "mf": "SparseMF"}

_COMMON: dict[str, list[Any]] = {
    "learning_rate": [0.02, 0.05, 0.1, 0.2],
    "regularization": [0.0, 0.01, 0.02, 0.05],
    "optimizer": [{"optimizer": "adam", "learning_rate": 0.005}, {"optimizer": "sgd", "learning_rate": 0.02}],
    "batch_size": [1024, 4096, 16384],
    "mask_init": ["nmf", "spectral", "random"],
    "first squares": [0.0, 0.01, 0.1, 1.0],
    "prune_fraction": [0.1, 0.15, 0.3, 0.5],
    "update_every": [25, 100, 400],
    "probe_fraction": [0.1, 0.25, 1.0],
    "grow_by": ["accumulated", "last_batch", "none"],
    "popularity_power": [0.0, 0.5],
}
# Of the teachers, ease takes small catalogues only, and so does als+ease.
_TEACHERS: list[Any] = [
    {"teacher": teacher, "teacher_weight": weight, "teacher_temperature": temperature}
    for teacher in ("spectral", "ease", "als", "als+ease")
    for weight, temperature in ((0.3, 1.0), (1.0, 1.0), (3.0, 1.0), (10.0, 1.0), (1.0, 2.0), (3.0, 2.0))
]
SWEEPS: dict[str, dict[str, list[Any]]] = {
    "bpr": {
        **_COMMON,
        "negatives": [16, 32, 64, 128],
        "user_share": [0.4, 0.5, 0.6, 0.7],
        "init_scale": [0.5, 1.0, 2.0, 3.0],
        "mask normalisation": [(0.0, 0.0), (0.5, 0.25), (0.5, 0.5), (1.0, 0.5)],
        "neighbours": [4, 16, 32, 64],
        "teacher": _TEACHERS,
    },
    "graph": {
        **_COMMON,
        "negatives": [16, 64, 128],
        "init_scale": [2.0, 5.0, 10.0],
        "item_power": [0.4, 0.6, 0.8, 1.0],
        "length_power": [0.0, 0.25, 0.5],
        "history_dropout": [0.0, 0.2, 0.3, 0.4, 0.5],
        "width": [64, 128, 256, 512],
        "teacher": _TEACHERS,
    },
    "mf": {
        **_COMMON,
        "user_share": [0.4, 0.5, 0.6, 0.7],
        "negatives": [1, 2, 4, 8],
        "init_scale": [0.5, 1.0, 2.0],
    },
}


@contextlib.contextmanager
def changed(name: str, value: Any) -> Iterator[dict[str, Any]]:
    """Change one thing, which may be no setting; yields the settings to fit with."""
    if name == "default":
        yield {}
    elif name == "mask normalisation":
        plain = masks.normalised_interactions
        replacement = functools.partial(plain, user_power=value[0], item_power=value[1])
        with contextlib.ExitStack() as stack:
            for module in _NORMALISING:
                stack.enter_context(mock.patch.object(module, "normalised_interactions", replacement))
            yield {}
    elif name == "neighbours":
        # Only with one negative do several examples of a user share a step, and then it takes more epochs.
        with mock.patch.object(fitting, "_NEIGHBOURS", value):
            yield {"negatives": 1, "width": 64, "epochs": 40, "early_stopping": 40}
    elif name == "first squares":
        with mock.patch.object(Adagrad, "_slots", (("squares", value),)):
            yield {}
    else:
        yield value if isinstance(value, dict) else {name: value}


def measure(model: str, data: Interactions, name: str, value: Any, seed: int) -> Record:
    """Fit with one thing changed."""
    with changed(name, value) as settings:
        start = time.perf_counter()
        fitted = ESTIMATORS[MODELS[model]](random_state=seed, refit=False, **settings).fit(data)
        seconds = time.perf_counter() - start
    return {**fitted.validation_, "epochs": fitted.n_epochs_, "seconds": seconds}


def difference(runs: list[Record], of_default: list[Record]) -> str:
    """Tell by how much runs rank better than the default's of the same seeds, and how sure that is."""
    gains = [100 * (a["ndcg@20"] / b["ndcg@20"] - 1) for a, b in zip(runs, of_default, strict=True)]
    error = f" ± {statistics.stdev(gains) / math.sqrt(len(gains)):.2f}" if len(gains) > 1 else ""
    return f"{statistics.fmean(gains):+.2f} %{error}"


def is_default(name: str, value: Any, defaults: dict[str, Any]) -> bool:
    """Whether a change of a setting, or of several, changes nothing."""
    changes = value if isinstance(value, dict) else {name: value}
    return all(key in defaults and defaults[key] == new for key, new in changes.items())


def tuned_peer(data: str) -> float | None:
    """NDCG@20 of implicit's tuned ALS at d = 64 on the same hold-out, if quality.py has measured it."""
    for record in Results().read("tuned"):
        if (record["data"], record["method"], record["seed"]) == (data, "als-64", 0):
            return float(record["ndcg@20"])
    return None


def main() -> None:
    """Run the sweeps and print a table for each model and data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", choices=MODELS, default=["graph", "bpr"])
    parser.add_argument("--data", nargs="+", choices=NAMES, default=["movielens", "synthetic"])
    parser.add_argument("--only", nargs="+", help="names of settings")
    parser.add_argument("--seeds", type=int, default=1, help="hold-outs to compare on [default: 1]")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    results: dict[str, Any] = {}
    for data_name in args.data:
        data, _ = train_and_test(data_name)
        print(f"\n## {data_name}: {data}\n", flush=True)
        if (peer := tuned_peer(data_name)) is not None:
            print(f"implicit ALS, d = 64, tuned: NDCG@20 {peer:.4f}\n", flush=True)
        for model in args.model:
            defaults = ESTIMATORS[MODELS[model]]().settings_for(amount_of(data))
            tries: list[tuple[str, Any]] = [("default", "")]
            for name, values in SWEEPS[model].items():
                if args.only is None or name in args.only:
                    tries += [(name, value) for value in values]
            rows: list[tuple[str, ...]] = []
            of_default: list[Record] = []
            for name, value in tries:
                runs = [measure(model, data, name, value, seed) for seed in range(args.seeds)]
                of_default = of_default or runs
                results[f"{data_name} {model} {name} {value}"] = runs
                star = " *" if is_default(name, value, defaults) else ""
                rows.append((name, f"{value}{star}", f"{mean_at(runs, 'ndcg@20'):.4f}",
                             difference(runs, of_default), f"{mean_at(runs, 'epochs'):.0f}",
                             f"{mean_at(runs, 'seconds'):.0f}"))  # fmt: skip
                print(f"{model} · {' · '.join(rows[-1])}", flush=True)
            header = (model, "value", "NDCG@20", "against the default", "epochs", "seconds")
            print("\n" + markdown(header, rows) + "\n", flush=True)
    write_json(args.json, results)


if __name__ == "__main__":
    main()
