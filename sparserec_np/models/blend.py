"""A score that is a sum of sparse parts, which held-out interactions choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from sparserec_np.data import Interactions
from sparserec_np.errors import SettingError
from sparserec_np.exploration import n_stored
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import Loss
from sparserec_np.models.bases import (
    BOTH,
    FACTORIZATIONS,
    IALS,
    LINEAR,
    REGULARIZATIONS,
    TABLE,
    TARGET_POWERS,
    BaseMaker,
)
from sparserec_np.models.graph import GRAPH_SETTINGS_DOC, SparseGraph
from sparserec_np.models.outcome import Outcome
from sparserec_np.models.run import Run
from sparserec_np.models.selection import EXPONENTS, Base, Candidate, Comparison, Scores, choose, empty_base
from sparserec_np.runtime import ModelData
from sparserec_np.runtime.neighbours import NeighbourSettings
from sparserec_np.runtime.parts import Parts

AUTO = "auto"
NEIGHBOURS = "neighbours"
#: The tables that a sum may have, by the names of their parts. Two tables share the entries.
TABLES = (TABLE, IALS, LINEAR, BOTH)
#: The sums of parts that there are.
SUMS = (*TABLES, *(f"{name}+{NEIGHBOURS}" for name in TABLES), NEIGHBOURS)

# Settings of item-item weights where nothing is held out to choose them by.
_UNTUNED_LINEAR = {"regularization": 30.0, "target_power": 0.0}
# Numbers of the dense users' vectors that the factorization of all pairs may hold while it is trained.
_MOST_NUMBERS = 1 << 27


Self = TypeVar("Self", bound="SparseBlend")


class SparseBlend(SparseGraph):  # noqa: D101
    __doc__ = f"""A sum of sparse parts, chosen on held-out interactions.

    The score of an item for a history is a sum of some of these parts:

    - ``table``: the trained item table of `SparseGraph`; a user is the weighted sum of the history's rows.
    - ``ials``: implicit matrix factorization over all pairs with a sparse item table [4]_; a user is the
      solution of a ridge regression on the history.
    - ``linear``: sparse item-item weights, found in seconds by ridge regressions on the strongest
      co-occurrences, as in SLIM [1]_ and EASE [2]_.
    - ``neighbours``: a linear graph filter over the interactions that the model file holds anyway, as in
      RP3beta [3]_. It has no trained numbers; see `sparserec_np.runtime.neighbours`.

    All stored entries count into one budget, ``round(density · (n_users + n_items) · dim)``. Beside item-item
    weights the table has three quarters of it, and the weights are fitted to what it leaves. With
    ``parts="auto"`` every sum of parts is measured on the held-out interactions, and the table alone is one
    of the choices; ``candidates_`` and the report of `sparserec-np fit` say what was tried and what it
    scored. More parts, or other exponents than the plain ones, are taken only if they are clearly better: a
    random hold-out flatters methods that go by co-occurrence (see docs/parts.md).

    Parameters
    ----------
{GRAPH_SETTINGS_DOC}
    parts : str
        Parts that the score is a sum of, such as table+neighbours; or several such sums, separated by commas,
        to choose among on held-out interactions; or auto, for all of {", ".join(SUMS)}, of which the last is
        measured, but not taken. Without a hold-out auto is table+neighbours, and of several the first is
        taken.

    Attributes
    ----------
    items_ : SparseTable
        The stored entries of all parts: their tables side by side.
    users_ : None
        There is no user table.
    chosen_ : str
        The parts that were chosen, joined by ``+``.
    parts_ : Parts
        What the score is a sum of, as the model file describes it.
    candidates_ : list of dict
        The sums that were tried and their NDCG@20 on held-out interactions, best first; empty without, and
        for a model that was loaded: the file does not spend bytes on it.
    width_ : int
        Width of the tables, side by side.
    amount_ : {{"thin", "few", "many"}}
        How much data there was to learn from.
    settings_ : dict
        All settings as they were used, those included that were left to the amount of data.
    history_ : list of dict
        A record per epoch of the table: loss, validation metrics, entries stored, pruned and grown, seconds.
    n_epochs_ : int
        Epochs of the final table; 0 where it is no part.
    learning_rate_ : float
        The learning rate that was used: the given one, quartered while no epoch improved on the start.
    validation_, baseline_ : dict
        Metrics on the held-out interactions, and those of the most-popular baseline; empty without.

    References
    ----------
    .. [1] X. Ning, G. Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011.
    .. [2] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    .. [3] B. Paudel et al., "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive
       Applications", ACM TiiS 7 (1), 2017.
    .. [4] Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.

    Examples
    --------
    >>> from sparserec_np import SparseBlend
    >>> from sparserec_np.data import make_interactions
    >>> interactions = make_interactions(60, 50, 900, random_state=0)
    >>> model = SparseBlend(dim=16, parts="linear+neighbours", random_state=0).fit(interactions)
    >>> ids, scores = model.recommend_from_history([3, 14], k=5)
    >>> len(ids)
    5
    """

    selects_parts = True

    parts: str
    parts_: Parts
    chosen_: str
    candidates_: list[dict[str, Any]]

    def __init__(
        self,
        *,
        density: float = 0.1,
        dim: int = 64,
        loss: str | Loss = "softmax",
        learning_rate: float | None = None,
        regularization: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        negatives: int | None = None,
        popularity_power: float = 0.0,
        mask_init: str = "spectral",
        init_scale: float | None = None,
        update_every: int | None = None,
        prune_fraction: float | None = None,
        grow_by: str = "accumulated",
        probe_fraction: float = 0.1,
        optimizer: str = "adagrad",
        teacher: Any = None,
        teacher_weight: float | None = None,
        teacher_temperature: float = 1.0,
        early_stopping: int | None = None,
        validation_fraction: float = 0.2,
        refit: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool = False,
        width: int | None = None,
        item_power: float = 0.4,
        length_power: float | None = None,
        history_dropout: float | None = None,
        parts: str = AUTO,
    ) -> None:
        self._store(locals())

    def check_settings(self) -> None:
        """Check every setting; `fit` does so first."""
        super().check_settings()
        if not isinstance(self.parts, str) or not set(self.sums) <= set(SUMS):
            raise SettingError(
                f"parts is {self.parts!r}; expected {AUTO}, or one or more of these, separated by commas: "
                f"{', '.join(SUMS)}"
            )

    @property
    def sums(self) -> tuple[str, ...]:
        """The sums of parts to choose among."""
        return SUMS if self.parts == AUTO else tuple(self.parts.split(","))

    def _may_use(self, part: str) -> bool:
        return any(part in one.split("+") for one in self.sums)

    @property
    def trains_table(self) -> bool:  # type: ignore[override]
        """Whether the table may be a part."""
        return self._may_use(TABLE)

    def uses_table(self, selection: Mapping[str, Any]) -> bool:
        """Whether the table is among the parts that were chosen."""
        return TABLE in selection["base"].split("+")

    # ---- choosing -------------------------------------------------------------------------------------

    def _select(
        self,
        train: Interactions,
        held_out: Interactions | None,
        outcome: Outcome,
        rng: np.random.Generator,
        workers: Workers,
    ) -> dict[str, Any]:
        if held_out is None:
            return self._unmeasured()
        comparison = Comparison(train, held_out, rng, workers)
        candidates = self._measured(train, comparison, outcome, rng, workers)
        # Neighbours alone could not be bundled for a device, as the interactions stay behind: only who asks
        # for them gets them.
        chosen = choose([one for one in candidates if one.base.name or self.parts != AUTO])
        return {
            **selected(chosen),
            "validation": comparison.validation(chosen),
            "candidates": [one.as_record() for one in sorted(candidates, key=lambda one: -one.ndcg)],
        }

    def _measured(
        self,
        train: Interactions,
        comparison: Comparison,
        outcome: Outcome,
        rng: np.random.Generator,
        workers: Workers,
    ) -> list[Candidate]:
        """Make and measure the sums to choose among."""
        maker = self._maker(train, workers)
        bases, candidates = [], []
        if outcome.items is not None:
            bases.append(maker.table(outcome.items))
        # Of the settings of a part, those that are best by themselves go on into the sums.
        if self._may_use(IALS) and self._can_factorize(train):
            seed = int(rng.integers(2**63))
            best, others = comparison.best([maker.ials(one, seed) for one in self._settings_of(IALS)])
            bases.append(best)
            candidates += others
        if self._may_use(LINEAR):
            best, others = comparison.best(maker.linears(self._settings_of(LINEAR)))
            bases.append(best)
            candidates += others
            if outcome.items is not None and any(one.startswith(BOTH) for one in self.sums):
                # What a table leaves is less, and may want a smaller penalty.
                penalties = dict.fromkeys(
                    (best.settings["regularization"], _UNTUNED_LINEAR["regularization"])
                )
                best, others = comparison.best([maker.both(outcome.items, one) for one in penalties])
                bases.append(best)
                candidates += others
        if NEIGHBOURS in self.sums:
            bases.append(empty_base(train.n_items))
        exponents = EXPONENTS if self._may_use(NEIGHBOURS) else ()
        candidates += comparison.measure(bases, exponents)
        return [one for one in candidates if one.name in self.sums]

    def _unmeasured(self) -> dict[str, Any]:
        """Return the selection where nothing is held out."""
        names = (f"{TABLE}+{NEIGHBOURS}" if self.parts == AUTO else self.sums[0]).split("+")
        base = "+".join(name for name in names if name != NEIGHBOURS)
        return {
            "base": base,
            "settings": self._untuned(base),
            "neighbours": EXPONENTS[0].as_dict() if NEIGHBOURS in names else None,
            "relative_weight": 1.0,
            "validation": {},
            "candidates": [],
        }

    def _untuned(self, base: str) -> dict[str, float]:
        """Return the settings of a table where nothing is held out to choose them by."""
        if base in (IALS, LINEAR):
            tried = self._settings_of(base)
            return _UNTUNED_LINEAR if _UNTUNED_LINEAR in tried else tried[0]
        return {"regularization": _UNTUNED_LINEAR["regularization"]} if base == BOTH else {}

    def _settings_of(self, base: str) -> list[dict[str, float]]:
        """Return the settings of a table that are tried."""
        if base == IALS:
            return list(FACTORIZATIONS)
        return [
            {"regularization": one, "target_power": power}
            for one in REGULARIZATIONS
            for power in TARGET_POWERS
        ]

    def _can_factorize(self, train: Interactions) -> bool:
        """Whether all pairs can be factorized; an error where there is nothing else to choose."""
        most = _MOST_NUMBERS // train.n_users
        if self.dim > most and all(IALS in one.split("+") for one in self.sums):
            raise SettingError(
                f"dim is {self.dim}; expected at most {most}, to factorize all pairs of {train.n_users:,} "
                "users: their vectors are dense while it is trained"
            )
        return self.dim <= most

    def _maker(self, data: Interactions, workers: Workers) -> BaseMaker:
        n_entries = n_stored(self.density, data.n_users, data.n_items, self.dim)
        powers = {name: float(self.settings_[name]) for name in ("item_power", "length_power")}
        return BaseMaker(data, n_entries, self.dim, self._scorer(data), powers, workers)

    # ---- the final model ------------------------------------------------------------------------------

    def _assemble(self, run: Run, outcome: Outcome, data: Interactions, workers: Workers) -> None:
        selection = run.selection
        rng = np.random.default_rng(run.entropy)
        base = self._base(selection, outcome, self._maker(data, workers), rng)
        neighbours = weighted(selection, base, data, rng, workers)
        self.items_, self.users_ = base.items, None
        self.parts_ = Parts(base.blocks, neighbours)
        self.chosen_ = "+".join(filter(None, [base.name, NEIGHBOURS if neighbours else ""]))
        self.candidates_ = selection["candidates"]
        self.validation_ = selection["validation"] or outcome.validation

    @staticmethod
    def _base(
        selection: Mapping[str, Any], outcome: Outcome, maker: BaseMaker, rng: np.random.Generator
    ) -> Base:
        """Make the table that was chosen."""
        name, settings = selection["base"], selection["settings"]
        if name == IALS:
            return maker.ials(settings, int(rng.integers(2**63)))
        if name == LINEAR:
            return maker.linears([settings])[0]
        if not name:
            return empty_base(maker.n_items)
        assert outcome.items is not None
        return maker.both(outcome.items, **settings) if name == BOTH else maker.table(outcome.items)

    def _info(self, data: Interactions) -> dict[str, Any]:
        return {**super()._info(data), "parts": self.chosen_}

    @classmethod
    def from_model_data(cls: type[Self], data: ModelData) -> Self:
        """Make the fitted estimator that a model file describes; it shares the file's arrays."""
        estimator = super().from_model_data(data)
        estimator.parts_ = data.parts
        estimator.chosen_ = str(data.info.get("parts", ""))
        estimator.candidates_ = []
        return estimator

    def _extra_model_data(self, data: Interactions) -> dict[str, Any]:
        encoder, settings = self.parts_.encoder()
        return {"encoder": encoder, "encoder_settings": settings}


def selected(candidate: Candidate) -> dict[str, Any]:
    """Write a choice as JSON."""
    neighbours = candidate.neighbours
    return {
        "base": candidate.base.name,
        "settings": dict(candidate.base.settings),
        "neighbours": None if neighbours is None else neighbours.as_dict(),
        "relative_weight": candidate.relative_weight,
    }


def weighted(
    selection: Mapping[str, Any], base: Base, data: Interactions, rng: np.random.Generator, workers: Workers
) -> NeighbourSettings | None:
    """Give the neighbours that were chosen their weight beside a table."""
    if selection["neighbours"] is None:
        return None
    neighbours = NeighbourSettings(**selection["neighbours"])
    users = np.flatnonzero(np.diff(data.user_items.indptr))
    scores = Scores(data.user_items, users, rng, workers)
    return replace(neighbours, weight=scores.weight_of(base, neighbours, selection["relative_weight"]))
