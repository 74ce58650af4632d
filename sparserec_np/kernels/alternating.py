"""Alternating least squares over all pairs of users and items, with dense users and sparse items.

What stands here once for all kernels below: ``indptr, columns, data`` is the sparse item table,
``people`` (n_users, dim) float32 are the users, and an observed pair is a 1 of weight 1, beside which every
pair, observed or not, is a 0 of weight ``unobserved``.
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit
from sparserec_np.kernels.cholesky import solve_positive


@njit(cache=True, nogil=True, fastmath={"contract"})
def solve_users(start, stop, user_indptr, user_items, indptr, columns, data, system, inverse, people):
    """Write the users' vectors: the ridge regression of a history on its items' rows.

    A user of a short history solves a system of the size of the history, by the Woodbury identity.

    Parameters
    ----------
    user_indptr, user_items
        The histories, CSR.
    system : (dim, dim) float64
        ``unobserved · itemsᵀ items + penalty · 1``.
    inverse : (dim, dim) float64
        Its inverse.
    people : (n_users, dim) float32
        Written.
    """
    dim = len(system)
    matrix, vector = np.empty((dim, dim)), np.empty(dim)
    images = np.empty((dim // 2, dim))
    for user in range(start, stop):
        history = user_items[user_indptr[user] : user_indptr[user + 1]]
        if len(history) > len(images):
            matrix[:] = system
            vector[:] = 0
            for item in history:
                for p in range(indptr[item], indptr[item + 1]):
                    c, value = columns[p], data[p]
                    vector[c] += value
                    row = matrix[c]
                    for q in range(indptr[item], p + 1):
                        row[columns[q]] += value * np.float64(data[q])
            solve_positive(matrix, vector, dim)
            people[user] = vector
            continue
        for n, item in enumerate(history):
            image = images[n]
            image[:] = 0
            for p in range(indptr[item], indptr[item + 1]):
                value, row = np.float64(data[p]), inverse[columns[p]]
                for c in range(dim):
                    image[c] += value * row[c]
            for m in range(n + 1):
                total = 0.0
                for p in range(indptr[history[m]], indptr[history[m] + 1]):
                    total += data[p] * image[columns[p]]
                matrix[n, m] = total
            matrix[n, n] += 1.0
        weights = np.ones(len(history))
        solve_positive(matrix, weights, len(history))
        vector[:] = 0
        for n in range(len(history)):
            for c in range(dim):
                vector[c] += weights[n] * images[n, c]
        people[user] = vector


@njit(cache=True, nogil=True, fastmath={"contract"})
def solve_items(
    start, stop, item_indptr, item_users, people, gram, unobserved, penalties, indptr, columns, data
):
    """Write the stored entries of the items: the regression of their users on these columns.

    Parameters
    ----------
    item_indptr, item_users
        The users of each item, CSR.
    gram : (dim, dim) float64
        ``peopleᵀ people``.
    unobserved : float
    penalties : (n_items,) float64
        The L2 penalty of each row.
    data : (nnz,) float32
        Written.
    """
    dim = len(gram)
    matrix, vector, person = np.empty((dim, dim)), np.empty(dim), np.empty(dim)
    for item in range(start, stop):
        begin = indptr[item]
        k = indptr[item + 1] - begin
        stored = columns[begin : begin + k]
        for p in range(k):
            row, wanted = gram[stored[p]], matrix[p]
            vector[p] = 0
            for q in range(p + 1):
                wanted[q] = unobserved * row[stored[q]]
            wanted[p] += penalties[item]
        for at in range(item_indptr[item], item_indptr[item + 1]):
            whole = people[item_users[at]]
            for p in range(k):
                person[p] = whole[stored[p]]
            for p in range(k):
                value, row = person[p], matrix[p]
                vector[p] += value
                for q in range(p + 1):
                    row[q] += value * person[q]
        solve_positive(matrix, vector, k)
        for p in range(k):
            data[begin + p] = vector[p]


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def judge_entries(
    start, stop, first, item_indptr, item_users, people, gram, unobserved, penalties,
    indptr, columns, data, gains, losses,
):  # fmt: skip
    """Say what the objective would fall by with an entry more, and rise by with one less.

    Both are for the entry alone, the others as they are, and half of what the objective says. For an
    inactive entry of gradient ``g`` and curvature ``a`` it is ``g² / a``; for a stored one of value ``v``
    that stands at its optimum it is ``v² a``.

    Parameters
    ----------
    start, stop : int
        Which rows of ``gains`` to write.
    first : int
        The item that row 0 of ``gains`` is about.
    item_indptr, item_users, gram, unobserved, penalties
        As for `solve_items`.
    gains : (n, dim) float32
        Written; 0 for the stored entries.
    losses : (nnz,) float32
        Written for the stored entries of the items ``first + start`` to ``first + stop``.
    """
    dim = len(gram)
    gradient, curvature, image = np.empty(dim), np.empty(dim), np.empty(dim)
    for r in range(start, stop):
        item = first + r
        begin, end = indptr[item], indptr[item + 1]
        image[:] = 0
        for p in range(begin, end):
            row, value = gram[columns[p]], np.float64(data[p])
            for c in range(dim):
                image[c] += value * row[c]
        for c in range(dim):
            gradient[c] = -unobserved * image[c]
            curvature[c] = unobserved * gram[c, c] + penalties[item]
        for at in range(item_indptr[item], item_indptr[item + 1]):
            person = people[item_users[at]]
            missing = 1.0
            for p in range(begin, end):
                missing -= data[p] * person[columns[p]]
            for c in range(dim):
                value = np.float64(person[c])
                gradient[c] += missing * value
                curvature[c] += value * value
        for c in range(dim):
            gains[r, c] = gradient[c] * gradient[c] / curvature[c]
        for p in range(begin, end):
            gains[r, columns[p]] = 0
            losses[p] = data[p] * data[p] * curvature[columns[p]]
