"""Peers of the quality benchmark: what there is without this library.

Each function fits one method to the pattern of a CSR array ``user_items`` (values are ones) and returns what
`fitted` describes. They use the threads that they are given, and no more.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from fitted import DenseFactors, ItemSimilarities, Popularity, SparseAutoencoder
from scipy import sparse
from threadpoolctl import threadpool_limits

from sparserec_np.exploration import largest

_BLOCK = 2048


class DivergedError(Exception):
    """A peer's training did not end in finite numbers."""


def most_popular(user_items: Any, seed: int) -> Popularity:
    """Rank items by how many users have them."""
    return Popularity(np.bincount(user_items.indices, minlength=user_items.shape[1]))


def item_neighbours(
    user_items: Any, seed: int, *, n_neighbours: float, shrinkage: float, n_jobs: int = 2
) -> ItemSimilarities:
    """Item kNN: the cosine of two items, shrunk where few users have both (Bell and Koren 2007).

    ``cos(i, j) · c / (c + shrinkage)`` with ``c`` users who have both; each item keeps its best neighbours,
    and an item scores the sum of its similarities to the history.
    """
    ones = sparse.csr_array(
        (np.ones(user_items.nnz, np.float32), user_items.indices, user_items.indptr), shape=user_items.shape
    )
    by_item = ones.T.tocsr()
    norms = np.sqrt(np.maximum(np.diff(by_item.indptr), 1)).astype(np.float32)
    n_items, n_kept = ones.shape[1], round(n_neighbours)
    kept: list[Any] = []
    for start in range(0, n_items, _BLOCK):
        both = (by_item[start : start + _BLOCK] @ ones).tocsr()
        rows = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
        values = both.data / (norms[start + rows] * norms[both.indices]) * both.data / (both.data + shrinkage)
        values[both.indices == start + rows] = 0
        for row in range(both.shape[0]):
            here = slice(both.indptr[row], both.indptr[row + 1])
            best = largest(values[here], n_kept)
            kept.append((values[here][best], both.indices[here][best]))
    indptr = np.cumsum([0, *(len(values) for values, _ in kept)]).astype(np.int32)
    parts = [np.concatenate(arrays) for arrays in zip(*kept, strict=True)]
    similarities = sparse.csr_array((parts[0], parts[1].astype(np.int32), indptr), shape=(n_items, n_items))
    similarities.eliminate_zeros()
    # Item j scores what *its* neighbours in the history give: a history is multiplied by the transpose.
    return ItemSimilarities(similarities.T.tocsr())


def ease(user_items: Any, seed: int, *, regularization: float, n_jobs: int = 2) -> ItemSimilarities:
    """EASE (Steck 2019): the item × item regression with a zero diagonal, in closed form.

    Memory and time grow with the square and the cube of the number of items.
    """
    with threadpool_limits(n_jobs):
        gram = (user_items.T @ user_items).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += regularization
        inverse = np.linalg.inv(gram)
        weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return ItemSimilarities(weights.astype(np.float32))


def rp3beta(
    user_items: Any, seed: int, *, power: float, popularity: float, n_jobs: int = 2
) -> ItemSimilarities:
    """RP3beta (Paudel et al. 2017): walks of three steps, whose probabilities are raised to a power.

    Items are then divided by a power of their popularity. With ``power`` 1 it is the neighbour filter.
    """
    ones = sparse.csr_array(
        (np.ones(user_items.nnz, np.float32), user_items.indices, user_items.indptr), shape=user_items.shape
    )
    of_users = np.maximum(np.diff(ones.indptr), 1).astype(np.float32)[:, None] ** np.float32(-power)
    by_item = ones.T.tocsr()
    of_items = np.maximum(np.diff(by_item.indptr), 1).astype(np.float32)
    steps = by_item.multiply(of_items[:, None] ** np.float32(-power)).tocsr()
    back = ones.multiply(of_users).multiply(of_items[None, :] ** np.float32(-popularity)).tocsr()
    return ItemSimilarities(steps @ back)


def slim(
    user_items: Any, seed: int, *, l1: float, l2: float, n_neighbours: int = 100, n_jobs: int = 2
) -> ItemSimilarities:
    """SLIM (Ning and Karypis 2011), as its authors make it fast: each item by its nearest ones alone.

    ``½‖r_j − R_S w‖² + l1 ‖w‖₁ + l2/2 ‖w‖²`` with no weight below 0, over the ``n_neighbours`` items ``S`` of
    the largest cosine.
    """
    from sklearn.linear_model import ElasticNet

    ones = sparse.csc_array(user_items, dtype=np.float64)
    n_users, n_items = ones.shape
    gram = (ones.T @ ones).tocsr()
    norms = np.sqrt(np.maximum(gram.diagonal(), 1))
    rows, columns, values = [], [], []
    model = ElasticNet(
        alpha=(l1 + l2) / n_users,
        l1_ratio=l1 / (l1 + l2),
        positive=True,
        fit_intercept=False,
        max_iter=50,
        tol=1e-3,
    )
    with threadpool_limits(n_jobs), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as many rounds as there are is meant
        for item in range(n_items):
            others = gram.indices[gram.indptr[item] : gram.indptr[item + 1]]
            both = gram.data[gram.indptr[item] : gram.indptr[item + 1]]
            cosines = np.where(others == item, 0, both / norms[others])
            near = others[largest(cosines, min(n_neighbours, len(others)))]
            near = np.sort(near[near != item])
            if not len(near):
                continue
            mine = ones.indices[ones.indptr[item] : ones.indptr[item + 1]]
            target = np.zeros(n_users)
            target[mine] = 1
            weights = model.fit(sparse.csc_matrix(ones[:, near]), target).coef_
            used = np.flatnonzero(weights)
            rows.append(near[used])
            columns.append(np.full(len(used), item))
            values.append(weights[used].astype(np.float32))
    places = np.concatenate(rows), np.concatenate(columns)
    return ItemSimilarities(sparse.csr_array((np.concatenate(values), places), shape=(n_items, n_items)))


def sansa(user_items: Any, seed: int, *, regularization: float, n_jobs: int = 2) -> SparseAutoencoder:
    """SANSA (Spišák et al. 2023): EASE by sparse factors of an approximate inverse.

    Both factors together store as many numbers as a tenth of the tables of 64 columns. SANSA's density is
    that of each factor, so each gets half of them.
    """
    from sansa import SANSA, ICFGramianFactorizerConfig, SANSAConfig, UMRUnitLowerTriangleInverterConfig

    n_users, n_items = user_items.shape
    density = 0.1 * 64 * (n_users + n_items) / 2 / n_items**2
    config = SANSAConfig(
        l2=regularization,
        weight_matrix_density=density,
        gramian_factorizer_config=ICFGramianFactorizerConfig(),
        lower_triangle_inverter_config=UMRUnitLowerTriangleInverterConfig(scans=1, finetune_steps=5),
    )
    with threadpool_limits(n_jobs):
        model = SANSA(config).fit(sparse.csr_matrix(user_items, dtype=np.float32))
    return SparseAutoencoder(*(sparse.csr_array(part, dtype=np.float32) for part in model.weights))


def implicit_als(
    user_items: Any,
    seed: int,
    *,
    alpha: float,
    regularization: float,
    factors: int = 64,
    iterations: int = 15,
    n_jobs: int = 2,
) -> DenseFactors:
    """Fit implicit's AlternatingLeastSquares (Hu, Koren and Volinsky 2008)."""
    from implicit.als import AlternatingLeastSquares

    with threadpool_limits(1):  # implicit's own threads would each start as many of BLAS
        model = AlternatingLeastSquares(
            factors,
            regularization=regularization,
            alpha=alpha,
            iterations=iterations,
            random_state=seed,
            num_threads=n_jobs,
        )
        return _fit_implicit(model, user_items)


def implicit_bpr(
    user_items: Any,
    seed: int,
    *,
    learning_rate: float,
    regularization: float,
    factors: int = 64,
    iterations: int = 100,
    n_jobs: int = 2,
) -> DenseFactors:
    """Fit implicit's BayesianPersonalizedRanking (Rendle et al. 2009); its last column is the items' bias."""
    from implicit.bpr import BayesianPersonalizedRanking

    with threadpool_limits(1):
        model = BayesianPersonalizedRanking(
            factors,
            learning_rate=learning_rate,
            regularization=regularization,
            iterations=iterations,
            random_state=seed,
            num_threads=n_jobs,
        )
        return _fit_implicit(model, user_items)


def _fit_implicit(model: Any, user_items: Any) -> DenseFactors:
    from implicit.recommender_base import ModelFitError

    try:
        model.fit(sparse.csr_matrix(user_items), show_progress=False)
    except ModelFitError as error:
        raise DivergedError(f"implicit: {error}") from error
    return DenseFactors(model.user_factors, model.item_factors)
