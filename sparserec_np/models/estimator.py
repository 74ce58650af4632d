"""Scikit-learn's conventions for estimators, without its import, which would be most of a start-up."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

Self = TypeVar("Self", bound="Estimator")  # typing has it from Python 3.11 on


class Estimator:
    """What `sklearn.base.BaseEstimator` gives an estimator: parameters by name, and a text.

    ``__init__`` keeps its arguments under their names and does nothing else; ``clone`` and whatever else of
    scikit-learn goes by ``get_params`` then works.
    """

    if TYPE_CHECKING:
        # Each estimator has settings of its own.
        def __init__(self, **settings: Any) -> None: ...

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return sorted(inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name.

        Parameters
        ----------
        deep : bool
            Of no effect: the settings of an estimator that is a setting, a teacher, are its own.
        """
        return {name: getattr(self, name) for name in self._get_param_names()}

    def set_params(self: Self, **params: Any) -> Self:
        """Change settings by name.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a name that is no setting.
        """
        known = self._get_param_names()
        for name in params:
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self!r}. Valid parameters are: {known!r}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Name the settings that differ from their defaults."""
        defaults = inspect.signature(type(self)).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(sparse=True, positive_only=True),
        )
