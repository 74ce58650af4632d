"""A fitted estimator as data: what is written to a file, and read from one."""

from __future__ import annotations

import os
from typing import Any, ClassVar, TypeVar

import numpy as np

from sparserec_np import __version__
from sparserec_np.data import Interactions
from sparserec_np.errors import ModelFormatError, NotFittedError, shown
from sparserec_np.models.amounts import AMOUNTS
from sparserec_np.models.estimator import Estimator
from sparserec_np.models.plain import settings_from_plain, settings_to_plain, to_plain
from sparserec_np.runtime import ModelData, Recommender, SeenItems, TableData, save_model
from sparserec_np.runtime.metadata import check_info
from sparserec_np.tables import SparseTable, index_dtype

# Names in ``info`` that every version has written.
_NEEDED = ("estimator", "settings", "n_epochs", "learning_rate", "validation", "baseline")

Fitted = TypeVar("Fitted", bound="Stored")


class Stored(Estimator):
    """What an estimator knows once it is fitted, and the model file that holds it."""

    #: Settings that may be None, and what they then are for each of `AMOUNTS`.
    by_amount: ClassVar[dict[str, tuple[Any, Any, Any]]] = {}

    users_: SparseTable | None
    items_: SparseTable
    amount_: str
    settings_: dict[str, Any]
    history_: list[dict[str, Any]]
    n_epochs_: int
    learning_rate_: float
    validation_: dict[str, Any]
    baseline_: dict[str, Any]
    _data: ModelData
    _recommender: Recommender

    def _model_data(self, data: Interactions) -> ModelData:
        user_items = data.user_items
        return ModelData(
            users=table_data(self.users_) if self.users_ is not None else None,
            items=table_data(self.items_),
            user_ids=data.users,
            item_ids=data.items,
            seen=SeenItems(user_items.indptr, user_items.indices),
            popularity=np.bincount(user_items.indices, minlength=data.n_items).astype(np.int32),
            info=self._info(data),
            **self._extra_model_data(data),
        )

    def _extra_model_data(self, data: Interactions) -> dict[str, Any]:
        """Fields of `ModelData` that only some estimators have."""
        return {}

    def _info(self, data: Interactions) -> dict[str, Any]:
        """How the model came to be; JSON, and the same for the same seed: no times, no thread counts."""
        settings = self.get_params(deep=False)
        if isinstance(settings["random_state"], np.random.Generator):
            # The number that was drawn from it: a fit with that gives the same model.
            settings["random_state"] = self.settings_["random_state"]
        return {
            "estimator": type(self).__name__,
            "settings": settings_to_plain(settings),
            "n_epochs": self.n_epochs_,
            "learning_rate": self.learning_rate_,
            "amount": self.amount_,
            "by_amount": {name: to_plain(self.settings_[name]) for name in self.by_amount},
            "n_interactions": data.n_interactions,
            "validation": self.validation_,
            "baseline": self.baseline_,
            "version": __version__,
        }

    def save(self, path: str | os.PathLike[str], precision: str = "float32") -> None:
        """Write the model to a ``.srec`` file; atomically, so that no half-written file is ever seen.

        Parameters
        ----------
        path : path-like
            Replaced if it exists.
        precision : {"float32", "float16", "int8"}
            Type of the tables' values in the file; see `sparserec_np.runtime.save_model`.
        """
        self._check_fitted()
        save_model(path, self._data, precision)

    @classmethod
    def from_model_data(cls: type[Fitted], data: ModelData) -> Fitted:
        """Make the fitted estimator that a model file describes; it shares the file's arrays.

        Raises
        ------
        ModelFormatError
            If ``data.info`` is not what `save` writes; the message names what is missing or wrong.
        """
        check_info("info", data.info, _NEEDED)
        amount = data.info.get("amount", "many")  # files of earlier versions do not tell
        if amount not in AMOUNTS:
            raise ModelFormatError(f"info.amount is {shown(amount)}; expected one of {', '.join(AMOUNTS)}")
        estimator = cls(**settings_from_plain(cls, data.info["settings"]))
        estimator.users_ = _sparse_table(data.users) if data.users is not None else None
        estimator.items_ = _sparse_table(data.items)
        by_amount = settings_from_plain(cls, data.info.get("by_amount", {}))
        estimator.settings_ = estimator.get_params(deep=False) | by_amount
        estimator.amount_ = amount
        estimator.n_epochs_ = data.info["n_epochs"]
        estimator.learning_rate_ = data.info["learning_rate"]
        estimator.validation_ = data.info["validation"]
        estimator.baseline_ = data.info["baseline"]
        estimator.history_ = []
        estimator._data = data
        estimator._recommender = Recommender(data)
        return estimator

    @property
    def recommender(self) -> Recommender:
        """The NumPy-only recommender of this model, the one that answers on a device."""
        self._check_fitted()
        return self._recommender

    @property
    def width_(self) -> int:
        """Width of the tables."""
        self._check_fitted()
        return int(self.items_.dim)

    @property
    def density_(self) -> float:
        """Stored entries of both tables ÷ all their positions."""
        self._check_fitted()
        return self.nnz_ / ((len(self.recommender.user_ids) + self.items_.n_rows) * self.items_.dim)

    @property
    def nnz_(self) -> int:
        """Stored entries of both tables."""
        self._check_fitted()
        return self.items_.nnz + (self.users_.nnz if self.users_ is not None else 0)

    def _with_settings_alone(self: Fitted) -> Fitted:
        """Return an estimator that is not fitted and shares the settings of this one."""
        other = type(self).__new__(type(self))
        other.__dict__ = {name: value for name, value in self.__dict__.items() if not _is_learnt(name)}
        return other

    def _take_over(self, fitted: Stored) -> None:
        """Replace all that this estimator has learnt by what another one has, in one step."""
        learnt = {name: value for name, value in fitted.__dict__.items() if _is_learnt(name)}
        self.__dict__ = {
            name: value for name, value in self.__dict__.items() if not _is_learnt(name)
        } | learnt

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_recommender")

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(interactions) first"
            )


def _is_learnt(name: str) -> bool:
    """Whether an attribute is a result of fitting: by scikit-learn's convention its name ends in ``_``."""
    return name in ("_data", "_recommender") or (name.endswith("_") and not name.startswith("_"))


def table_data(table: SparseTable) -> TableData:
    """Return a table as a model file holds it; the arrays are shared."""
    return TableData(table.indptr, table.indices, table.data, table.dim)


def _sparse_table(data: TableData) -> SparseTable:
    index: Any = index_dtype(data.n_rows, data.dim, data.nnz)
    return SparseTable(
        np.asarray(data.indptr, dtype=index),
        np.asarray(data.indices, dtype=index),
        np.asarray(data.values),
        data.dim,
    )
