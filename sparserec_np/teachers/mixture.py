"""The teacher `Mixture`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.calibration import calibrate, sample_examples
from sparserec_np.kernels.workers import Workers
from sparserec_np.sampling import NegativeSampler
from sparserec_np.teachers.teacher import N_NEGATIVES, MakeTeacher, Rows, Teacher


class Mixture:
    """Several teachers, heard equally: the mean of their scores, each on the scale of probabilities.

    Parameters
    ----------
    makers : sequence of callables
        Makes each of the teachers.
    user_items : csr_array (n_users, n_items)
        Interactions.
    rng : numpy.random.Generator
    workers : Workers
    """

    def __init__(
        self,
        makers: Sequence[MakeTeacher],
        user_items: sparse.csr_array,
        *,
        rng: np.random.Generator,
        workers: Workers,
    ) -> None:
        sampler = NegativeSampler(user_items, 0.0, int(rng.integers(2**63)), workers)
        examples = sample_examples(user_items, sampler, N_NEGATIVES, rng)
        self._teachers: list[tuple[float, Teacher]] = []
        for make in makers:
            teacher = make(user_items, rng=rng, workers=workers)
            self._teachers.append((calibrate(teacher.scores(*examples)).scale / len(makers), teacher))
        self.leaves_out = all(teacher.leaves_out for _, teacher in self._teachers)

    def scores(self, user_rows: Rows, item_rows: Rows) -> npt.NDArray[np.float32]:
        """Score by the mean of the teachers' logits."""
        total = np.zeros(item_rows.shape, np.float32)
        for scale, teacher in self._teachers:
            total += np.float32(scale) * teacher.scores(user_rows, item_rows)
        return total
