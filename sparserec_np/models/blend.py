"""A score that is a sum of sparse parts, which held-out interactions choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.data import Interactions
from sparserec_np.errors import SettingError
from sparserec_np.exploration import n_stored
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import Loss
from sparserec_np.models.graph import GRAPH_SETTINGS_DOC, SparseGraph
from sparserec_np.models.outcome import Outcome
from sparserec_np.models.run import Run
from sparserec_np.models.selection import (
    EXPONENTS,
    Base,
    Comparison,
    Represent,
    Scores,
    choose,
    empty_base,
)
from sparserec_np.parts.ials import IALSFit, fit_ials, user_vectors
from sparserec_np.parts.linear import fit_item_weights
from sparserec_np.parts.tables import largest_entries, side_by_side
from sparserec_np.runtime import ModelData
from sparserec_np.runtime.neighbours import NeighbourSettings
from sparserec_np.runtime.parts import ITEMS, Block, Parts
from sparserec_np.scorers import Scorer
from sparserec_np.tables import SparseTable

AUTO = "auto"
TABLE, IALS, LINEAR, NEIGHBOURS = "table", "ials", "linear", "neighbours"
#: The tables that a sum may have, by the names of their parts. Two tables share the entries.
TABLES = (TABLE, IALS, LINEAR, f"{TABLE}+{LINEAR}")
#: The sums of parts that there are.
SUMS = (*TABLES, *(f"{name}+{NEIGHBOURS}" for name in TABLES), NEIGHBOURS)

# Share of the entries that the table gets beside item-item weights.
_TABLE_SHARE = 0.5
# Ridge penalties of item-item weights that are tried.
_REGULARIZATIONS = (30.0, 100.0)
# Settings of the factorization of all pairs that are tried. On validation splits the first was best on Steam,
# video games, MovieLens and Yelp2018 cut to 10 interactions a user, the second on Gowalla cut to 5, the third
# on Gowalla cut to 10; none was within 4 % of the best dense ALS on all of them.
_FACTORIZATIONS: tuple[dict[str, float], ...] = (
    {"unobserved": 0.025, "regularization": 3.0, "epochs": 16, "prune_fraction": 0.5},
    {"unobserved": 0.01, "regularization": 1.5, "epochs": 16, "prune_fraction": 0.5},
    {"unobserved": 0.025, "regularization": 0.75, "epochs": 2, "prune_fraction": 0.0},
)
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

    All stored entries count into one budget, ``round(density · (n_users + n_items) · dim)``. The table and
    the item-item weights together have half of it each. With ``parts="auto"`` every sum of parts is measured
    on the held-out interactions, and the table alone is one of the choices; ``candidates_`` and the report of
    `sparserec-np fit` say what was tried and what it scored. More parts, or other exponents than the plain
    ones, are taken only if they are clearly better: a random hold-out flatters methods that go by
    co-occurrence (see docs/parts.md).

    Parameters
    ----------
{GRAPH_SETTINGS_DOC}
    parts : str
        Parts that the score is a sum of, such as table+neighbours; or several such sums, separated by commas,
        to choose among on held-out interactions; or auto, for all of {", ".join(SUMS)}. Without a hold-out
        auto is table+neighbours, and the first of several is taken.

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
        The sums that were tried and their NDCG@20 on held-out interactions, best first; empty without.
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
        scorer = self._scorer(train)
        comparison = Comparison(train, held_out, rng, workers)
        bases = []
        if outcome.items is not None:
            bases.append(_table_base(outcome.items, scorer))
        if self._may_use(IALS) and train.n_users * self.dim <= _MOST_NUMBERS:
            seed = int(rng.integers(2**63))
            for settings in _FACTORIZATIONS:
                fit = self._ials(train, settings, seed, workers)
                bases.append(_ials_base(fit, train, settings, workers))
        if self._may_use(LINEAR):
            bases += self._linear_bases(train, comparison, outcome.items, scorer, workers)
        if NEIGHBOURS in self.sums:
            bases.append(empty_base(train.n_items))
        exponents = EXPONENTS if self._may_use(NEIGHBOURS) else ()
        candidates = [one for one in comparison.measure(bases, exponents) if one.name in self.sums]
        best = choose(candidates)
        return {
            **_selected(best.base.name, best.base.settings, best.neighbours, best.relative_weight),
            "validation": comparison.validation(best),
            "candidates": [one.as_record() for one in sorted(candidates, key=lambda one: -one.ndcg)],
        }

    def _unmeasured(self) -> dict[str, Any]:
        """Return the selection where nothing is held out."""
        names = (f"{TABLE}+{NEIGHBOURS}" if self.parts == AUTO else self.sums[0]).split("+")
        base = "+".join(name for name in names if name != NEIGHBOURS)
        settings: Mapping[str, float] = {}
        if LINEAR in names:
            settings = {"regularization": _REGULARIZATIONS[0]}
        elif IALS in names:
            settings = _FACTORIZATIONS[0]
        neighbours = EXPONENTS[0] if NEIGHBOURS in names else None
        return {**_selected(base, settings, neighbours, 1.0), "validation": {}, "candidates": []}

    def _linear_bases(
        self,
        train: Interactions,
        comparison: Comparison,
        table: SparseTable | None,
        scorer: Scorer,
        workers: Workers,
    ) -> list[Base]:
        """Make item-item weights alone, and beside half of the table where there is one."""
        bases = []
        for regularization in _REGULARIZATIONS:
            settings = {"regularization": regularization}
            weights = self._weights(train, settings, 1.0, workers)
            bases.append(Base(LINEAR, weights, _occurrences(train), settings))
        if table is not None:
            half = largest_entries(table, round(_TABLE_SHARE * self._budget(train)))
            for base in bases[:]:
                weights = largest_entries(base.items, self._budget(train) - half.nnz)
                weights = self._scaled(weights, half, train, comparison, scorer)
                bases.append(_joined_base(half, weights, train, scorer, base.settings))
        return bases

    def _budget(self, data: Interactions) -> int:
        return n_stored(self.density, data.n_users, data.n_items, self.dim)

    def _ials(self, data: Interactions, settings: Mapping[str, Any], seed: int, workers: Workers) -> IALSFit:
        """Factorize all pairs with the whole budget, as far as a table of width dim holds it."""
        n_entries = min(self._budget(data), data.n_items * self.dim)
        rng = np.random.default_rng(seed)
        return fit_ials(data.user_items, n_entries, self.dim, **settings, rng=rng, workers=workers)

    def _weights(
        self, data: Interactions, settings: Mapping[str, float], share: float, workers: Workers
    ) -> SparseTable:
        """Find item-item weights with a share of the budget."""
        n_entries = self._budget(data) - round((1 - share) * self._budget(data))
        return fit_item_weights(
            data.user_items, n_entries, regularization=settings["regularization"], workers=workers
        )

    @staticmethod
    def _scaled(
        weights: SparseTable, table: SparseTable, data: Interactions, scores: Scores, scorer: Scorer
    ) -> SparseTable:
        """Give item-item weights the standard deviation of a table's scores."""
        own = scores.spread_of(Base(LINEAR, weights, _occurrences(data)))
        factor = np.float32(scores.spread_of(_table_base(table, scorer)) / own)
        return SparseTable(weights.indptr, weights.indices, weights.data * factor, weights.dim)

    # ---- the final model ------------------------------------------------------------------------------

    def _assemble(self, run: Run, outcome: Outcome, data: Interactions, workers: Workers) -> None:
        selection, scorer = run.selection, self._scorer(data)
        names = selection["base"].split("+")
        both = len(names) > 1
        users = np.flatnonzero(np.diff(data.user_items.indptr))
        rng = np.random.default_rng(run.entropy)
        scores = Scores(data.user_items, users, rng, workers)
        blocks = []
        base = empty_base(data.n_items)
        if TABLE in names:
            assert outcome.items is not None
            share = _TABLE_SHARE if both else 1.0
            table = largest_entries(outcome.items, round(share * self._budget(data)))
            base = _table_base(table, scorer)
            powers = {name: float(self.settings_[name]) for name in ("item_power", "length_power")}
            blocks.append(Block("sum", table.dim, powers))
        if IALS in names:
            fit = self._ials(data, selection["settings"], int(rng.integers(2**63)), workers)
            base = _ials_base(fit, data, {}, workers)
            blocks.append(Block("ridge", fit.items.dim, fit.encoder_settings))
        if LINEAR in names:
            weights = self._weights(data, selection["settings"], 1 - _TABLE_SHARE if both else 1.0, workers)
            blocks.append(Block(ITEMS, data.n_items))
            if both:
                weights = self._scaled(weights, table, data, scores, scorer)
                base = _joined_base(table, weights, data, scorer, {})
            else:
                base = Base(LINEAR, weights, _occurrences(data))
        neighbours = None
        if selection["neighbours"] is not None:
            neighbours = NeighbourSettings(**selection["neighbours"])
            weight = scores.weight_of(base, neighbours, selection["relative_weight"])
            neighbours = replace(neighbours, weight=weight)
        self.items_, self.users_ = base.items, None
        self.parts_ = Parts(tuple(blocks) or (Block("sum", base.items.dim),), neighbours)
        self.chosen_ = "+".join([*filter(None, names), *([NEIGHBOURS] if neighbours else [])])
        self.candidates_ = selection["candidates"]
        self.validation_ = selection["validation"] or outcome.validation

    def _info(self, data: Interactions) -> dict[str, Any]:
        return {**super()._info(data), "parts": self.chosen_, "candidates": self.candidates_}

    @classmethod
    def from_model_data(cls: type[Self], data: ModelData) -> Self:
        """Make the fitted estimator that a model file describes; it shares the file's arrays."""
        estimator = super().from_model_data(data)
        estimator.parts_ = data.parts
        estimator.chosen_ = str(data.info.get("parts", ""))
        estimator.candidates_ = list(data.info.get("candidates", []))
        return estimator

    def _extra_model_data(self, data: Interactions) -> dict[str, Any]:
        encoder, settings = self.parts_.encoder()
        return {"encoder": encoder, "encoder_settings": settings}


def _selected(
    base: str, settings: Mapping[str, float], neighbours: NeighbourSettings | None, relative_weight: float
) -> dict[str, Any]:
    """Write a choice as JSON."""
    return {
        "base": base,
        "settings": dict(settings),
        "neighbours": None if neighbours is None else neighbours.as_dict(),
        "relative_weight": relative_weight,
    }


def _table_base(table: SparseTable, scorer: Scorer) -> Base:
    return Base(TABLE, table, partial(scorer.represent, None, table))


def _ials_base(fit: IALSFit, data: Interactions, settings: Mapping[str, float], workers: Workers) -> Base:
    occurrences = _occurrences(data)

    def represent(rows: npt.NDArray[np.int64]) -> sparse.csr_array:
        return sparse.csr_array(user_vectors(fit, occurrences(rows), workers))

    return Base(IALS, fit.items, represent, settings)


def _joined_base(
    table: SparseTable,
    weights: SparseTable,
    data: Interactions,
    scorer: Scorer,
    settings: Mapping[str, float],
) -> Base:
    """Put a table and item-item weights side by side."""
    occurrences = _occurrences(data)

    def represent(rows: npt.NDArray[np.int64]) -> sparse.csr_array:
        users = scorer.represent(None, table, rows), occurrences(rows)
        return sparse.csr_array(sparse.hstack(users, format="csr"))

    return Base(f"{TABLE}+{LINEAR}", side_by_side([table, weights]), represent, settings)


def _occurrences(data: Interactions) -> Represent:
    """Return what makes the rows of users in the columns of items: 1 for each item, whatever its weight."""
    user_items = data.user_items
    ones = np.ones(user_items.nnz, np.float32)
    pattern = sparse.csr_array((ones, user_items.indices, user_items.indptr), shape=user_items.shape)
    return lambda rows: pattern[rows]
