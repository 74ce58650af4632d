"""The tape: what was computed, in order, and the walk back over it.

A `Primitive` is a forward function with one vector-Jacobian product (vjp) per differentiable argument. It
is called like the plain function: on plain arrays it computes; where an argument is a `Var` it computes and
leaves a record on that variable's tape. Records are made in topological order, so the backward pass is one
loop over them from the last to the first and no graph is ever searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

Vjp = Callable[..., Any]


class Var:
    """A value on a tape: the result of a primitive, or an input to differentiate by.

    Arithmetic operators are defined by ``sparserec_np.autograd.primitives``.
    """

    __slots__ = ("index", "tape", "value")
    # NumPy hands ``array + var`` to Var.__radd__ instead of spreading over the array's elements.
    __array_ufunc__ = None

    def __init__(self, value: Any, tape: Tape, index: int) -> None:
        self.value = value
        self.tape = tape
        self.index = index

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return np.shape(self.value)

    def __repr__(self) -> str:
        return f"Var({self.value!r})"

    if TYPE_CHECKING:

        def __add__(self, other: Any) -> Var: ...
        def __radd__(self, other: Any) -> Var: ...
        def __sub__(self, other: Any) -> Var: ...
        def __rsub__(self, other: Any) -> Var: ...
        def __mul__(self, other: Any) -> Var: ...
        def __rmul__(self, other: Any) -> Var: ...
        def __truediv__(self, other: Any) -> Var: ...
        def __rtruediv__(self, other: Any) -> Var: ...
        def __neg__(self) -> Var: ...
        def __pow__(self, exponent: float) -> Var: ...
        def __getitem__(self, index: Any) -> Var: ...


@dataclass(frozen=True)
class _Record:
    """One call, in plain values: no reference leads back to the tape, so it is freed when it goes."""

    primitive: Primitive
    values: tuple[Any, ...]
    kwargs: dict[str, Any]
    sources: tuple[int | None, ...]  # where the arguments stand on the tape, None for constants
    answer: Any
    index: int  # where the answer stands


class Tape:
    """Records calls of primitives on its variables and differentiates a scalar by them."""

    def __init__(self) -> None:
        self._n_vars = 0
        self._records: list[_Record] = []

    def variable(self, value: Any) -> Var:
        """Put an input on the tape: a float array, or a table to differentiate by."""
        var = Var(value, self, self._n_vars)
        self._n_vars += 1
        return var

    def record(self, primitive: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> Var:
        """Note that ``primitive(*args, **kwargs)`` gave ``answer``."""
        var = self.variable(_value_of(answer))
        values = tuple(_value(arg) for arg in args)
        sources = tuple(arg.index if isinstance(arg, Var) else None for arg in args)
        self._records.append(_Record(primitive, values, kwargs, sources, answer, var.index))
        return var

    def backward(self, loss: Var, inputs: list[Var]) -> list[Any]:
        """Gradients of a scalar by some inputs.

        Parameters
        ----------
        loss : Var
            A scalar of this tape.
        inputs : list of Var
            Variables of this tape.

        Returns
        -------
        list
            For each input an array of its shape, a `TableGradient` where the input is a table, or None
            where ``loss`` does not depend on it.

        Raises
        ------
        ValueError
            If ``loss`` is not a scalar, or a variable belongs to another tape.
        TypeError
            If ``loss`` is a plain value, or a variable stands where a primitive has no vjp.

        Notes
        -----
        Returned arrays may share memory with each other and may be read-only; copy before writing.
        """
        if not isinstance(loss, Var):
            raise TypeError(
                f"the loss is {type(loss).__name__}; it does not depend on a variable of this tape"
            )
        if np.shape(loss.value) != ():
            raise ValueError(
                f"backward needs a scalar, found shape {np.shape(loss.value)}; "
                "reduce the loss with total() or mean()"
            )
        if any(var.tape is not self for var in (loss, *inputs)):
            raise ValueError("backward was given a variable of another tape")
        gradients: list[Any] = [None] * self._n_vars
        gradients[loss.index] = np.ones_like(loss.value)
        wanted = {var.index for var in inputs}
        for record in reversed(self._records):
            g = gradients[record.index]
            if g is None:
                continue
            if record.index not in wanted:
                gradients[record.index] = None  # no longer needed: release the memory
            for source, vjp in zip(record.sources, record.primitive.vjps, strict=False):
                if source is None:
                    continue
                if vjp is None:
                    raise TypeError(f"{record.primitive.name} has no vjp for one of its variables")
                part = vjp(g, record.answer, *record.values, **record.kwargs)
                known = gradients[source]
                gradients[source] = part if known is None else known + part
        return [gradients[var.index] for var in inputs]


@dataclass(frozen=True)
class Kept:
    """What a forward computation returns that found more than the value: the vjps get all of it.

    Parameters
    ----------
    value : Any
        What the caller of the primitive gets.
    extra : Any
        What the vjps would have to find again.
    """

    value: Any
    extra: Any


class Primitive:
    """A differentiable function: the forward computation and a vjp for each argument.

    Parameters
    ----------
    name : str
        Shown in errors.
    forward : callable
        ``forward(*values, **kwargs) -> answer``, the value or a `Kept`.
    *vjps : callable or None
        The ``i``-th is called as ``vjp(g, answer, *values, **kwargs)`` and returns the gradient by the
        ``i``-th argument, given the gradient ``g`` by the answer. None where an argument cannot be
        differentiated by (row numbers, say).
    """

    def __init__(self, name: str, forward: Callable[..., Any], *vjps: Vjp | None) -> None:
        self.name = name
        self.forward = forward
        self.vjps = vjps

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute, and record the call on the tape of the variables among the arguments."""
        answer = self.forward(*[_value(arg) for arg in args], **kwargs)
        tapes = {id(arg.tape): arg.tape for arg in args if isinstance(arg, Var)}
        if not tapes:
            return _value_of(answer)
        if len(tapes) > 1:
            raise ValueError(f"{self.name} was given variables of different tapes")
        (tape,) = tapes.values()
        return tape.record(self, args, kwargs, answer)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _value(arg: Any) -> Any:
    return arg.value if isinstance(arg, Var) else arg


def _value_of(answer: Any) -> Any:
    return answer.value if isinstance(answer, Kept) else answer
