import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_matrices import random_sparse
from scipy import sparse
from scores import evaluate_scores

from sparserec_np import metrics


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12), n_items=st.integers(2, 30))
def test_as_the_library_ranks(seed, k, n_items):
    """Small integers make many ties, which must be broken alike."""
    rng = np.random.default_rng(seed)
    users = rng.integers(-2, 3, (15, 3)).astype(np.float32)
    items = rng.integers(-2, 3, (n_items, 3)).astype(np.float32)
    which = rng.integers(3, size=(15, n_items))
    train, test = (sparse.csr_array((which == part).astype(np.float32)) for part in (0, 1))
    if not test.nnz:
        return
    found = evaluate_scores(lambda rows: users[rows] @ items.T, train, test, k)
    wanted = metrics.evaluate(sparse.csr_array(users), sparse.csr_array(items), train, test, k)
    assert found == pytest.approx(wanted)


def test_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    scores = rng.random((50, 40), np.float32)
    train = random_sparse((50, 40), density=0.2, format="csr", rng=1, dtype=np.float32)
    test = random_sparse((50, 40), density=0.2, format="csr", rng=2, dtype=np.float32)
    whole = evaluate_scores(lambda rows: scores[rows], train, test)
    monkeypatch.setattr("scores._BLOCK_BYTES", 4 * 40 * 7)
    assert evaluate_scores(lambda rows: scores[rows], train, test) == whole


def test_what_is_no_candidate_is_not_ranked():
    test = sparse.csr_array(np.eye(2, 3, dtype=np.float32))
    nothing = sparse.csr_array((2, 3), dtype=np.float32)
    found = evaluate_scores(lambda rows: np.full((len(rows), 3), -np.inf, np.float32), nothing, test)
    assert found["recall@20"] == found["coverage@20"] == 0
