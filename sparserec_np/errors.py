"""Every exception that sparserec_np raises on purpose.

Standard library only, so that the NumPy-only runtime can use it. Each message says what was wrong,
what was found, what was expected and how to mend it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

# Characters of a value that a message shows.
_LONGEST = 60


class SparserecError(Exception):
    """Base of all errors that sparserec_np raises on purpose."""


class DataError(SparserecError, ValueError):
    """Interactions that cannot be used: a broken file, impossible arrays, the wrong matrix."""


class SettingError(SparserecError, ValueError):
    """A setting out of its range, or two that contradict each other."""


class NotFittedError(SparserecError, ValueError, AttributeError):
    """An estimator was asked for an answer before ``fit``.

    Where scikit-learn has been imported it is a `sklearn.exceptions.NotFittedError`, too: what a program
    catches under that name must have been imported by it. scikit-learn is not imported for that.
    """

    def __new__(cls, *args: object) -> NotFittedError:  # noqa: D102
        theirs = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", None)
        if cls is NotFittedError and theirs is not None:
            return _derived_from_both(theirs)(*args)
        return super().__new__(cls, *args)

    def __reduce__(self) -> Any:
        # By the public name: whoever unpickles it may have imported scikit-learn or not.
        return NotFittedError, self.args


@cache
def _derived_from_both(theirs: type[Exception]) -> type[NotFittedError]:
    """Make the class of a `NotFittedError` that is scikit-learn's as well."""
    names = {"__doc__": NotFittedError.__doc__, "__module__": __name__}
    return type("NotFittedError", (NotFittedError, theirs), names)


class ModelFormatError(SparserecError, ValueError):
    """A model file that breaks its own format: truncated, foreign or damaged."""


class GradientError(SparserecError, AssertionError):
    """A derivative rule that finite differences contradict."""


class UnknownIdError(SparserecError, KeyError):
    """A user or item id that the model does not know.

    Parameters
    ----------
    kind : str
        ``"user"`` or ``"item"``.
    id : int or str
        The id that was asked for.
    closest : sequence of (int or str)
        Known ids that look most like it, best first; may be empty.
    """

    def __init__(self, kind: str, id: int | str, closest: Sequence[int | str] = ()) -> None:
        self.kind = kind
        self.id = id
        self.closest = list(closest)
        super().__init__(kind, id, self.closest)

    def __str__(self) -> str:
        hint = f"; the closest known: {', '.join(map(_plain, self.closest))}" if self.closest else ""
        return f"unknown {self.kind} {shown(self.id)}{hint}"


def shown(value: object) -> str:
    """Show a value in a message, however long or strange it is."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write out integers of thousands of digits
        return "an integer of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _plain(id: int | str) -> str:
    """Show an id without quotes where that is safe: a terminal obeys control characters."""
    text = str(id)
    return text if text.isprintable() and text.strip() == text != "" and len(text) <= _LONGEST else shown(id)


class MissingPackageError(SparserecError, ImportError):
    """An optional feature whose packages are not installed.

    Parameters
    ----------
    feature : str
        What was asked for.
    requirement : str
        What pip is to install for it, such as ``"numba"`` or ``"sparserec-np[plot]"``.
    """

    def __init__(self, feature: str, requirement: str) -> None:
        self.feature = feature
        self.requirement = requirement
        super().__init__(f"{feature} needs a package that is not installed; run: pip install '{requirement}'")

    def __reduce__(self) -> Any:
        return MissingPackageError, (self.feature, self.requirement)
