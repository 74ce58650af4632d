"""What a method of the quality benchmark has learnt: how large it is, how well it ranks, by precision.

Every class has ``nnz``, the numbers that it stores; ``precisions``, the ways in which they can be stored; and
``n_bytes(precision)`` and ``evaluate(precision, train, test)`` for each.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from common import as_csr, embedding_bytes, rounded
from numpy.typing import NDArray
from scipy import sparse
from scores import evaluate_scores

from sparserec_np import metrics
from sparserec_np.batch import added_by
from sparserec_np.runtime import ModelData, Recommender, save_model

Metrics = dict[str, float]


class Fitted(Protocol):
    """What the benchmark asks of a fitted method."""

    nnz: int
    precisions: tuple[str, ...]

    def n_bytes(self, precision: str) -> int:
        """Count what has to be kept to rank: no ids, no histories."""

    def evaluate(self, precision: str, train: Any, test: Any) -> Metrics:
        """Metrics on the CSR array ``test``; what stands in ``train`` is no candidate."""


class SparseModel:
    """A model of this library, as it comes back from its file: the bytes are those of the tables there."""

    def __init__(self, data: ModelData, precisions: tuple[str, ...] = ("float32", "int8")) -> None:
        self.precisions = precisions
        self.nnz = data.items.nnz + (data.users.nnz if data.users is not None else 0)
        self._folder = tempfile.TemporaryDirectory()
        for precision in self.precisions:
            save_model(self._path(precision), data, precision)

    def _path(self, precision: str) -> Path:
        return Path(self._folder.name) / precision

    def n_bytes(self, precision: str) -> int:
        """Count patterns, values and scales of both tables."""
        return embedding_bytes(self._path(precision))

    def evaluate(self, precision: str, train: Any, test: Any) -> Metrics:
        """Rank as the runtime does."""
        recommender = Recommender.load(self._path(precision))
        data = recommender.data

        def represent(rows: NDArray[np.int64]) -> sparse.csr_array:
            return sparse.csr_array(recommender.user_vectors(rows))

        users = as_csr(data.users) if data.users is not None else represent
        return metrics.evaluate(
            users, as_csr(data.items), train, test, item_bias=data.item_bias, added=added_by(data)
        )


class DenseFactors:
    """Dense rows of users and items; a scale of four bytes per row with int8."""

    precisions: tuple[str, ...] = ("float32", "int8")

    def __init__(self, users: NDArray[np.float32], items: NDArray[np.float32]) -> None:
        self._tables = users, items
        self.nnz = users.size + items.size

    def n_bytes(self, precision: str) -> int:
        """Count all values, and the scales."""
        n_scales = sum(map(len, self._tables)) if precision == "int8" else 0
        return self.nnz * {"float32": 4, "int8": 1}[precision] + 4 * n_scales

    def evaluate(self, precision: str, train: Any, test: Any) -> Metrics:
        """Rank by dot products of the rounded rows."""
        users, items = (rounded(table, precision) for table in self._tables)
        return evaluate_scores(lambda rows: users[rows] @ items.T, train, test)


class ItemSimilarities:
    """Scores are sums over the history of rows of an item × item matrix, dense or CSR."""

    precisions: tuple[str, ...] = ("float32",)

    def __init__(self, similarities: Any) -> None:
        self._similarities = similarities
        self.nnz = similarities.nnz if hasattr(similarities, "nnz") else similarities.size

    def n_bytes(self, precision: str) -> int:
        """Count the values, and where they stand if not everywhere."""
        found = self._similarities
        if isinstance(found, np.ndarray):
            return found.nbytes
        return sum(array.nbytes for array in (found.data, found.indices, found.indptr))

    def evaluate(self, precision: str, train: Any, test: Any) -> Metrics:
        """Rank by the sums."""

        def score(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            scores = train[rows] @ self._similarities
            return np.asarray(scores if isinstance(scores, np.ndarray) else scores.toarray(), np.float32)

        return evaluate_scores(score, train, test)


class SparseAutoencoder:
    """Scores are a history times two sparse matrices, one after the other."""

    precisions: tuple[str, ...] = ("float32",)

    def __init__(self, encoder: sparse.csr_array, decoder: sparse.csr_array) -> None:
        self._encoder, self._decoder = encoder, decoder
        self.nnz = encoder.nnz + decoder.nnz

    def n_bytes(self, precision: str) -> int:
        """Count the values and where they stand."""
        both = self._encoder, self._decoder
        return sum(array.nbytes for found in both for array in (found.data, found.indices, found.indptr))

    def evaluate(self, precision: str, train: Any, test: Any) -> Metrics:
        """Rank by the products."""

        def score(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            return np.asarray((train[rows] @ self._encoder @ self._decoder).toarray(), np.float32)

        return evaluate_scores(score, train, test)


class Popularity:
    """The same list for everybody."""

    precisions: tuple[str, ...] = ("float32",)

    def __init__(self, popularity: NDArray[Any]) -> None:
        self._popularity = popularity
        self.nnz = len(popularity)

    def n_bytes(self, precision: str) -> int:
        """Count four for each item."""
        return 4 * len(self._popularity)

    def evaluate(self, precision: str, train: Any, test: Any) -> Metrics:
        """Rank by popularity."""
        return metrics.evaluate_popularity(self._popularity, train, test)
