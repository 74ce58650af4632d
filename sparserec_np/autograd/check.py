"""The gradient check: derivative rules held against finite differences.

The method is that of HIPS/autograd's ``check_grads``: along a random direction ``v`` and for a random
weighting ``g`` of the answer, ``⟨v, Jᵀg⟩`` from the tape must be the slope that a central difference
measures. One direction tests all components of a gradient at the price of two evaluations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np.autograd.parameter import Parameter
from sparserec_np.autograd.primitives import multiply, total
from sparserec_np.autograd.tape import Tape, Var
from sparserec_np.errors import GradientError
from sparserec_np.tables import SparseTable, TableGradient

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DirectionalDerivative:
    """The slope along one direction of one argument, found twice.

    Parameters
    ----------
    argument : int
        Which argument was moved, counted from 0.
    by_tape : float
        ``⟨v, Jᵀg⟩``, by the derivative rules.
    by_difference : float
        The central difference.
    """

    argument: int
    by_tape: float
    by_difference: float

    def agrees(self, rtol: float, atol: float) -> bool:
        """Whether both numbers are the same up to the tolerances; never where one is not finite."""
        size = max(abs(self.by_tape), abs(self.by_difference))
        return bool(abs(self.by_tape - self.by_difference) <= atol + rtol * size < np.inf)

    def __str__(self) -> str:
        return (
            f"argument {self.argument}: ⟨v, Jᵀg⟩ is {self.by_tape:.10g}, "
            f"the central difference is {self.by_difference:.10g}"
        )


def check_gradients(
    function: Callable[..., Any],
    *inputs: Any,
    n_directions: int = 3,
    step: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    random_state: int | np.random.Generator = 0,
) -> list[DirectionalDerivative]:
    """Hold the gradients of a function against finite differences.

    Each argument is moved by itself, so that an error is reported as the argument's own. Everything is
    computed in float64, on copies of the inputs.

    Parameters
    ----------
    function : callable
        A primitive, or a function written with primitives. Its answer is a float array of any shape.
    *inputs : float or float array, SparseTable, Parameter, or anything else
        The arguments. Floats, float arrays and tables are differentiated by; of a table the stored entries
        are moved, and the function is given a `Parameter`. All else (row numbers, say) is handed through.
    n_directions : int
        Random directions per argument.
    step : float
        Length of the step to either side, for a direction of standard normal components.
    rtol, atol : float
        How far the two slopes may differ: ``atol + rtol · max(|a|, |b|)``.
    random_state : int or numpy.random.Generator
        Seed of the directions.

    Returns
    -------
    list of DirectionalDerivative
        What was compared, by argument; `print` shows both numbers.

    Raises
    ------
    GradientError
        If the slopes differ, or a gradient has not the shape of its argument. The message has both numbers
        and the number of the argument, counted from 0.

    References
    ----------
    .. [1] D. Maclaurin, D. Duvenaud, R. P. Adams, "Autograd: Effortless Gradients in Numpy", ICML 2015
       AutoML workshop.

    Examples
    --------
    >>> import numpy as np
    >>> from sparserec_np.autograd import check_gradients, exp, total
    >>> compared = check_gradients(lambda x, y: total(exp(x) * y), np.ones(3), np.arange(3.0))
    >>> [derivative.argument for derivative in compared]
    [0, 0, 0, 1, 1, 1]
    """
    rng = np.random.default_rng(random_state)
    values = [_in_float64(value) for value in inputs]
    moving = [i for i, value in enumerate(values) if _is_differentiable(value)]

    tape, variables, answer = _run(function, values, moving)
    weights = rng.standard_normal(np.shape(_plain(answer)))
    gradients: list[Any] = [None] * len(moving)
    if isinstance(answer, Var):
        gradients = tape.backward(total(multiply(answer, weights)), variables)

    compared = []
    for i, gradient in zip(moving, gradients, strict=True):
        flat = _flat_gradient(i, values[i], gradient)
        for _ in range(n_directions):
            direction = rng.standard_normal(flat.size)
            ends = []
            for shift in (step, -step):
                moved = [*values[:i], _moved(values[i], shift * direction), *values[i + 1 :]]
                _, _, end = _run(function, moved, moving)
                ends.append(float(np.sum(weights * _plain(end))))
            slope = (ends[0] - ends[1]) / (2 * step)
            compared.append(DirectionalDerivative(i, float(flat @ direction), slope))
    wrong = [str(derivative) for derivative in compared if not derivative.agrees(rtol, atol)]
    if wrong:
        raise GradientError("gradients disagree with finite differences: " + "; ".join(wrong))
    return compared


def _in_float64(value: Any) -> Any:
    """Copy an argument that is differentiated by; hand through all else."""
    if isinstance(value, SparseTable):
        value = Parameter(value)
    if isinstance(value, Parameter):
        table = value.table
        return Parameter(_with_data(table, table.data.astype(np.float64)), value.workers)
    if isinstance(value, float | np.floating) or (
        isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)
    ):
        return np.array(value, dtype=np.float64)
    return value


def _is_differentiable(value: Any) -> bool:
    return isinstance(value, Parameter) or (isinstance(value, np.ndarray) and value.dtype == np.float64)


def _with_data(table: SparseTable, data: Array) -> SparseTable:
    return SparseTable(table.indptr, table.indices, data, table.dim)


def _moved(value: Any, shift: Array) -> Any:
    if isinstance(value, Parameter):
        return Parameter(_with_data(value.table, value.table.data + shift), value.workers)
    return value + shift.reshape(value.shape)


def _run(function: Callable[..., Any], values: list[Any], moving: list[int]) -> tuple[Tape, list[Var], Any]:
    """Call the function on a new tape."""
    tape = Tape()
    arguments = list(values)
    for i in moving:
        arguments[i] = tape.variable(values[i])
    return tape, [arguments[i] for i in moving], function(*arguments)


def _plain(answer: Any) -> Any:
    return answer.value if isinstance(answer, Var) else answer


def _flat_gradient(argument: int, value: Any, gradient: Any) -> Array:
    """Flatten a gradient: one number for each that the argument consists of."""
    if isinstance(value, Parameter):
        flat = np.zeros(value.table.nnz)
        if isinstance(gradient, TableGradient):
            flat[gradient.entries(value.table)] = gradient.values
        return flat
    if gradient is None:
        return np.zeros(value.size)
    if np.shape(gradient) != value.shape:
        raise GradientError(
            f"argument {argument}: the gradient has shape {np.shape(gradient)}, the argument {value.shape}"
        )
    return np.asarray(gradient, dtype=np.float64).reshape(-1)
