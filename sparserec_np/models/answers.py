"""What the estimators answer with: the recommender that a device has, under their own names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparserec_np.batch import Recommendations, recommend_all
from sparserec_np.runtime import Recommender, TopK


class Answers:
    """Questions that a fitted estimator hands to its recommender."""

    if TYPE_CHECKING:
        n_jobs: int | None

        @property
        def recommender(self) -> Recommender: ...  # noqa: D102

    def recommend(
        self,
        user: Any,
        k: int = 10,
        filter_seen: bool = True,
        exclude: Iterable[Any] | None = None,
        candidates: Iterable[Any] | None = None,
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
        exclude: Iterable[Any] | None = None,
        candidates: Iterable[Any] | None = None,
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
        history: Iterable[Any],
        k: int = 10,
        *,
        weights: Iterable[float] | None = None,
        filter_seen: bool = True,
        exclude: Iterable[Any] | None = None,
        candidates: Iterable[Any] | None = None,
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

    def similar_items(self, item: Any, k: int = 10) -> TopK | list[TopK]:
        """Items whose rows point most nearly the same way; see `Recommender.similar_items`."""
        return self.recommender.similar_items(item, k)

    def similar_users(self, user: Any, k: int = 10) -> TopK | list[TopK]:
        """Users whose rows point most nearly the same way; see `Recommender.similar_users`."""
        return self.recommender.similar_users(user, k)

    def predict(self, users: Any, items: Any) -> npt.NDArray[np.float32]:
        """Scores of pairs, ``users[i]`` with ``items[i]``; ratings where the model was trained on ratings."""
        return self.recommender.predict(users, items)
