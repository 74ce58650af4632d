import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tables_by_hand import random_table

from sparserec_np.autograd import pairing
from sparserec_np.autograd.pairing import Pairing, ends_of
from sparserec_np.kernels.workers import Workers


@given(
    counts=st.lists(st.integers(0, 5), max_size=40),
    dim=st.sampled_from([1, 16, 4096]),
    seed=st.integers(0, 2**32 - 1),
    n_jobs=st.integers(1, 3),
)
def test_every_pair_comes_once_with_its_owner_and_blocks_are_by_length(counts, dim, seed, n_jobs):
    rng = np.random.default_rng(seed)
    table = random_table(9, dim, 0.3, seed)
    offsets = ends_of(np.array(counts, dtype=np.int64))
    n = int(offsets[-1])
    order = rng.permutation(n)
    pair_starts = ends_of(rng.integers(0, 4, size=n))
    rows = rng.integers(9, size=pair_starts[-1])
    with Workers(n_jobs) as workers:
        found = Pairing.of(offsets, order, pair_starts, rows, table, workers)

    owner_of_example = np.empty(n, dtype=np.int64)
    owner_of_example[order] = np.repeat(np.arange(len(counts)), counts)
    owner_of_pair = np.repeat(owner_of_example, np.diff(pair_starts))
    np.testing.assert_array_equal(np.sort(found.pairs), np.arange(len(rows)))
    np.testing.assert_array_equal(found.owners, owner_of_pair[found.pairs])
    np.testing.assert_array_equal(np.diff(found.starts), np.bincount(owner_of_pair, minlength=len(counts)))

    assert found.blocks[0] == 0
    assert found.blocks[-1] == len(counts)
    lengths = np.diff(table.indptr)[rows[found.pairs]]
    for first, last in zip(found.blocks[:-1], found.blocks[1:], strict=True):
        assert first < last <= first + max(1, pairing._BLOCK_NUMBERS // dim)
        block = slice(found.starts[first], found.starts[last])
        owners = found.owners[block]
        assert ((first <= owners) & (owners < last)).all()
        assert (np.diff(np.minimum(lengths[block], 127)) >= 0).all()


def test_blocks_have_few_pairs_unless_one_owner_has_many():
    table = random_table(3, 4, 0.5)
    counts = np.array([3000, 3000, 9000, 10, 20])
    n = counts.sum()
    own = np.arange(n + 1)
    with Workers(1) as workers:
        found = Pairing.of(ends_of(counts), own[:-1], own, np.zeros(n, dtype=np.int64), table, workers)
    np.testing.assert_array_equal(found.blocks, [0, 1, 2, 3, 5])
