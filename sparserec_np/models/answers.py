"""What the estimators answer with: the recommender that a device has, under their own names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from sparserec_np.batch import Recommendations, recommend_all
from sparserec_np.runtime import Recommender, TopK
from sparserec_np.runtime.ids import Id
from sparserec_np.runtime.recommender import Batch


class Answers:
    """Questions that a fitted estimator hands to its recommender."""

    if TYPE_CHECKING:
        n_jobs: int | None

        @property
        def recommender(self) -> Recommender: ...  # noqa: D102

    @overload
    def recommend(
        self,
        user: Id,
        k: int = 10,
        filter_seen: bool = True,
        exclude: Iterable[Id] | None = None,
        candidates: Iterable[Id] | None = None,
    ) -> TopK: ...

    @overload
    def recommend(
        self,
        user: Batch,
        k: int = 10,
        filter_seen: bool = True,
        exclude: Iterable[Id] | None = None,
        candidates: Iterable[Id] | None = None,
    ) -> list[TopK]: ...

    def recommend(
        self,
        user: Id | Batch,
        k: int = 10,
        filter_seen: bool = True,
        exclude: Iterable[Id] | None = None,
        candidates: Iterable[Id] | None = None,
    ) -> TopK | list[TopK]:
        """Best items for a user, or a list of answers for several; see `Recommender.recommend`."""
        return self.recommender.recommend(
            user, k=k, filter_seen=filter_seen, exclude=exclude, candidates=candidates
        )

    def recommend_all(
        self,
        k: int = 10,
        *,
        users: Any = None,
        filter_seen: bool = True,
        exclude: Iterable[Id] | None = None,
        candidates: Iterable[Id] | None = None,
    ) -> Iterator[Recommendations]:
        """Best items for all users, a block of users at a time; see `sparserec_np.batch.recommend_all`."""
        return recommend_all(
            self.recommender.data,
            k,
            users=users,
            filter_seen=filter_seen,
            exclude=exclude,
            candidates=candidates,
            n_jobs=self.n_jobs,
        )

    def recommend_from_history(
        self,
        history: Iterable[Id],
        k: int = 10,
        *,
        weights: Iterable[float] | None = None,
        filter_seen: bool = True,
        exclude: Iterable[Id] | None = None,
        candidates: Iterable[Id] | None = None,
    ) -> TopK:
        """Best items for a person the model never saw, from the items they chose."""
        return self.recommender.recommend(
            history=history,
            weights=weights,
            k=k,
            filter_seen=filter_seen,
            exclude=exclude,
            candidates=candidates,
        )

    @overload
    def similar_items(self, item: Id, k: int = 10) -> TopK: ...

    @overload
    def similar_items(self, item: Batch, k: int = 10) -> list[TopK]: ...

    def similar_items(self, item: Id | Batch, k: int = 10) -> TopK | list[TopK]:
        """Items whose rows point most nearly the same way; see `Recommender.similar_items`."""
        return self.recommender.similar_items(item, k)

    @overload
    def similar_users(self, user: Id, k: int = 10) -> TopK: ...

    @overload
    def similar_users(self, user: Batch, k: int = 10) -> list[TopK]: ...

    def similar_users(self, user: Id | Batch, k: int = 10) -> TopK | list[TopK]:
        """Users whose rows point most nearly the same way; see `Recommender.similar_users`."""
        return self.recommender.similar_users(user, k)

    def predict(self, users: Any, items: Any) -> npt.NDArray[np.float32]:
        """Scores of pairs, ``users[i]`` with ``items[i]``; ratings where the model was trained on ratings."""
        return self.recommender.predict(users, items)
