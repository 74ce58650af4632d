"""The data sets of the quality benchmark: a train and a test part of each, for each seed.

==========  ==========================================  ============================================
name        train                                       test
==========  ==========================================  ============================================
gowalla     the given train part                        the given test part
thin-10,    10 (5) random interactions of each user     the given test part, of the items that the
thin-5      of Gowalla's train part, drawn by the seed  thinned train part has at all
movielens   MovieLens 100K, ratings of 4 and 5: what    20 % of each user's interactions, drawn by
            the test part leaves                        the seed
synthetic   5,000 × 3,000, 150,000 interactions made    20 % of each user's interactions, drawn by
            by the seed: what the test part leaves      the seed
those of    the given train part                        the given test part
`SPLIT`
==========  ==========================================  ============================================

Settings are chosen on `validation_split` of the train part. It is the very split that the estimators make for
themselves with the same ``random_state``.
"""

from __future__ import annotations

import functools

import numpy as np
from common import given_parts, gowalla, in_rows_of, movielens

from sparserec_np.data import Interactions, make_interactions, split_random
from sparserec_np.models.run import hold_out

NAMES = ("gowalla", "thin-10", "thin-5", "movielens", "synthetic")
#: Further data sets that come split.
SPLIT = ("yelp2018", "steam", "citeulike", "video-games", "book-crossing")


def train_and_test(name: str, seed: int = 0) -> tuple[Interactions, Interactions]:
    """Return the train and the test part of the data set ``name``, the test part in the train part's rows."""
    if name == "gowalla":
        return _gowalla()
    if name in SPLIT:
        return given_parts(name)
    if name.startswith("thin-"):
        train, test = _gowalla()
        few = thinned(train, int(name.removeprefix("thin-")), seed)
        pairs = test.user_items.tocoo()
        # Like those of `thinned`, the ids of this one are Gowalla's row numbers.
        numbered = Interactions.from_arrays(pairs.row.astype(np.int64), pairs.col.astype(np.int64))
        return few, in_rows_of(few, numbered)
    if name == "movielens":
        whole = movielens()
    elif name == "synthetic":
        whole = make_interactions(5000, 3000, 150_000, random_state=seed)
    else:
        raise ValueError(f"the data set is {name!r}; expected one of {', '.join((*NAMES, *SPLIT))}")
    return split_random(whole, 0.2, np.random.default_rng(seed))


def validation_split(train: Interactions, seed: int = 0) -> tuple[Interactions, Interactions]:
    """Hold out what the estimators hold out of ``train`` for themselves when ``random_state`` is ``seed``."""
    split_seed = np.random.SeedSequence(seed).spawn(3)[0]
    return hold_out(train, 0.2, split_seed)


def thinned(interactions: Interactions, n: int, seed: int = 0) -> Interactions:
    """Keep ``n`` random interactions of each user; ids are row numbers of ``interactions``."""
    matrix = interactions.user_items
    lengths = np.diff(matrix.indptr)
    users = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((np.random.default_rng(seed).random(matrix.nnz), users))
    kept = order[np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], lengths) < n]
    return Interactions.from_arrays(users[kept], matrix.indices[kept].astype(np.int64))


@functools.cache
def _gowalla() -> tuple[Interactions, Interactions]:
    return gowalla()
