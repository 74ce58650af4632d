"""Graph collaborative filtering: people are made of the items in their history."""

from __future__ import annotations

from typing import Any, ClassVar

from sparserec_np.data import Interactions
from sparserec_np.losses import Loss
from sparserec_np.models.base import SparseRecommender
from sparserec_np.models.settings import settings_doc
from sparserec_np.scorers import PropagationScorer, Scorer

_SETTINGS = settings_doc(
    losses='{"softmax", "bpr", "logistic"}',
    masks='{"spectral", "nmf", "random"}',
    masks_text="the strongest of rotated singular vectors or of a nonnegative factorization, or random ones",
    init_scale="Mean score of the positives at first.",
)


class SparseGraph(SparseRecommender):  # noqa: D101
    __doc__ = f"""One step of light graph convolution over a sparse item table.

    A user is what their history propagates to them, :math:`p_u = Σ_i d_i^{{-p}} v_i` over the items ``i`` of
    the history with ``d_i`` interactions each (LightGCN [1]_ without rows of their own for users). So no
    entry is spent on users, the whole budget goes to the items, people whom the model never saw are as good
    as those it was trained on, and the device encodes a person by the same sum.

    The budget is still ``round(density · (n_users + n_items) · dim)`` entries, and at equal budget a wide
    table is the better one: the default width is 512 at a density that stores as many entries as 0.1 at a
    width of 64.

    Parameters
    ----------
{_SETTINGS}
    item_power : float
        How much less a popular item of a history counts: its weight is its popularity to minus this power.
    length_power : float
        How much less each item of a long history counts.

    Attributes
    ----------
    items_ : SparseTable
        The trained table; exactly ``round(density · (n_users + n_items) · dim)`` entries.
    users_ : None
        There is no user table.
    history_ : list of dict
        A record per epoch: loss, validation metrics, entries stored, pruned and grown, seconds.
    n_epochs_ : int
        Epochs of the final table.
    validation_, baseline_ : dict
        Metrics on the held-out interactions, and those of the most-popular baseline; empty without.

    References
    ----------
    .. [1] X. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
       SIGIR 2020.

    Examples
    --------
    >>> from sparserec_np import SparseGraph
    >>> from sparserec_np.data import make_interactions
    >>> interactions = make_interactions(60, 50, 900, random_state=0)
    >>> model = SparseGraph(density=0.05, dim=32, epochs=3, random_state=0).fit(interactions)
    >>> ids, scores = model.recommend_from_history([3, 14], k=5)
    >>> len(ids)
    5
    """

    losses: ClassVar[tuple[str, ...]] = ("softmax", "bpr", "logistic")
    masks: ClassVar[tuple[str, ...]] = ("spectral", "nmf", "random")

    def __init__(
        self,
        *,
        density: float = 0.0125,
        dim: int = 512,
        loss: str | Loss = "softmax",
        learning_rate: float = 0.1,
        regularization: float = 0.0,
        epochs: int = 12,
        batch_size: int = 8192,
        negatives: int = 64,
        popularity_power: float = 0.0,
        mask_init: str = "spectral",
        init_scale: float = 5.0,
        update_every: int | None = None,
        prune_fraction: float = 0.1,
        grow_by: str = "accumulated",
        probe_fraction: float = 0.1,
        optimizer: str = "adagrad",
        early_stopping: int = 2,
        validation_fraction: float = 0.2,
        refit: bool = True,
        item_power: float = 0.8,
        length_power: float = 0.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.density = density
        self.dim = dim
        self.loss = loss
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.epochs = epochs
        self.batch_size = batch_size
        self.negatives = negatives
        self.popularity_power = popularity_power
        self.mask_init = mask_init
        self.init_scale = init_scale
        self.update_every = update_every
        self.prune_fraction = prune_fraction
        self.grow_by = grow_by
        self.probe_fraction = probe_fraction
        self.optimizer = optimizer
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.item_power = item_power
        self.length_power = length_power
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _scorer(self, train: Interactions) -> Scorer:
        return PropagationScorer(train.user_items, self.item_power, self.length_power)

    def _extra_model_data(self, data: Interactions) -> dict[str, Any]:
        return {
            "encoder": "sum",
            "encoder_settings": {"item_power": self.item_power, "length_power": self.length_power},
        }
