"""Scores of pairs by dense arrays, for teachers: no table in training is dense."""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit

# How many times as long a number that is looked up takes as one in order.
_SCATTERED = 4


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def score_pairs(start, stop, people, items, folds, rank, user_rows, item_rows, out):
    """Dot products of users and items, each user with the items of their fold.

    Parameters
    ----------
    people : (n_users, dim) float32
    items : (n_folds, n_items, dim) float32
    folds : (n_users,) int
    rank : int
        Columns to look at, from the first.
    user_rows : (n,) int
    item_rows : (n, m) int
    out : (n, m) float32
        Written.
    """
    for e in range(start, stop):
        user = user_rows[e]
        person, theirs = people[user], items[folds[user]]
        for j in range(item_rows.shape[1]):
            item = theirs[item_rows[e, j]]
            total = np.float32(0)
            for c in range(rank):
                total += person[c] * item[c]
            out[e, j] = total


@njit(cache=True, nogil=True)
def sum_over_history(start, stop, indptr, indices, matrix, user_rows, item_rows, out):
    """``out[e, j] = Σ_i matrix[i, item_rows[e, j]]`` over the items of the history of ``user_rows[e]``.

    Parameters
    ----------
    indptr, indices
        The histories, CSR.
    matrix : (n_items, n_items) float
    user_rows : (n,) int
        What belongs to one user stands together, or it takes longer.
    item_rows : (n, m) int
    out : (n, m) float64
        Written; the same bits however the numbers are gone through.
    """
    n_items, m = np.uint64(matrix.shape[1]), item_rows.shape[1]
    sums = np.empty(n_items)
    first = start
    while first < stop:
        user = user_rows[first]
        last = first + 1
        while last < stop and user_rows[last] == user:
            last += 1
        if (last - first) * m * _SCATTERED > n_items:
            # It costs less to sum up whole rows in order than to look so many of their numbers up.
            sums[:] = 0
            for place in range(indptr[user], indptr[user + 1]):
                row = matrix[indices[place]]
                for i in range(n_items):
                    sums[i] += row[i]
            for e in range(first, last):
                for j in range(m):
                    out[e, j] = sums[item_rows[e, j]]
        else:
            for e in range(first, last):
                out[e] = 0
                for place in range(indptr[user], indptr[user + 1]):
                    row = matrix[indices[place]]
                    for j in range(m):
                        out[e, j] += row[item_rows[e, j]]
        first = last


@njit(cache=True, nogil=True)
def history_forms(start, stop, indptr, indices, matrix, out):
    """``out[u] = Σ_ij matrix[i, j]`` over the pairs of items of each history; float64."""
    for user in range(start, stop):
        history = indices[indptr[user] : indptr[user + 1]]
        total = 0.0
        for i in history:
            for j in history:
                total += matrix[i, j]
        out[user] = total


# Steps of conjugate gradients that a row is moved by at a time.
_CG_STEPS = 3


@njit(cache=True, nogil=True, inline="always", fastmath={"contract", "reassoc"})
def _dot(a, b):
    total = 0.0
    for c in range(len(a)):
        total += a[c] * b[c]
    return total


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def improve_ridge(start, stop, indptr, indices, others, gram, confidence, rows):
    """Move rows of factors towards their weighted ridge regression, by steps of conjugate gradients.

    Row ``u`` solves ``(gram + (confidence - 1) Σ v vᵀ) x = confidence Σ v`` over the rows ``v`` of ``others``
    in its history; a row without history is 0.

    Parameters
    ----------
    indptr, indices
        The histories, CSR.
    others : (n, dim) float64
    gram : (dim, dim) float64
        ``othersᵀ others``, with the penalty on its diagonal.
    confidence : float
    rows : (n_rows, dim) float64
        Moved.
    """
    dim = rows.shape[1]
    residual, direction, image = np.empty(dim), np.empty(dim), np.empty(dim)
    for u in range(start, stop):
        x, history = rows[u], indices[indptr[u] : indptr[u + 1]]
        if len(history) == 0:
            x[:] = 0
            continue
        for c in range(dim):
            residual[c] = -_dot(gram[c], x)
        for i in history:
            weight = confidence - (confidence - 1) * _dot(others[i], x)
            for c in range(dim):
                residual[c] += weight * others[i, c]
        direction[:] = residual
        length = _dot(residual, residual)
        for _ in range(_CG_STEPS):
            if length < 1e-20:
                break
            for c in range(dim):
                image[c] = _dot(gram[c], direction)
            for i in history:
                weight = (confidence - 1) * _dot(others[i], direction)
                for c in range(dim):
                    image[c] += weight * others[i, c]
            step = length / _dot(direction, image)
            for c in range(dim):
                x[c] += step * direction[c]
                residual[c] -= step * image[c]
            before, length = length, _dot(residual, residual)
            for c in range(dim):
                direction[c] = residual[c] + length / before * direction[c]


@njit(cache=True, nogil=True)
def leave_one_out_ridge(start, stop, users, indptr, indices, items, gram, confidence, people, own_scores):
    """Solve the ridge regressions of `improve_ridge`, and score each positive by that which takes it for a 0.

    Taking it for a 0 changes the matrix by a product of rank 1, so that the score follows from the one
    solution (Sherman and Morrison). BLAS should be limited to one thread.

    Parameters
    ----------
    users : (n,) int
        Whose rows of ``people`` (n_users, dim), and entries of ``own_scores`` (nnz,), are written.
    """
    dim = items.shape[1]
    total = np.empty(dim)
    for k in range(start, stop):
        user = users[k]
        first, last = indptr[user], indptr[user + 1]
        if first == last:
            continue
        matrix = gram.copy()
        total[:] = 0
        for place in range(first, last):
            row = items[indices[place]]
            for c in range(dim):
                total[c] += confidence * row[c]
                weighted = (confidence - 1) * row[c]
                for d in range(dim):
                    matrix[c, d] += weighted * row[d]
        inverse = np.linalg.inv(matrix)
        person = inverse @ total
        people[user] = person
        for place in range(first, last):
            row = items[indices[place]]
            leverage = row @ (inverse @ row)
            score = row @ person
            own_scores[place] = (score - confidence * leverage) / (1 - (confidence - 1) * leverage)
