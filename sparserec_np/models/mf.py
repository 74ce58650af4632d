"""Pointwise matrix factorization: implicit data by the logistic loss, ratings by the squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparserec_np import metrics
from sparserec_np.autograd import Parameter, dot
from sparserec_np.data import Interactions
from sparserec_np.kernels.workers import Workers
from sparserec_np.losses import Loss
from sparserec_np.models.base import SparseRecommender
from sparserec_np.models.outcome import Record
from sparserec_np.models.settings import USER_SHARE_DOC, settings_doc
from sparserec_np.runtime import ModelData
from sparserec_np.tables import SparseTable

# Ratings by which the mean of an item's, or a user's, deviations is shrunk: the usual values (Koren 2010,
# "Factor in the Neighbors", section 2.1).
_ITEM_SHRINKAGE = 25
_USER_SHRINKAGE = 10


@dataclass(frozen=True)
class RatingBaseline:
    """What a rating is expected to be before tastes are looked at: ``offset + user_bias + item_bias``.

    Parameters
    ----------
    offset : float
        Mean rating.
    user_bias, item_bias : float32 arrays (n_users,), (n_items,)
        Shrunk mean deviations.
    """

    offset: float
    user_bias: npt.NDArray[np.float32]
    item_bias: npt.NDArray[np.float32]

    @classmethod
    def of(cls, interactions: Interactions) -> RatingBaseline:
        """Estimate it from ratings, items first, users from what items leave (Koren 2010, equation 3)."""
        ratings = interactions.user_items
        users = np.repeat(np.arange(interactions.n_users), np.diff(ratings.indptr))
        offset = float(ratings.data.mean(dtype=np.float64))
        residual = ratings.data - offset
        item_bias = _shrunk_means(ratings.indices, residual, interactions.n_items, _ITEM_SHRINKAGE)
        residual = residual - item_bias[ratings.indices]
        user_bias = _shrunk_means(users, residual, interactions.n_users, _USER_SHRINKAGE)
        return cls(offset, user_bias, item_bias)

    def predict(self, interactions: Interactions) -> npt.NDArray[np.float32]:
        """Return the expected rating of each pair, aligned with ``user_items.data``."""
        pairs = interactions.user_items
        users = np.repeat(np.arange(interactions.n_users), np.diff(pairs.indptr))
        return np.float32(self.offset) + self.user_bias[users] + self.item_bias[pairs.indices]


class SparseMF(SparseRecommender):  # noqa: D101
    __doc__ = f"""Sparse matrix factorization, pointwise.

    With the loss ``"logistic"`` every pair is a positive, whatever its weight, and sampled items are
    negatives. With ``"squared"`` the weights are ratings: a mean and biases are estimated first, the tables
    explain what is left, ``predict`` gives ratings and early stopping looks at their RMSE.

    Parameters
    ----------
{settings_doc(losses='{"logistic", "squared"}')}
{USER_SHARE_DOC}

    Attributes
    ----------
    users_, items_ : SparseTable
        The trained tables; together exactly ``round(density · (n_users + n_items) · dim)`` entries.
    rating_baseline_ : RatingBaseline
        Mean and biases, where the loss is ``"squared"``.
    history_ : list of dict
        A record per epoch: loss, validation metrics, entries stored, pruned and grown, seconds.
    n_epochs_ : int
        Epochs of the final tables.
    learning_rate_ : float
        The learning rate that was used: the given one, quartered while no epoch improved on the start.
    validation_, baseline_ : dict
        Metrics on the held-out interactions, and those of the most-popular baseline; empty without.

    References
    ----------
    .. [1] Y. Koren, R. Bell, C. Volinsky, "Matrix Factorization Techniques for Recommender Systems",
       Computer 42 (8), 2009.

    Examples
    --------
    >>> from sparserec_np import SparseMF
    >>> from sparserec_np.data import make_interactions
    >>> interactions = make_interactions(60, 50, 900, random_state=0)
    >>> model = SparseMF(density=0.2, dim=16, epochs=3, random_state=0).fit(interactions)
    >>> model.predict([3, 4], [10, 11]).shape
    (2,)
    """

    losses: ClassVar[tuple[str, ...]] = ("logistic", "squared")

    # Settings of its own, and those that are never left to the amount of data.
    learning_rate: float
    regularization: float
    epochs: int
    negatives: int
    init_scale: float
    prune_fraction: float
    teacher_weight: float
    early_stopping: int
    user_share: float

    def __init__(
        self,
        *,
        density: float = 0.1,
        dim: int = 64,
        loss: str | Loss = "logistic",
        learning_rate: float = 0.1,
        regularization: float = 0.03,
        epochs: int = 30,
        batch_size: int | None = None,
        negatives: int = 2,
        popularity_power: float = 0.0,
        mask_init: str = "nmf",
        init_scale: float = 1.0,
        update_every: int | None = None,
        prune_fraction: float = 0.3,
        grow_by: str = "accumulated",
        probe_fraction: float = 0.25,
        optimizer: str = "adagrad",
        teacher: Any = None,
        teacher_weight: float = 3.0,
        teacher_temperature: float = 1.0,
        early_stopping: int = 4,
        validation_fraction: float = 0.2,
        refit: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool = False,
        user_share: float = 0.6,
    ) -> None:
        self._store(locals())

    @property
    def _is_rating_model(self) -> bool:
        return self.loss == "squared"

    def _targets(self, train: Interactions) -> npt.NDArray[np.float32]:
        if not self._is_rating_model:
            return super()._targets(train)
        return train.user_items.data - RatingBaseline.of(train).predict(train)

    def _validate(
        self,
        represent: metrics.Represent,
        items: SparseTable,
        train: Interactions,
        held_out: Interactions,
        workers: Workers,
        item_bias: npt.NDArray[np.float32] | None = None,
    ) -> Record:
        if not self._is_rating_model:
            return super()._validate(represent, items, train, held_out, workers, item_bias)
        baseline = RatingBaseline.of(train)
        pairs = held_out.user_items
        lengths = np.diff(pairs.indptr)
        givers = np.flatnonzero(lengths)
        rows = np.repeat(np.arange(len(givers)), lengths[givers])
        users = SparseTable.from_scipy(represent(givers))
        predicted = baseline.predict(held_out) + _pair_scores(users, items, rows, pairs.indices)
        measured = super()._validate(represent, items, train, held_out, workers, baseline.item_bias)
        rmse = metrics.rmse(pairs.data, predicted)
        return {**measured, "rmse": rmse, "mae": metrics.mae(pairs.data, predicted), "goodness": -rmse}

    def _extra_model_data(self, data: Interactions) -> dict[str, Any]:
        if not self._is_rating_model:
            return super()._extra_model_data(data)
        baseline = RatingBaseline.of(data)
        self.rating_baseline_ = baseline
        return {
            "offset": baseline.offset,
            "user_bias": baseline.user_bias,
            "item_bias": baseline.item_bias,
            "encoder": "ratings",
            # A history without ratings holds what somebody liked: what the upper quarter is rated.
            "encoder_settings": {"assumed_rating": float(np.quantile(data.user_items.data, 0.75))},
        }

    @classmethod
    def from_model_data(cls, data: ModelData) -> SparseMF:
        """Make the fitted estimator that a model file describes; it shares the file's arrays."""
        estimator = super().from_model_data(data)
        assert isinstance(estimator, SparseMF)
        if data.user_bias is not None and data.item_bias is not None:
            estimator.rating_baseline_ = RatingBaseline(data.offset, data.user_bias, data.item_bias)
        return estimator


def _pair_scores(
    users: SparseTable, items: SparseTable, user_rows: npt.NDArray[Any], item_rows: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    scores: npt.NDArray[np.float32] = dot(Parameter(users), Parameter(items), user_rows, item_rows[:, None])
    return scores[:, 0]


def _shrunk_means(
    rows: npt.NDArray[Any], values: npt.NDArray[Any], n_rows: int, shrinkage: float
) -> npt.NDArray[np.float32]:
    sums = np.bincount(rows, weights=values, minlength=n_rows)
    return (sums / (np.bincount(rows, minlength=n_rows) + shrinkage)).astype(np.float32)
