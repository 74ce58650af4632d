"""Optimizers whose state is as sparse as the table: one number per stored entry, nothing per row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd import Parameter
from sparserec_np.kernels.updates import AdagradRule, AdamRule, SGDRule, step
from sparserec_np.tables import TableGradient, unsigned


class Optimizer:
    """Updates the touched rows of one table.

    Parameters
    ----------
    parameter : Parameter
        The table to update.
    learning_rate : float
        Step size.
    regularization : float
        L2 penalty per example: a row is charged ``regularization / 2 · ‖row‖²`` each time it occurs.
    """

    # (name, initial value) of the arrays that follow the table's entries.
    _slots: tuple[tuple[str, float], ...] = ()
    _rule: Any = None

    def __init__(self, parameter: Parameter, learning_rate: float, regularization: float = 0.0) -> None:
        self.parameter = parameter
        self.learning_rate = learning_rate
        self.regularization = regularization
        table = parameter.table
        self.state: dict[str, npt.NDArray[Any]] = {
            name: np.full(table.nnz, start, dtype=table.data.dtype) for name, start in self._slots
        }

    def _constants(self) -> tuple[float, ...]:
        return ()

    @property
    def rule(self) -> Any:
        """What kernels move an entry by; see ``sparserec_np.kernels.updates``."""
        real = self.parameter.table.data.dtype.type
        return self._rule(real(self.learning_rate), *self.state.values(), *map(real, self._constants()))

    @property
    def l2(self) -> Any:
        """The penalty, a number of the table's type."""
        return self.parameter.table.data.dtype.type(self.regularization)

    def step(self, gradient: TableGradient) -> None:
        """Move the stored entries of the touched rows down the gradient, in place."""
        table = self.parameter.table
        self.parameter.workers.run(
            step,
            len(gradient.rows),
            gradient.rows,
            gradient.counts,
            unsigned(table.indptr),
            table.data,
            gradient.starts,
            gradient.values,
            self.l2,
            self.rule,
        )

    def follow(self, carry: Callable[[npt.NDArray[Any], float], None]) -> None:
        """Let the state follow its entries into a new pattern; new entries get fresh state.

        Parameters
        ----------
        carry : callable
            ``carry(array, start)`` moves what an array has for each entry, in place, and gives new entries
            ``start``.
        """
        for name, start in self._slots:
            carry(self.state[name], start)


class SGD(Optimizer):
    """Plain stochastic gradient descent."""

    _rule = SGDRule


# What the sums of squares begin with. From 0 an entry's first step would have the length of the learning
# rate whatever its gradient is, and so undo some of a good start, and of what growing has chosen.
_FIRST_SQUARES = 0.1


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan & Singer 2011): rare entries keep a large step."""

    _slots = (("squares", _FIRST_SQUARES),)
    _rule = AdagradRule

    def _constants(self) -> tuple[float, ...]:
        return (1e-8,)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015), lazy: moments and step counts of untouched entries stand still."""

    _slots = (("first", 0.0), ("second", 0.0), ("steps", 0.0))
    _rule = AdamRule

    def _constants(self) -> tuple[float, ...]:
        return (0.9, 0.999, 1e-8)


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adagrad": Adagrad, "adam": Adam}
