"""The settings that the estimators share: their ranges, and the docstring that explains them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from sparserec_np.errors import SettingError
from sparserec_np.exploration import MASKS
from sparserec_np.kernels.workers import check_n_jobs
from sparserec_np.losses import squared
from sparserec_np.models.estimator import Estimator
from sparserec_np.models.plain import LeftOut, how_to_mend
from sparserec_np.optim import OPTIMIZERS
from sparserec_np.teachers import AUTO_TEACHER, NO_TEACHER, TEACHERS

GROW_BY = ("accumulated", "last_batch", "none")

_SETTINGS_DOC = """\
    density : float
        Share of the entries of both tables that exist, above 0 and at most 1.
    dim : int
        Width of the tables.
    loss : {losses}
        What is minimised. In Python it may be a function of a batch's scores and weights, too; see
        sparserec_np.losses.
    learning_rate : float
        Step size of the optimizer.
    regularization : float
        L2 penalty per example, on the rows that it touches.
    epochs : int
        Passes through the interactions, at most.
    batch_size : int or None
        Interactions per step; None for a 64th of all, or with one negative a 32nd, but 1024 to 8192; with
        one or none to as many as have a million stored entries in as many rows.
    negatives : int
        Sampled items that a user has not interacted with, per interaction.
    popularity_power : float
        Negatives are drawn in proportion to popularity to this power; 0 is uniform.
    mask_init : {{"nmf", "spectral", "random"}}
        Which entries exist at first: the strongest of a nonnegative factorization or of rotated singular
        vectors, or random ones. The singular vectors are what the teacher "spectral" ranks by, rotated to be
        sparse: with both, the student starts from its teacher's factors.
    init_scale : float
        {init_scale}
    update_every : int or None
        Steps from one exploration (prune and grow) to the next; None for once an epoch.
    prune_fraction : float
        Share of the stored entries that an exploration replaces at first; it falls to 0 along a cosine.
    grow_by : {{"accumulated", "last_batch", "none"}}
        Gradient by which inactive entries are chosen to grow: that of all steps from one exploration to the
        next, or of the last one; none leaves the mask as it is.
    probe_fraction : float
        Share of the rows whose inactive entries are judged, sampled anew for every interval.
    optimizer : {{"adagrad", "adam", "sgd"}}
        Optimizer; its state is as sparse as the tables.
    teacher : {{"none", "auto", "spectral", "ease", "als", "als+ease"}}, estimator or None
        Larger model that guides the training, at no cost in the file: spectral, up to 512 singular vectors of
        the normalised interactions; ease, a weight for each pair of at most 10,000 items; als, dense factors
        by alternating least squares; als+ease, the mean of the two; auto, that where it takes seconds, else
        spectral. In Python it may be another estimator, of which a copy is fitted, or a function; see
        sparserec_np.teachers. It learns from what the student is trained on alone, never from what is held
        out.
    teacher_weight : float
        Weight of the divergence from the teacher's probabilities beside the loss.
    teacher_temperature : float
        Temperature of both softmaxes in it; at 1 the teacher is as sure as it should be, above it is less.
    early_stopping : int
        Epochs without improvement on held-out interactions until training stops; 0 for no validation.
    validation_fraction : float
        Share of a user's interactions held out for early stopping.
    refit : bool
        Whether to train again on all interactions, for as many epochs as were best on the held-out part.
"""

#: The numpydoc entries of the settings that say how to run, not what to learn; all estimators have them.
RUN_DOC = """\
    random_state : int, numpy.random.Generator or None
        Seed: the same one gives the same model, bit for bit, whatever the number of threads, on one machine
        with one set of library versions. On another processor, or with another BLAS, numbers are added in
        another order and rounded differently; the model is then another one, as good as this.
    n_jobs : int or None
        Threads; None for one per core.
    verbose : bool
        Whether to print a line per epoch to standard error."""

#: The numpydoc entry of a setting that only estimators with a user table have.
USER_SHARE_DOC = """\
    user_share : float
        Share of the stored entries that the user table gets, above 0 and below 1; what a table has no room
        for goes to the other one."""


@dataclass(frozen=True)
class _Range:
    """The numbers that a setting may be."""

    kind: Any
    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    optional: bool = False

    def accepts(self, value: Any) -> bool:
        if value is None:
            return self.optional
        if isinstance(value, bool) or not isinstance(value, self.kind) or not math.isfinite(value):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        text = "an integer" if self.kind is Integral else "a number"
        text += f" {'above' if self.open_low else 'of at least'} {self.low:g}"
        if self.high < math.inf:
            text += f" and {'below' if self.open_high else 'at most'} {self.high:g}"
        return text + (", or None" if self.optional else "")


_RANGES = {
    "density": _Range(Real, 0, 1, open_low=True),
    "dim": _Range(Integral, 1, 65536),
    "learning_rate": _Range(Real, 0, open_low=True),
    "regularization": _Range(Real, 0),
    "epochs": _Range(Integral, 1),
    "batch_size": _Range(Integral, 1, optional=True),
    "negatives": _Range(Integral, 0),
    "popularity_power": _Range(Real, 0),
    "init_scale": _Range(Real, 0, open_low=True),
    "update_every": _Range(Integral, 1, optional=True),
    "prune_fraction": _Range(Real, 0, 1),
    "probe_fraction": _Range(Real, 0, 1, open_low=True),
    "teacher_weight": _Range(Real, 0, open_low=True),
    "teacher_temperature": _Range(Real, 0, open_low=True),
    "early_stopping": _Range(Integral, 0),
    "user_share": _Range(Real, 0, 1, open_low=True, open_high=True),
    "width": _Range(Integral, 1, 65536, optional=True),
    "item_power": _Range(Real, 0),
    "length_power": _Range(Real, 0),
    "history_dropout": _Range(Real, 0, 1, open_high=True),
    "penalty": _Range(Real, 0, open_low=True, optional=True),
    "target_power": _Range(Real, 0, optional=True),
    "unobserved": _Range(Real, 0, open_low=True, optional=True),
    "validation_fraction": _Range(Real, 0, 1, open_low=True, open_high=True),
}
_CHOICES = {
    "mask_init": tuple(MASKS),
    "grow_by": GROW_BY,
    "optimizer": tuple(OPTIMIZERS),
    "refit": (True, False),
    "verbose": (True, False),
    "neighbours": (True, False),
}
# Losses that compare a positive with negatives.
_NEED_NEGATIVES = ("bpr", "softmax", "logistic")


def settings_doc(losses: str, init_scale: str = "Root mean square length of the rows at first.") -> str:
    """Write the numpydoc entries of the shared settings, with what differs between estimators."""
    return _SETTINGS_DOC.format(losses=losses, init_scale=init_scale) + RUN_DOC


def check_settings(settings: dict[str, Any], losses: tuple[str, ...]) -> None:
    """Check every setting.

    Parameters
    ----------
    settings : dict
        By name.
    losses : tuple of str
        Named losses that the estimator takes.

    Raises
    ------
    SettingError
        For the first one out of its range, or for two that contradict each other.
    """
    for name, allowed in _RANGES.items():
        if name in settings and not allowed.accepts(settings[name]):
            raise SettingError(f"{name} is {settings[name]!r}; expected {allowed}")
    for name, choices in _CHOICES.items():
        if name in settings and settings[name] not in choices:
            raise SettingError(
                f"{name} is {settings[name]!r}; expected one of {', '.join(map(str, choices))}"
            )
    loss, n_jobs = settings["loss"], settings["n_jobs"]
    if isinstance(loss, LeftOut) or (not callable(loss) and loss not in losses):
        raise SettingError(
            f"loss is {loss!r}; expected one of {', '.join(losses)}, or a function{how_to_mend('loss', loss)}"
        )
    check_n_jobs(n_jobs)
    if loss in _NEED_NEGATIVES and settings.get("negatives") == 0:
        raise SettingError(f"negatives is 0; expected at least 1, since the loss {loss!r} compares with them")
    teacher = settings.get("teacher")
    if isinstance(teacher, LeftOut) or teacher not in (None, NO_TEACHER):
        _check_teacher(settings)


def _check_teacher(settings: dict[str, Any]) -> None:
    teacher = settings["teacher"]
    if isinstance(teacher, str):
        known = not isinstance(teacher, LeftOut) and teacher in (*TEACHERS, AUTO_TEACHER)
    else:
        # A class is callable, too, but fits nothing when it is called.
        known = isinstance(teacher, Estimator) or (
            callable(teacher) and not (isinstance(teacher, type) and issubclass(teacher, Estimator))
        )
    if not known:
        raise SettingError(
            f"teacher is {teacher!r}; expected {', '.join(TEACHERS)}, {AUTO_TEACHER}, {NO_TEACHER}, an "
            "estimator such as SparseGraph(density=1), a function that makes a teacher, or None"
            f"{how_to_mend('teacher', teacher)}"
        )
    if isinstance(teacher, Estimator):
        _check_nothing_left_out(teacher)
    if isinstance(teacher, Estimator) and getattr(teacher, "loss", None) == "squared":
        raise SettingError(f"teacher is {teacher!r}; expected a model that ranks, this one predicts ratings")
    if settings["loss"] in ("squared", squared):
        raise SettingError(
            f"teacher is {teacher!r}; expected None with the loss 'squared', which compares no items"
        )
    if settings.get("negatives") == 0:
        raise SettingError(
            "negatives is 0; expected at least 1, since a teacher tells them from the positive"
        )


def _check_nothing_left_out(teacher: Estimator) -> None:
    """Refuse a teacher, or a teacher's teacher, of which a model file could not hold everything."""
    for name, value in teacher.get_params().items():
        if isinstance(value, LeftOut):
            raise SettingError(
                f"teacher is {teacher!r}; expected an estimator whose {name} is known"
                f"{how_to_mend('teacher', value)}"
            )
        if isinstance(value, Estimator):
            _check_nothing_left_out(value)
