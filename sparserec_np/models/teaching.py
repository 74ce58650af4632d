"""From the setting ``teacher`` to what is distilled from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparserec_np.data import Interactions
from sparserec_np.distillation import Distillation
from sparserec_np.kernels.workers import Workers
from sparserec_np.models.estimator import Estimator
from sparserec_np.sampling import NegativeSampler
from sparserec_np.teachers import NO_TEACHER, TEACHERS, TableTeacher, Teacher


def make_distillation(
    settings: dict[str, Any], train: Interactions, seed: np.random.SeedSequence, workers: Workers
) -> Distillation | None:
    """Fit the teacher to what the student is trained on, and to nothing else; None where there is none.

    Parameters
    ----------
    settings : dict
        The student's, by name.
    train : Interactions
        Without what is held out.
    seed : numpy.random.SeedSequence
        Everything random of the teacher follows from it.
    workers : Workers
    """
    # Without negatives there is nothing to tell from the positive; who asked for a teacher was told.
    if settings["teacher"] in (None, NO_TEACHER) or not settings["negatives"]:
        return None
    rng = np.random.default_rng(seed)
    teacher = _fitted(settings["teacher"], train, rng, workers)
    user_items = train.user_items
    sampler = NegativeSampler(user_items, settings["popularity_power"], int(rng.integers(2**63)), workers)
    return Distillation.calibrated(
        teacher,
        user_items,
        sampler,
        settings["negatives"],
        rng,
        settings["teacher_weight"],
        settings["teacher_temperature"],
    )


def _fitted(teacher: Any, train: Interactions, rng: np.random.Generator, workers: Workers) -> Teacher:
    if not isinstance(teacher, Estimator):
        make = TEACHERS[teacher] if isinstance(teacher, str) else teacher
        return make(train.user_items, rng=rng, workers=workers)
    # A copy: the given one may be fitted, to interactions that the student's validation must not know of.
    seed = int(rng.integers(2**31))
    copy: Any = type(teacher)(**teacher.get_params())
    copy.set_params(n_jobs=workers.n_jobs, verbose=False)
    if copy.random_state is None:
        copy.set_params(random_state=seed)
    copy.fit(train)
    return TableTeacher(copy._scorer(train), copy.users_, copy.items_, workers)
