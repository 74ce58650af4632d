"""A program that uses the package as its documentation says; type checkers find no fault in it."""

from typing_extensions import assert_type

import sparserec_np
from sparserec_np import Interactions, Recommender, SparseBPR, SparseGraph, SparseMF
from sparserec_np.data import make_interactions, split_random
from sparserec_np.runtime import TopK
from sparserec_np.tables import SparseTable

interactions = Interactions.from_csv("data.csv")
train, test = split_random(make_interactions(60, 50, 900, random_state=0), 0.2, random_state=0)

# An estimator stays what it is.
model = SparseGraph(density=0.1, random_state=0).fit(interactions)
assert_type(model, SparseGraph)
assert_type(SparseBPR().set_params(dim=32).fit(train), SparseBPR)
assert_type(SparseMF.from_model_data(model.recommender.data), SparseMF)

# One question has one answer, several have a list.
assert_type(model.recommend("ann", k=10), TopK)
assert_type(model.recommend(["ann", "bob"]), list[TopK])
assert_type(model.recommend_from_history(["Alien", "Heat"], k=10), TopK)
assert_type(model.similar_items("Alien"), TopK)
assert_type(model.similar_items(["Alien", "Heat"]), list[TopK])
assert_type(model.similar_users(7), TopK)
assert_type(model.similar_users((7, 8)), list[TopK])
ids, scores = model.recommend("ann")
print(ids[0], scores.mean())
for block in model.recommend_all(k=20):
    print(block.users, block.counts, block.items, block.scores)

# Settings and what was learnt are known by name.
assert_type(model.negatives, "int | None")
assert_type(SparseBPR().negatives, int)
assert_type(model.item_power, float)
assert_type(model.items_, SparseTable)
assert_type(model.nnz_, int)
print(model.validation_["ndcg@20"], model.baseline_["ndcg@20"], model.settings_, model.history_)

model.save("data.srec")
assert_type(sparserec_np.load("data.srec").recommend("ann"), TopK)
recommender = Recommender.load("data.srec")
assert_type(recommender.recommend("ann"), TopK)
assert_type(recommender.recommend(history=["Alien"]), TopK)
assert_type(recommender.recommend(["ann", "bob"]), list[TopK])
