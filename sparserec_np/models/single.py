"""Models of one part, whose settings are their own: item-item weights, and the factorization of all pairs."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from sparserec_np.data import Interactions
from sparserec_np.models.bases import FACTORIZATIONS, IALS, LINEAR, REGULARIZATIONS, TARGET_POWERS
from sparserec_np.models.blend import NEIGHBOURS, SparseBlend
from sparserec_np.models.settings import RUN_DOC, check_settings

_SHARED_DOC = f"""\
    neighbours : bool
        Whether the score is a sum with neighbours by the interactions; see `SparseBlend`.
    validation_fraction : float
        Share of a user's interactions held out to choose the settings by that are not given.
{RUN_DOC}

    Attributes
    ----------
    items_ : SparseTable
        The stored entries.
    chosen_ : str
        The parts of the score, joined by ``+``.
    parts_ : Parts
        What the score is a sum of, as the model file describes it.
    candidates_ : list of dict
        The settings that were tried and their NDCG@20 on held-out interactions, best first; empty without,
        and for a model that was loaded.
    validation_, baseline_ : dict
        Metrics on the held-out interactions, and those of the most-popular baseline; empty without."""


class _OnePart(SparseBlend):
    """A sum of a part and, if wanted, neighbours."""

    part: ClassVar[str]
    by_amount: ClassVar[dict[str, tuple[Any, Any, Any]]] = {}

    neighbours: bool

    @property
    def parts(self) -> str:  # type: ignore[override]
        """The sum, as `SparseBlend` has it as a setting."""
        return f"{self.part}+{NEIGHBOURS}" if self.neighbours else self.part

    def check_settings(self) -> None:
        """Check every setting; `fit` does so first."""
        check_settings(self.settings_for("many"), self.losses)

    def settings_for(self, amount: str) -> dict[str, Any]:
        """Return all settings as they are used, those of a table included that is not trained."""
        every = SparseBlend(parts=self.parts).settings_for(amount)
        own = self.get_params(deep=False)
        return every | {name: value for name, value in own.items() if value is not None or name not in every}


# The settings of a table, which these models do not have: nobody sets them.
for _name, _parameter in inspect.signature(SparseBlend).parameters.items():
    if _name != "parts":
        setattr(_OnePart, _name, _parameter.default)


class SparseLinear(_OnePart):  # noqa: D101
    __doc__ = f"""Item-item weights: each item regressed on the items that occur together with it.

    A sparse linear model as EASE [1]_ and SLIM [2]_, fitted in seconds: each item is a ridge regression on
    its 100 strongest co-occurrences, the largest weights are kept, and the regressions are solved again on
    what is left. The weights are a table of ``n_items`` columns; see `sparserec_np.parts.fit_item_weights`.
    On most data sets it is the strongest single part of `SparseBlend`; where there are fewer than some ten
    stored weights for each item, another part is better.

    Parameters
    ----------
    density : float
        Share of the entries of both tables that exist, above 0 and at most 1. Weights are counted as those
        of tables of users and items are: ``round(density · (n_users + n_items) · dim)``.
    dim : int
        Width of the tables by which the weights are counted.
    penalty : float or None
        Ridge penalty of item-item weights; None to choose on held-out interactions.
    target_power : float or None
        How much lower item-item weights score popular items; None to choose on held-out interactions.
{_SHARED_DOC}

    References
    ----------
    .. [1] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    .. [2] X. Ning, G. Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011.

    Examples
    --------
    >>> from sparserec_np import SparseLinear
    >>> from sparserec_np.data import make_interactions
    >>> interactions = make_interactions(60, 50, 900, random_state=0)
    >>> model = SparseLinear(penalty=30.0, random_state=0).fit(interactions)
    >>> ids, scores = model.recommend_from_history([3, 14], k=5)
    >>> len(ids)
    5
    """

    part = LINEAR

    def widest(self, data: Interactions) -> int:
        """Return the number of items: each has a column."""
        return data.n_items

    penalty: float | None
    target_power: float | None

    def __init__(
        self,
        *,
        density: float = 0.1,
        dim: int = 64,
        penalty: float | None = None,
        target_power: float | None = None,
        neighbours: bool = False,
        validation_fraction: float = 0.2,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self._store(locals())

    def _settings_of(self, base: str) -> list[dict[str, float]]:
        penalties = REGULARIZATIONS if self.penalty is None else (self.penalty,)
        powers = TARGET_POWERS if self.target_power is None else (self.target_power,)
        return [
            {"regularization": penalty, "target_power": power} for penalty in penalties for power in powers
        ]


class SparseALS(_OnePart):  # noqa: D101
    __doc__ = f"""Implicit matrix factorization over all pairs, with a sparse item table.

    Weighted squared errors over every pair of a user and an item, minimised by alternating least squares
    [1]_ [2]_. The item table is sparse from the first step to the last, with dynamic sparse training by the
    gradient over all pairs, which needs no sampling; users are the solutions of a ridge regression on their
    histories, on the device as in training, and store nothing. See `sparserec_np.parts.fit_ials`.

    Parameters
    ----------
    density : float
        Share of the entries of both tables that exist, above 0 and at most 1. All go to the items, as far as
        their table has room.
    dim : int
        Width of the tables.
    unobserved : float or None
        Weight of a pair without an interaction, one with an interaction having 1; None to choose on held-out
        interactions.
    penalty : float or None
        L2 penalty of the rows, scaled by how often they occur; None to choose on held-out interactions.
    epochs : int or None
        Rounds of alternating least squares; None to choose on held-out interactions.
    prune_fraction : float or None
        Share of the stored entries that an exploration replaces at first; None to choose on held-out
        interactions.
{_SHARED_DOC}

    References
    ----------
    .. [1] Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
    .. [2] S. Rendle et al., "Revisiting the Performance of iALS on Item Recommendation Benchmarks",
       RecSys 2022.

    Examples
    --------
    >>> from sparserec_np import SparseALS
    >>> from sparserec_np.data import make_interactions
    >>> interactions = make_interactions(60, 50, 900, random_state=0)
    >>> model = SparseALS(dim=16, epochs=4, random_state=0).fit(interactions)
    >>> ids, scores = model.recommend_from_history([3, 14], k=5)
    >>> len(ids)
    5
    """

    part = IALS

    def widest(self, data: Interactions) -> int:
        """Return the width, which is not chosen."""
        return self.dim

    unobserved: float | None
    penalty: float | None

    def __init__(
        self,
        *,
        density: float = 0.1,
        dim: int = 64,
        unobserved: float | None = None,
        penalty: float | None = None,
        epochs: int | None = None,
        prune_fraction: float | None = None,
        neighbours: bool = False,
        validation_fraction: float = 0.2,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self._store(locals())

    def _settings_of(self, base: str) -> list[dict[str, float]]:
        given = {
            "unobserved": self.unobserved,
            "regularization": self.penalty,
            "epochs": self.epochs,
            "prune_fraction": self.prune_fraction,
        }
        fixed = {name: value for name, value in given.items() if value is not None}
        found: list[dict[str, float]] = []
        for settings in FACTORIZATIONS:
            if settings | fixed not in found:
                found.append(settings | fixed)
        return found
