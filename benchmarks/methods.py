"""The methods of the quality benchmark, by name: this library's, controls of its parts, and peers."""

from __future__ import annotations

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
SMALL = ("movielens", "synthetic")
GOWALLA = ("gowalla",)

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
        Which rows belong together in the table and in the plot.
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
    fit: Callable[..., Fitted]
    data: tuple[str, ...] = ALL
    settings: Mapping[str, Any] = field(default_factory=dict)
    tune: Mapping[str, float] = field(default_factory=dict)
    factors: tuple[float, ...] = (4, 2)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    package: str | None = None


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


def _estimator(label: str, group: str, name: str, data: tuple[str, ...] = ALL, **settings: Any) -> Method:
    """Make the method of an estimator, whose defaults are settings of the method, too."""
    every = ESTIMATORS[name](**settings).get_params()
    kept = {key: value for key, value in every.items() if key not in _NO_SETTINGS}
    return Method(label, group, _fit_estimator, data, {"estimator": name, **kept})


def _bpr(label: str, group: str, data: tuple[str, ...] = ALL, **settings: Any) -> Method:
    return _estimator(label, group, "SparseBPR", data, **settings)


def _peer(label: str, peer: Callable[..., Fitted], data: tuple[str, ...] = ALL, **options: Any) -> Method:
    return Method(label, "peer", partial(_fit_peer, peer), data, **options)


def _methods() -> dict[str, Method]:
    found = {}
    for density in (0.05, 0.1, 0.2):
        found[f"graph-{density:g}"] = _estimator(
            f"`fit --density {density:g}`",
            "library",
            "SparseGraph",
            ALL if density == 0.1 else GOWALLA,
            density=density,
        )
    for dim in (64, 128):
        for density in (0.05, 0.1, 0.2):
            data = ALL if (dim, density) == (64, 0.1) else GOWALLA
            size: dict[str, Any] = {"density": density, "dim": dim}
            text = f"d = {dim}, density {density:g}"
            found[f"bpr-{dim}-{density:g}"] = _bpr(f"`--model bpr`, {text}", "paper", data, **size)
            if dim == 64:
                found[f"random-last-{density:g}"] = _bpr(
                    f"random mask, last-batch growth, {text}",
                    "control",
                    data,
                    mask_init="random",
                    grow_by="last_batch",
                    **size,
                )
    at_a_tenth: dict[str, Any] = {"density": 0.1, "dim": 64}
    # RigL's and DSL's own constants. Both look at all gradients of a step, and their interval counts steps, which
    # are smaller here than ours are by default.
    found["rigl"] = _bpr(
        "RigL: random mask, last batch, 0.3 every 100 steps",
        "control",
        GOWALLA,
        mask_init="random",
        grow_by="last_batch",
        probe_fraction=1.0,
        prune_fraction=0.3,
        update_every=100,
        **at_a_tenth,
    )
    found["dsl"] = _bpr(
        "DSL: random mask, last batch, 0.5 every 2,000 steps of 1,024",
        "control",
        GOWALLA,
        mask_init="random",
        grow_by="last_batch",
        probe_fraction=1.0,
        prune_fraction=0.5,
        update_every=2000,
        batch_size=1024,
        **at_a_tenth,
    )
    for name, label, settings in (
        ("random-accumulated", "random mask, accumulated growth", {"mask_init": "random"}),
        ("nmf-last", "NMF mask, last-batch growth", {"grow_by": "last_batch"}),
        ("nmf-static", "NMF mask, static", {"grow_by": "none"}),
        ("random-static", "random mask, static", {"mask_init": "random", "grow_by": "none"}),
    ):
        found[name] = _bpr(f"{label}, d = 64, density 0.1", "control", GOWALLA, **at_a_tenth, **settings)
    bpr = found["bpr-64-0.1"].settings
    found["pruned"] = Method(
        "dense, pruned by magnitude, retrained, d = 64, density 0.1",
        "control",
        _fit_pruned,
        GOWALLA,
        {name: value for name, value in bpr.items() if name not in ("estimator", "grow_by", "refit")},
    )
    found["dense-64"] = _bpr("dense control, d = 64", "dense", density=1.0, dim=64, grow_by="none")
    # Eight float32 a row are the bytes of density 0.1 at d = 64: 6.4 values, and a byte for each one's place.
    found["dense-8"] = _bpr("dense of equal bytes, d = 8", "dense", density=1.0, dim=8, grow_by="none")

    found["popular"] = _peer("most popular", peers.most_popular)
    found["knn"] = _peer(
        "item kNN, tuned",
        peers.item_neighbours,
        tune={"n_neighbours": 80, "shrinkage": 8},
        bounds={"n_neighbours": (5, 2000), "shrinkage": (0.5, 512)},
    )
    found["ease"] = _peer("EASE, tuned", peers.ease, SMALL, tune={"regularization": 200})
    for factors in (8, 64):
        found[f"als-{factors}"] = _peer(
            f"implicit ALS, d = {factors}, tuned",
            peers.implicit_als,
            settings={"factors": factors},
            tune={"alpha": 40, "regularization": 40},
            package="implicit",
        )
    found["implicit-bpr"] = _peer(
        "implicit BPR, d = 64, tuned",
        peers.implicit_bpr,
        settings={"factors": 64},
        tune={"learning_rate": 0.05, "regularization": 0.01, "iterations": 100},
        factors=(3,),
        bounds={"iterations": (10, 400)},
        package="implicit",
    )
    return found


METHODS = _methods()
