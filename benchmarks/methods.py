"""The methods of the quality benchmark, by name: this library's, controls of its parts, and peers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import peers
from fitted import DenseFactors, Fitted, SparseModel
from retraining import prune_and_retrain

from sparserec_np.data import Interactions
from sparserec_np.models import ESTIMATORS

ALL = ("gowalla", "thin-10", "thin-5", "movielens", "synthetic")
SPLIT = ("yelp2018", "steam", "citeulike", "video-games", "book-crossing")
# A square of doubles of this many items fits into the memory twice.
FEW_ITEMS = ("movielens", "synthetic", "steam", "citeulike", "book-crossing")
GOWALLA = ("gowalla",)
DENSITIES = (0.05, 0.1, 0.2)

# A random mask has no values that it would be good to start close to, and much to replace: it is better off
# with short rows, twice the epochs and larger explorations.
RANDOM: Mapping[str, Any] = {"mask_init": "random", "init_scale": 1.0, "epochs": 30, "prune_fraction": 0.3}

# What differs from seed to seed, or nothing at all, in the model.
_NO_SETTINGS = ("random_state", "n_jobs", "verbose")


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Parameters
    ----------
    label : str
        How people read it.
    group : {"library", "paper", "control", "dense", "peer"}
        Which methods look alike in the plot.
    short : str
        Its name in the plot.
    fit : callable
        ``fit(train, seed, **settings) -> Fitted``.
    data : tuple of str
        Data sets that it is measured on unless others are asked for.
    settings : dict
        All its settings but those that are tuned.
    tune : dict
        Where the search for tuned settings starts, by name; empty for none.
    factors : tuple of float
        Steps of that search.
    bounds : dict
        Lowest and highest value of a tuned setting.
    package : str or None
        Whose version belongs to the result.
    """

    label: str
    group: str
    short: str
    fit: Callable[..., Fitted]
    data: tuple[str, ...] = ALL
    settings: Mapping[str, Any] = field(default_factory=dict)
    tune: Mapping[str, float] = field(default_factory=dict)
    factors: tuple[float, ...] = (4, 2)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    package: str | None = None


def settings_on(method: Method, amount: str) -> dict[str, Any]:
    """Return the settings of an estimator's method with those that it leaves to the amount of data."""
    settings = dict(method.settings)
    name = settings.pop("estimator")
    every = ESTIMATORS[name](**settings).settings_for(amount)
    return {"estimator": name, **{key: value for key, value in every.items() if key not in _NO_SETTINGS}}


def _fit_estimator(train: Interactions, seed: int, *, estimator: str, **settings: Any) -> Fitted:
    model = ESTIMATORS[estimator](random_state=seed, **settings).fit(train)
    if model.density_ == 1 and model.users_ is not None:
        # A dense table is kept as one: the positions of all entries would only be in its way.
        return DenseFactors(model.users_.to_scipy().toarray(), model.items_.to_scipy().toarray())
    return SparseModel(model.recommender.data)


def _fit_pruned(train: Interactions, seed: int, **settings: Any) -> Fitted:
    return SparseModel(prune_and_retrain(train, seed, **settings))


def _fit_peer(peer: Callable[..., Fitted], train: Interactions, seed: int, **settings: Any) -> Fitted:
    return peer(train.user_items, seed, **settings)


def _estimator(
    label: str, group: str, short: str, name: str, data: tuple[str, ...] = ALL, **settings: Any
) -> Method:
    """Make the method of an estimator, whose defaults are settings of the method, too."""
    every = ESTIMATORS[name](**settings).get_params()
    kept = {key: value for key, value in every.items() if key not in _NO_SETTINGS}
    return Method(label, group, short, _fit_estimator, data, {"estimator": name, **kept})


def _control(label: str, short: str, **settings: Any) -> Method:
    """Make the method of the paper's setting with something changed, at density 0.1 and d = 64."""
    changed = {"density": 0.1, "dim": 64, **settings}
    return _estimator(
        f"{label}, density {changed['density']:g}", "control", short, "SparseBPR", GOWALLA, **changed
    )


def _peer(
    label: str, short: str, peer: Callable[..., Fitted], data: tuple[str, ...] = ALL, **options: Any
) -> Method:
    return Method(label, "peer", short, partial(_fit_peer, peer), data, **options)


def _methods() -> dict[str, Method]:
    found: dict[str, Method] = {}
    found["blend"] = _estimator("`fit --density 0.1`", "library", "blend 0.1", "SparseBlend", (*ALL, *SPLIT))
    found["items-only"] = _estimator(
        "the same without the interactions in the file",
        "library",
        "blend 0.1, items only",
        "SparseBlend",
        (*ALL, *SPLIT),
        parts="table,ials,linear,table+linear",
    )
    for density in DENSITIES:
        found[f"graph-{density:g}"] = _estimator(
            f"`fit --model graph --density {density:g}`",
            "library",
            f"graph {density:g}",
            "SparseGraph",
            ALL if density == 0.1 else GOWALLA,
            density=density,
        )
    for dim, density in itertools.product((64, 128), DENSITIES):
        found[f"bpr-{dim}-{density:g}"] = _estimator(
            f"`fit --model bpr --dim {dim} --density {density:g}`",
            "paper",
            f"bpr {density:g}" + (f", d {dim}" if dim > 64 else ""),
            "SparseBPR",
            ALL if (dim, density) == (64, 0.1) else GOWALLA,
            density=density,
            dim=dim,
        )

    for name, group, estimator, option in (
        ("graph", "library", "SparseGraph", "--model graph "),
        ("bpr", "paper", "SparseBPR", "--model bpr "),
    ):
        found[f"{name}-teacher"] = _estimator(
            f"`fit {option}--density 0.1 --teacher spectral`",
            group,
            f"{name} 0.1, taught",
            estimator,
            teacher="spectral",
        )

    dense: dict[str, Any] = {"density": 1.0, "grow_by": "none"}
    found["dense-64"] = _estimator(
        "dense control of `bpr`, d = 64", "dense", "dense d 64", "SparseBPR", dim=64, **dense
    )
    # Eight float32 a row are the bytes of density 0.1 at d = 64: 6.4 values, and a byte for each one's place.
    found["dense-8"] = _estimator(
        "dense table of equal bytes, d = 8", "dense", "dense d 8", "SparseBPR", dim=8, **dense
    )

    for density in DENSITIES:
        found[f"random-last-{density:g}"] = _control(
            "random mask, last-batch growth",
            f"random, last batch {density:g}",
            density=density,
            grow_by="last_batch",
            **RANDOM,
        )
    for name, label, short, changed in (
        (
            "random-accumulated",
            "random mask, accumulated growth",
            "random, accumulated",
            RANDOM,
        ),
        ("probe-all", "all rows probed", "all probed", {"probe_fraction": 1.0}),
        ("probe-few", "10 % of rows probed", "10 % probed", {"probe_fraction": 0.1}),
        ("one-negative", "BPR with one negative", "one negative", {"loss": "bpr", "negatives": 1}),
        ("nmf-last", "NMF mask, last-batch growth", "NMF, last batch", {"grow_by": "last_batch"}),
        ("nmf-static", "NMF mask, static", "NMF, static", {"grow_by": "none"}),
        (
            "random-static",
            "random mask, static",
            "random, static",
            {**RANDOM, "grow_by": "none"},
        ),
    ):
        found[name] = _control(label, short, **changed)
    # RigL and DSL with their own constants. Both judge by all gradients of a batch, and their intervals are
    # in steps, of which small batches make more.
    published: dict[str, Any] = {**RANDOM, "grow_by": "last_batch", "probe_fraction": 1.0}
    found["rigl"] = _control(
        "RigL (random mask, last batch, 0.3 every 100 steps)",
        "RigL",
        **published | {"prune_fraction": 0.3, "update_every": 100},
    )
    found["dsl"] = _control(
        "DSL (random mask, last batch, 0.5 every 2,000 steps)",
        "DSL",
        **published | {"prune_fraction": 0.5, "update_every": 2000, "batch_size": 1024},
    )
    of_bpr = found["bpr-64-0.1"].settings
    found["pruned"] = Method(
        "dense, pruned by magnitude, retrained, density 0.1",
        "control",
        "pruned, retrained",
        _fit_pruned,
        GOWALLA,
        {name: value for name, value in of_bpr.items() if name not in ("estimator", "grow_by")},
    )

    found["popular"] = _peer("most popular", "popular", peers.most_popular, (*ALL, *SPLIT))
    found["knn"] = _peer(
        "item kNN, tuned",
        "item kNN",
        peers.item_neighbours,
        (*ALL, *SPLIT),
        tune={"n_neighbours": 80, "shrinkage": 8},
        bounds={"n_neighbours": (5, 2000), "shrinkage": (0.5, 512)},
    )
    found["rp3beta"] = _peer(
        "RP3beta, tuned",
        "RP3beta",
        peers.rp3beta,
        (*ALL, *SPLIT),
        tune={"power": 0.7, "popularity": 0.3},
        factors=(1.7, 1.3),
        bounds={"power": (0.1, 2), "popularity": (0.05, 1)},
    )
    found["neighbour-filter"] = _peer(
        "neighbour filter (RP3beta of power 1, popularity 0.25)",
        "neighbour filter",
        peers.rp3beta,
        (*ALL, *SPLIT),
        settings={"power": 1.0, "popularity": 0.25},
    )
    found["ease"] = _peer("EASE, tuned", "EASE", peers.ease, FEW_ITEMS, tune={"regularization": 200})
    found["slim"] = _peer(
        "SLIM, tuned", "SLIM", peers.slim, FEW_ITEMS, tune={"l1": 1.0, "l2": 10.0}, factors=(4,)
    )
    found["sansa"] = _peer(
        "SANSA of as many numbers, tuned",
        "SANSA",
        peers.sansa,
        (*ALL, *SPLIT),
        tune={"regularization": 20.0},
        package="sansa",
    )
    for factors in (256, 64, 8):
        found[f"als-{factors}"] = _peer(
            f"implicit ALS, d = {factors}, tuned",
            f"ALS d {factors}",
            peers.implicit_als,
            (*ALL, *SPLIT),
            settings={"factors": factors},
            tune={"alpha": 40, "regularization": 50},
            factors=(4, 2, 1.4),
            package="implicit",
        )
    found["implicit-bpr"] = _peer(
        "implicit BPR, d = 64, tuned",
        "implicit BPR",
        peers.implicit_bpr,
        settings={"factors": 64, "iterations": 100},
        tune={"learning_rate": 0.05, "regularization": 0.01},
        factors=(3,),
        package="implicit",
    )
    return found


METHODS = _methods()
