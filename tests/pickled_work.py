"""What worker processes run for `test_pickling`: they import it by its name, as no test module can be."""

import shutil

import numpy as np

from sparserec_np import Interactions, SparseBPR, SparseGraph, SparseMF

QUICK = {
    "dim": 12,
    "density": 0.25,
    "epochs": 2,
    "batch_size": 512,
    "negatives": 4,
    "random_state": 0,
    "n_jobs": 1,
}
KINDS = {
    "bpr": (SparseBPR, {}),
    "graph": (SparseGraph, {}),
    "ratings": (SparseMF, {"loss": "squared"}),
}


def by_length_of_history(recommender):
    """Users, those first who have most items left to be recommended."""
    lengths = np.diff(recommender.data.seen.indptr.astype(int))
    return [recommender.user_ids[int(row)] for row in np.argsort(lengths, kind="stable")]


def answers(model):
    """What a model, or a recommender, says to various questions."""
    recommender = getattr(model, "recommender", model)
    people, things = by_length_of_history(recommender), recommender.item_ids.ids()
    found = [
        recommender.recommend(people[3], k=7),
        recommender.recommend(history=things[4:9], k=7),
        recommender.recommend(history=[]),
        *recommender.recommend(people[5:9], k=3, filter_seen=False),
        recommender.similar_items(things[2]),
        recommender.similar_users(people[2]),
    ]
    predicted = recommender.predict(people[:40], things[:40]).tobytes()
    return [(list(top.ids), top.scores.tobytes()) for top in found], predicted


def fit_one(kind, seed, data):
    estimator, settings = KINDS[kind]
    return estimator(**QUICK | settings | {"random_state": seed}).fit(data)


def share_of_history_found(estimator, matrix, y=None):
    """Of people whom the model never saw, how many of the second half of a history follow the first."""
    hits = total = 0
    for row in range(matrix.shape[0]):
        items = matrix[[row]].indices
        if len(items) < 4:
            continue
        asked, hidden = items[::2], items[1::2]
        found = estimator.recommend_from_history(asked, k=20).ids
        hits, total = hits + len(np.intersect1d(found, hidden)), total + min(len(hidden), 20)
    return hits / total


def fit_on_a_folder_that_goes_away(kind, data, path):
    """Fit to a folder of interactions, and remove the folder before the model is handed over."""
    data.to_dir(path)
    model = fit_one(kind, 0, Interactions.from_dir(path))
    shutil.rmtree(path)
    return model
