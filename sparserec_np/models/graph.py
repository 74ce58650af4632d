"""Graph collaborative filtering: people are made of the items in their history."""

from __future__ import annotations

from typing import Any, ClassVar

from sparserec_np.data import Interactions
from sparserec_np.losses import Loss
from sparserec_np.models.base import SparseRecommender
from sparserec_np.models.settings import settings_doc
from sparserec_np.scorers import PropagationScorer

_SETTINGS = settings_doc(
    losses='{"softmax", "bpr", "logistic"}',
    init_scale="Mean score of the positives at first.",
)
#: The numpydoc entries of the settings of estimators that train such a table.
GRAPH_SETTINGS_DOC = f"""\
{_SETTINGS}
    width : int or None
        Width of the table; None to choose among 1, 2, 4 and 8 times dim on the held-out interactions.
    item_power : float
        How much less a popular item of a history counts: its weight is its popularity to minus this power.
    length_power : float
        How much less each item of a long history counts.
    history_dropout : float
        Share of a history that training leaves out at random, anew for each batch."""


class SparseGraph(SparseRecommender):  # noqa: D101
    __doc__ = f"""One step of light graph convolution over a sparse item table.

    A user is what their history propagates to them, :math:`p_u = Σ_i d_i^{{-p}} v_i` over the items ``i`` of
    the history with ``d_i`` interactions each (LightGCN [1]_ without rows of their own for users). So no
    entry is spent on users, the whole budget goes to the items, people whom the model never saw are as good
    as those it was trained on, and the device encodes a person by the same sum.

    ``density`` and ``dim`` set the budget, ``round(density · (n_users + n_items) · dim)`` entries, as for the
    other estimators. But the table may be wider than ``dim``: where there is much to tell apart, the same
    entries are worth more spread over a wider table, and where there is little a wide one learns noise. What
    the start of the training scores on held-out interactions decides.

    On few interactions a model of this kind learns histories by heart, on many it has too much to learn. So
    some settings are by default what suits the amount of data, ``amount_``: below 200,000 interactions a
    history drops out in part in training, counts by the square root of its length, the rows are regularized
    and a teacher's scores count a little; where there are fewer than 12 interactions an item, too, the rows
    are regularized more, over a table of four times ``dim``, and there is no teacher. See ``by_amount``, and
    ``settings_`` for what was used.

    Parameters
    ----------
{GRAPH_SETTINGS_DOC}

    Attributes
    ----------
    items_ : SparseTable
        The trained table; exactly ``round(density · (n_users + n_items) · dim)`` entries.
    users_ : None
        There is no user table.
    width_ : int
        Width of the table.
    amount_ : {"thin", "few", "many"}
        How much data there was to learn from.
    settings_ : dict
        All settings as they were used, those included that were left to the amount of data.
    history_ : list of dict
        A record per epoch: loss, validation metrics, entries stored, pruned and grown, seconds.
    n_epochs_ : int
        Epochs of the final table.
    learning_rate_ : float
        The learning rate that was used: the given one, quartered while no epoch improved on the start.
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
    >>> model = SparseGraph(density=0.1, dim=16, epochs=3, random_state=0).fit(interactions)
    >>> ids, scores = model.recommend_from_history([3, 14], k=5)
    >>> len(ids)
    5
    """

    losses: ClassVar[tuple[str, ...]] = ("softmax", "bpr", "logistic")

    by_amount: ClassVar[dict[str, tuple[Any, Any, Any]]] = {
        "learning_rate": (0.2, 0.1, 0.05),
        "regularization": (0.005, 0.003, 0.0),
        "epochs": (40, 30, 15),
        "negatives": (128, 64, 64),
        "init_scale": (3.0, 3.0, 5.0),
        "prune_fraction": (0.1, 0.1, 0.3),
        "early_stopping": (4, 30, 2),
        "length_power": (0.5, 0.5, 0.0),
        "history_dropout": (0.2, 0.4, 0.0),
        "teacher": ("none", "auto", "none"),
        "teacher_weight": (3.0, 1.0, 3.0),
    }
    thin_width = 4

    width: int | None
    item_power: float
    length_power: float | None
    history_dropout: float | None

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
    ) -> None:
        self._store(locals())

    def _scorer(self, train: Interactions) -> PropagationScorer:
        settings = self.settings_
        return PropagationScorer(
            train.user_items,
            settings["item_power"],
            settings["length_power"],
            settings["history_dropout"],
        )

    def _extra_model_data(self, data: Interactions) -> dict[str, Any]:
        return {
            "encoder": "sum",
            "encoder_settings": {name: self.settings_[name] for name in ("item_power", "length_power")},
        }
