"""Pairwise and listwise ranking from implicit feedback."""

from __future__ import annotations

from typing import Any, ClassVar

from sparserec_np.losses import Loss
from sparserec_np.models.base import SparseRecommender
from sparserec_np.models.settings import USER_SHARE_DOC, settings_doc


class SparseBPR(SparseRecommender):  # noqa: D101
    __doc__ = f"""Sparse embeddings that rank a user's items above others.

    Every pair in the interactions is a positive, whatever its weight; items that the user has not
    interacted with are sampled as negatives. With one negative ``"softmax"`` is ``"bpr"``, Bayesian
    Personalised Ranking [1]_; with more it is the sampled softmax.

    From 200,000 interactions on, training starts from longer rows, hence closer to what the mask's
    factorisation says; see ``by_amount``, and ``settings_`` for what was used.

    Parameters
    ----------
{settings_doc(losses='{"softmax", "bpr"}')}
{USER_SHARE_DOC}
    width : int or None
        Width of the tables that the entries are spread over, which ``density`` and ``dim`` number; None to
        choose among 1, 2, 4 and 8 times dim on the held-out interactions.

    Attributes
    ----------
    users_, items_ : SparseTable
        The trained tables; together exactly ``round(density · (n_users + n_items) · dim)`` entries.
    width_ : int
        Width of both tables.
    amount_ : {"thin", "few", "many"}
        How much data there was to learn from.
    settings_ : dict
        All settings as they were used, those included that were left to the amount of data.
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
    .. [1] S. Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
    .. [2] "Sparser Training for On-Device Recommendation Systems", arXiv 2411.12205: mask, exploration and
       probe rows.

    Examples
    --------
    >>> from sparserec_np import SparseBPR
    >>> from sparserec_np.data import make_interactions
    >>> interactions = make_interactions(60, 50, 900, random_state=0)
    >>> model = SparseBPR(density=0.2, dim=16, epochs=3, random_state=0).fit(interactions)
    >>> ids, scores = model.recommend(7, k=5)
    >>> len(ids)
    5
    """

    losses: ClassVar[tuple[str, ...]] = ("softmax", "bpr")

    by_amount: ClassVar[dict[str, tuple[Any, Any, Any]]] = {"init_scale": (1.0, 1.0, 2.0)}

    # Settings of its own, and those that are never left to the amount of data.
    learning_rate: float
    regularization: float
    epochs: int
    negatives: int
    prune_fraction: float
    teacher_weight: float
    early_stopping: int
    user_share: float
    width: int | None

    def __init__(
        self,
        *,
        density: float = 0.1,
        dim: int = 64,
        loss: str | Loss = "softmax",
        learning_rate: float = 0.1,
        regularization: float = 0.02,
        epochs: int = 15,
        batch_size: int | None = None,
        negatives: int = 64,
        popularity_power: float = 0.0,
        mask_init: str = "nmf",
        init_scale: float | None = None,
        update_every: int | None = None,
        prune_fraction: float = 0.15,
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
        width: int | None = None,
    ) -> None:
        self._store(locals())
