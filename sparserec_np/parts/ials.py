"""Implicit matrix factorization over all pairs, with a sparse item table and no user table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.errors import SettingError
from sparserec_np.exploration.blockwise import blocks_of
from sparserec_np.exploration.masks import random_tables
from sparserec_np.exploration.schedule import CosineSchedule
from sparserec_np.exploration.selection import largest, mark_smallest
from sparserec_np.exploration.spectral import spectral_tables
from sparserec_np.exploration.tall import Floats, gram
from sparserec_np.kernels.alternating import judge_entries, solve_items, solve_users
from sparserec_np.kernels.workers import Workers
from sparserec_np.parts.histories import transpose
from sparserec_np.tables import SparseTable

STARTS = ("spectral", "random")


@dataclass(frozen=True, eq=False)
class IALSFit:
    """What `fit_ials` found.

    Parameters
    ----------
    items : SparseTable
        The item table.
    encoder_settings : dict
        Settings of the encoder "ridge" (`sparserec_np.runtime.encoding.ridge`), with which it solves for a
        person what training solved for a user.
    """

    items: SparseTable
    encoder_settings: dict[str, float]


def fit_ials(
    user_items: sparse.csr_array,
    n_entries: int,
    dim: int,
    *,
    unobserved: float = 0.025,
    regularization: float = 3.0,
    frequency_power: float = 0.0,
    epochs: int = 16,
    prune_fraction: float = 0.5,
    start: str | SparseTable = "spectral",
    rng: np.random.Generator,
    workers: Workers,
    vectors: Floats | None = None,
) -> IALSFit:
    r"""Factorize the interactions by weighted squared errors over all pairs (iALS [1]_ [2]_).

    The item rows :math:`v_i`, of which only the stored entries are not 0, and the users :math:`u` minimize

    .. math:: \sum_{(u, i) \in R} (1 - u^T v_i)^2 + \alpha_0 \sum_{u, i} (u^T v_i)^2
       + \lambda \sum_u \|u\|^2 + \lambda \sum_i f_i \|v_i\|^2, \quad
       f_i \propto (d_i + \alpha_0 n_{users})^\nu

    with the mean of :math:`f_i` 1. Each epoch solves for all users, whose vectors are dense and temporary,
    and then for the stored entries of all items, both exactly. In between, a share of the entries is replaced
    (dynamic sparse training): those go without which the objective rises least, those come with which it
    falls most, as the gradient and the curvature of each entry over all pairs say.

    Memory is in proportion to the interactions and the stored entries, beside the users' vectors of
    4 · n_users · dim bytes.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        Interactions, without duplicates; only the pattern is looked at.
    n_entries : int
        Stored entries of the item table, at most n_items · dim.
    dim : int
        Width of the table.
    unobserved : float
        The weight α₀ of pairs of which nothing is known, positive.
    regularization : float
        The penalty λ, positive.
    frequency_power : float
        The power ν: how much more the penalty of a popular item is than that of a rare one.
    epochs : int
        At least 1. Where data is thin and the spectral start is good, two epochs of a static mask may rank
        held-out items better than many that replace entries, which fit the interactions better.
    prune_fraction : float
        Share of the entries that is replaced after the first epoch, less each time, following a cosine; the
        last epoch replaces none.
    start : {"spectral", "random"} or SparseTable
        How the item table starts: from the strongest entries of rotated singular vectors, from normal values
        at random positions, the control, or from a table (n_items, dim), of which a copy is made.
    rng : numpy.random.Generator
    workers : Workers
        The bits do not depend on their number.
    vectors : float32 array (n_items, at least dim), optional
        What `sparserec_np.exploration.singular.singular_items` found, for the spectral start.

    Returns
    -------
    IALSFit
        Its table is float32 and has exactly ``n_entries`` entries.

    Raises
    ------
    SettingError
        If the start is unknown or has another shape or number of entries.

    References
    ----------
    .. [1] Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
    .. [2] S. Rendle, W. Krichene, L. Zhang, Y. Koren, "Revisiting the Performance of iALS on Item
       Recommendation Benchmarks", RecSys 2022.
    """
    from threadpoolctl import threadpool_limits

    items = _starting_table(user_items, n_entries, dim, start, rng, workers, vectors)
    model = _Alternation(user_items, items, unobserved, regularization, frequency_power, workers)
    schedule = CosineSchedule(prune_fraction, 1, epochs - 1)
    # With more BLAS threads the last bits would depend on their number.
    with threadpool_limits(1):
        for epoch in range(epochs):
            model.solve_users()
            if schedule.is_due(epoch):
                model.replace(schedule.share(epoch))
            model.solve_items()
        return IALSFit(model.items, model.encoder_settings())


def user_vectors(fit: IALSFit, histories: sparse.csr_array, workers: Workers) -> npt.NDArray[np.float32]:
    """Solve for the vectors of users by their histories, as training does.

    Parameters
    ----------
    fit : IALSFit
    histories : csr_array (n, n_items)
        Without duplicates; only the pattern is looked at.
    workers : Workers
        The bits do not depend on their number.

    Returns
    -------
    float32 array (n, dim)
    """
    from threadpoolctl import threadpool_limits

    mean_square = float(np.trace(_item_gram(fit.items))) / max(fit.items.n_rows, 1)
    penalty = fit.encoder_settings["regularization"] * (mean_square or 1.0)
    people = np.empty((histories.shape[0], fit.items.dim), dtype=np.float32)
    with threadpool_limits(1):
        _solve_users(
            fit.items,
            fit.encoder_settings["alpha"],
            penalty,
            (histories.indptr, histories.indices),
            workers,
            people,
        )
    return people


def _item_gram(items: SparseTable) -> npt.NDArray[np.float64]:
    matrix = items.to_scipy().astype(np.float64)
    return (matrix.T @ matrix).toarray()


def _solve_users(
    items: SparseTable,
    unobserved: float,
    penalty: float,
    histories: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    workers: Workers,
    people: npt.NDArray[np.float32],
) -> None:
    """Write the vectors of users, whose histories are given as row pointers and items."""
    system = unobserved * _item_gram(items)
    system[np.diag_indices(items.dim)] += penalty
    # Each system is made and solved in a time that grows with its size, which is never above the width.
    work = np.minimum(np.diff(histories[0]), items.dim) ** 2
    workers.run_by_work(solve_users, work, *histories, *items.arrays, system, np.linalg.inv(system), people)


def _starting_table(
    user_items: sparse.csr_array,
    n_entries: int,
    dim: int,
    start: str | SparseTable,
    rng: np.random.Generator,
    workers: Workers,
    vectors: Floats | None,
) -> SparseTable:
    """Make the table that training starts from, the mean square length of its rows 1."""
    shape = user_items.shape[1], dim
    if n_entries > shape[0] * dim:
        raise SettingError(f"n_entries is {n_entries:,}; expected at most {shape[0] * dim:,}, n_items · dim")
    if isinstance(start, SparseTable):
        if start.shape != shape or start.nnz != n_entries:
            raise SettingError(
                f"start has {start.nnz:,} entries in shape {start.shape}; expected {n_entries:,} in {shape}"
            )
        return start.copy()
    if start not in STARTS:
        raise SettingError(f"start is {start!r}; expected a SparseTable or one of {', '.join(STARTS)}")
    if start == "random":
        _, items = random_tables(user_items, dim, (0, n_entries), rng=rng, workers=workers)
    else:
        _, items = spectral_tables(user_items, dim, (0, n_entries), rng=rng, workers=workers, vectors=vectors)
    items.rescale(1.0)
    return items


class _Alternation:
    """The state of the alternation: the items, and the users that were last solved for.

    Parameters
    ----------
    user_items, unobserved, regularization, frequency_power, workers
        As for `fit_ials`.
    items : SparseTable
        Changed in place.

    Attributes
    ----------
    people : float32 array (n_users, dim)
    """

    def __init__(
        self,
        user_items: sparse.csr_array,
        items: SparseTable,
        unobserved: float,
        regularization: float,
        frequency_power: float,
        workers: Workers,
    ) -> None:
        n_users = user_items.shape[0]
        self.items = items
        self.people = np.empty((n_users, items.dim), dtype=np.float32)
        self._workers, self._unobserved, self._penalty = workers, unobserved, regularization
        self._histories = user_items.indptr, user_items.indices
        self._users_of = transpose(user_items)
        self._degrees = np.diff(self._users_of[0])
        frequencies = (self._degrees + unobserved * n_users) ** frequency_power
        self._penalties = regularization * frequencies / max(frequencies.mean(), np.finfo(float).tiny)

    def encoder_settings(self) -> dict[str, float]:
        """Return the settings of the encoder that solves for users as `solve_users` does."""
        mean_square = float(np.trace(_item_gram(self.items))) / max(self.items.n_rows, 1)
        return {"alpha": self._unobserved, "regularization": self._penalty / (mean_square or 1.0)}

    def solve_users(self) -> None:
        """Solve for the vectors of all users."""
        _solve_users(self.items, self._unobserved, self._penalty, self._histories, self._workers, self.people)

    def solve_items(self) -> None:
        """Solve for the stored entries of all items."""
        lengths = np.diff(self.items.indptr)
        self._workers.run_by_work(
            solve_items, lengths.astype(float) ** 2 * (self._degrees + lengths), *self._all_pairs(),
            *self.items.arrays,
        )  # fmt: skip

    def _all_pairs(self) -> tuple[object, ...]:
        """Return what the kernels need to know of the users' part of the objective."""
        gram_of_people = gram(self.people, self._workers)
        return *self._users_of, self.people, gram_of_people, self._unobserved, self._penalties

    def replace(self, share: float) -> None:
        """Replace a share of the stored entries, the new ones to start at 0.

        Every item keeps its most important entry. Fewer entries are replaced where fewer would help.
        """
        table = self.items
        losses = np.empty(table.nnz, dtype=np.float32)
        grown = self._most_missing(round(share * table.nnz), losses)
        filled = np.flatnonzero(np.diff(table.indptr))
        most = np.maximum.reduceat(losses, table.indptr[filled])
        losses[losses == np.repeat(most, np.diff(table.indptr)[filled])] = np.inf
        n = min(len(grown), int(np.isfinite(losses).sum()))
        kept = ~mark_smallest(losses, n)
        before, values = table.positions()[kept], table.data[kept]
        positions = np.sort(np.concatenate([before, grown[:n]]))
        self.items = SparseTable.from_positions(positions, table.shape)
        self.items.data[np.searchsorted(positions, before)] = values

    def _most_missing(self, n: int, losses: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Find the inactive entries that the objective falls most with, and fill ``losses`` in.

        Parameters
        ----------
        n : int
            How many, at most; none without a gain.
        losses : float32 array (nnz,)
            Written: what the objective would rise by without each stored entry.

        Returns
        -------
        int64 array
            Positions, ``row · dim + column``, the greatest gain first.
        """
        table, pairs = self.items, self._all_pairs()
        work = (self._degrees + 1) * table.dim
        positions, gains = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        for begin, end in blocks_of(table.n_rows, table.dim):
            block = np.empty((end - begin, table.dim), dtype=np.float32)
            self._workers.run_by_work(
                judge_entries, work[begin:end], begin, *pairs, *table.arrays, block, losses
            )
            flat = block.reshape(-1)
            helpful = np.flatnonzero(flat > 0)
            gains = np.concatenate([gains, flat[helpful]])
            positions = np.concatenate([positions, helpful + begin * table.dim])
            best = largest(gains, min(n, len(gains)))
            positions, gains = positions[best], gains[best]
        return positions[np.argsort(-gains, kind="stable")]
