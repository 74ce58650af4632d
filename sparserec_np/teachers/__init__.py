"""Teachers: models that are too large for a device, and that a sparse one learns from while it is trained.

A teacher scores the items of a batch for the users of the training data. It lives on the training machine
alone: nothing of it is in the student's file. `sparserec_np.distillation` makes a loss of its scores.
"""

from __future__ import annotations

import functools

from sparserec_np.teachers.als import AlsTeacher
from sparserec_np.teachers.ease import EASE_LIMIT, EaseTeacher
from sparserec_np.teachers.mixture import Mixture
from sparserec_np.teachers.spectral import SpectralTeacher
from sparserec_np.teachers.tables import TableTeacher
from sparserec_np.teachers.teacher import MakeTeacher, Teacher

TEACHERS: dict[str, MakeTeacher] = {
    "spectral": SpectralTeacher,
    "ease": EaseTeacher,
    "als": AlsTeacher,
    "als+ease": functools.partial(Mixture, (AlsTeacher, EaseTeacher)),
}
"""Teachers by the name that the setting ``teacher`` has for them."""
NO_TEACHER = "none"
"""What the setting says where there is to be none, even where the amount of data speaks for one."""

AUTO_TEACHER = "auto"
"""What the setting says where the number of items is to decide; see `affordable_teacher`."""

# Items up to which EASE takes seconds: its time grows with their cube.
_QUICK_EASE = 4000


def affordable_teacher(n_items: int) -> str:
    """Name the best of `TEACHERS` that takes seconds: als+ease for a small catalogue, else spectral."""
    return "als+ease" if n_items <= _QUICK_EASE else "spectral"


__all__ = [
    "AUTO_TEACHER",
    "EASE_LIMIT",
    "NO_TEACHER",
    "TEACHERS",
    "AlsTeacher",
    "EaseTeacher",
    "MakeTeacher",
    "Mixture",
    "SpectralTeacher",
    "TableTeacher",
    "Teacher",
    "affordable_teacher",
]
