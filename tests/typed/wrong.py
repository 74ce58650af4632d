"""A program with mistakes; type checkers find one in every line that says so, and nowhere else."""

import sparserec_np
from sparserec_np import SparseBPR, SparseGraph
from sparserec_np import SparseGrph  # wrong

model = SparseGraph(density=0.1)
print(model.valdation_)  # wrong
print(model.user_share)  # wrong: stored rows have it
print(SparseBPR().densty)  # wrong
print(SparseBPR(densty=0.1))  # wrong
print(model.fit([]).recomend("ann"))  # wrong
print(model.recommend("ann", kk=3))  # wrong
print(model.recommend("ann").items)  # wrong
print(sparserec_np.laod("data.srec"))  # wrong
