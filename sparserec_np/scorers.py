"""How a batch's scores are made of the tables, in autograd primitives.

A scorer is called as ``scorer(users, items, user_rows, item_rows, rng)`` with the two tables on the tape and
returns the scores of shape (batch, 1 + m); what training leaves to chance is drawn from ``rng``, and is left
out without one. It also says which examples of an epoch make a batch, for what examples of one user share is
best computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparserec_np.autograd import Var, add_at, dot, lookup, match, propagate, square_lengths
from sparserec_np.shuffling import shuffled
from sparserec_np.tables import SparseTable

# Enough to know a mean by; more would only cost time.
_CALIBRATION_USERS = 2000

Rows = npt.NDArray[Any]


class Batches(Sequence[Rows]):
    """The batches of an epoch, each made when it is looked at, by whatever thread.

    Parameters
    ----------
    n : int
        How many.
    make : callable
        ``make(i)`` returns the numbers of the examples in batch ``i``, ascending.
    """

    def __init__(self, n: int, make: Callable[[int], Rows]) -> None:
        self._n, self._make = n, make

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: Any) -> Any:
        if not 0 <= i < self._n:
            raise IndexError(f"there are {self._n} batches, found number {i}")
        return self._make(i)


class Scorer(Protocol):
    """What the training loop asks of a scorer."""

    #: Whether users have rows of their own.
    needs_users: bool

    def prepare(
        self, users: SparseTable, items: SparseTable, init_scale: float, rng: np.random.Generator
    ) -> None:
        """Bring the tables' first values, in place, to the scale that training starts from."""

    def batches(self, lengths: Rows, batch_size: int, neighbours: int, rng: np.random.Generator) -> Batches:
        """Deal the examples of an epoch into batches of at most ``batch_size``.

        The examples are numbered user after user, who has as many as ``lengths`` tells. The numbers of a
        batch are ascending, so that what belongs to one user is looked up together. ``neighbours`` examples
        in a row go into the same batch, or more. Nothing is drawn from ``rng`` after this.
        """

    def __call__(
        self,
        users: Var | None,
        items: Var,
        user_rows: Rows,
        item_rows: Rows,
        rng: np.random.Generator | None = None,
    ) -> Var:
        """Score the items of a batch: ``user_rows`` (batch,), ``item_rows`` (batch, 1 + m)."""

    def represent(self, users: SparseTable | None, items: SparseTable, rows: Rows) -> sparse.csr_array:
        """Make the vectors of users, by row, whose dot product with an item row is its score; CSR."""


class DotScorer:
    """Matrix factorization: the dot product of a stored user row and a stored item row."""

    needs_users = True

    def prepare(
        self, users: SparseTable, items: SparseTable, init_scale: float, rng: np.random.Generator
    ) -> None:
        """Give the rows of both tables a root mean square length of ``init_scale``."""
        users.rescale(init_scale)
        items.rescale(init_scale)

    def batches(self, lengths: Rows, batch_size: int, neighbours: int, rng: np.random.Generator) -> Batches:
        """Shuffle groups of ``neighbours`` examples, cut elsewhere in every epoch."""
        n = int(lengths.sum())
        size = min(neighbours, batch_size)
        shift = int(rng.integers(size))
        n_groups = -(-(n + shift) // size) if n else 0
        order = shuffled(n_groups, rng)
        kind: Any = np.int32 if n + size <= np.iinfo(np.int32).max else np.int64
        step = batch_size // size

        def make(i: int) -> Rows:
            groups = np.sort(order[i * step : (i + 1) * step])
            firsts: Rows = groups.astype(kind, copy=False) * size - shift
            numbers: Rows = np.add.outer(firsts, np.arange(size, dtype=kind)).reshape(-1)
            # The first group may begin before the first example, and the last one end after the last.
            return numbers[max(0, -int(firsts[0])) : len(numbers) - max(0, int(firsts[-1]) + size - n)]

        return Batches(-(-n_groups // step), make)

    def __call__(
        self,
        users: Var | None,
        items: Var,
        user_rows: Rows,
        item_rows: Rows,
        rng: np.random.Generator | None = None,
    ) -> Var:
        """Score by ``⟨user row, item row⟩``."""
        scores: Var = dot(users, items, user_rows, item_rows)
        return scores

    def represent(self, users: SparseTable | None, items: SparseTable, rows: Rows) -> sparse.csr_array:
        """Look the rows up."""
        assert users is not None
        return users.take(rows).to_scipy()


class PropagationScorer:
    r"""A user is what their history propagates to them: :math:`p_u = e_u + \sum_{i \in H_u} a_{ui} v_i`.

    One step of light graph convolution (He et al. 2020, LightGCN) over tables that stay sparse; the user's
    own row :math:`e_u` is there if there is a user table. A positive is scored without its own share of
    :math:`p_u`, or the model would learn that each item recommends itself.

    The weights are :math:`a_{ui} = d_i^{-p} |H_u|^{-q}`, with ``d_i`` the interactions of item ``i``.

    Parameters
    ----------
    user_items : csr_array (n_users, n_items)
        The histories; only the pattern is looked at.
    item_power, length_power : float
        The exponents ``p`` and ``q``.
    history_dropout : float
        Share of a history that a batch leaves out at random, the rest weighing as much more.

    Attributes
    ----------
    of_item, of_user : float32 array (n_items,), (n_users,)
        The two factors of the weights.
    """

    needs_users = False

    def __init__(
        self,
        user_items: sparse.csr_array,
        item_power: float,
        length_power: float,
        history_dropout: float = 0.0,
    ) -> None:
        lengths = np.diff(user_items.indptr)
        degrees = np.bincount(user_items.indices, minlength=user_items.shape[1])
        self.of_item = (np.maximum(degrees, 1.0) ** -item_power).astype(np.float32)
        self.of_user = (np.maximum(lengths, 1.0) ** -length_power).astype(np.float32)
        values = self.of_item[user_items.indices] * np.repeat(self.of_user, lengths)
        self._history_dropout = history_dropout
        self.weights = sparse.csr_array(
            (values, user_items.indices, user_items.indptr), shape=user_items.shape
        )

    def prepare(
        self, users: SparseTable, items: SparseTable, init_scale: float, rng: np.random.Generator
    ) -> None:
        """Let positives score ``init_scale`` on average, by what a sample of the users says."""
        n_users = self.weights.shape[0]
        sample = np.sort(rng.choice(n_users, min(n_users, _CALIBRATION_USERS), replace=False))
        histories = self.weights[sample]
        owners = np.repeat(np.arange(len(sample)), np.diff(histories.indptr))
        positives = items.to_scipy()[histories.indices]
        with_itself = self.represent(None, items, sample)[owners].multiply(positives).sum(axis=1)
        scores = with_itself - histories.data * positives.multiply(positives).sum(axis=1)
        mean = float(scores.mean()) if len(scores) else 0.0
        if mean > 0:
            items.data *= np.float32(np.sqrt(init_scale / mean))
        else:
            items.rescale(1.0)

    def batches(self, lengths: Rows, batch_size: int, neighbours: int, rng: np.random.Generator) -> Batches:
        """Shuffle the users and keep each one's examples together: their history is propagated once."""
        starts = np.cumsum(lengths) - lengths
        users = rng.permutation(len(lengths))
        ends = np.cumsum(lengths[users])
        order = np.arange(ends[-1]) + np.repeat(starts[users] - (ends - lengths[users]), lengths[users])

        def make(i: int) -> Rows:
            return np.sort(order[i * batch_size : (i + 1) * batch_size])

        return Batches(-(-len(order) // batch_size), make)

    def __call__(
        self,
        users: Var | None,
        items: Var,
        user_rows: Rows,
        item_rows: Rows,
        rng: np.random.Generator | None = None,
    ) -> Var:
        """Score by ``⟨propagated user, item row⟩``, the positive left out of its own user."""
        distinct, owners = np.unique(user_rows, return_inverse=True)
        histories = self.weights[distinct]
        positives = np.ascontiguousarray(item_rows[:, 0])
        own_share = self.of_item[positives] * self.of_user[user_rows]
        if self._history_dropout and rng is not None:
            stay = (rng.random(histories.nnz) >= self._history_dropout) / (1 - self._history_dropout)
            factors = stay.astype(np.float32)
            own_share *= factors[entries_of(entry_keys(histories), histories.shape[1], owners, positives)]
            histories = sparse.csr_array(
                (histories.data * factors, histories.indices, histories.indptr), shape=histories.shape
            )
        people = propagate(items, histories)
        if users is not None:
            people = people + lookup(users, distinct)
        scores: Var = add_at(
            match(people, items, owners, item_rows),
            (slice(None), 0),
            -square_lengths(items, positives) * own_share,
        )
        return scores

    def represent(self, users: SparseTable | None, items: SparseTable, rows: Rows) -> sparse.csr_array:
        """Propagate whole histories, nothing left out."""
        people = self.weights[rows] @ items.to_scipy()
        if users is not None:
            people = people + users.take(rows).to_scipy()
        people.sort_indices()
        return people


def entry_keys(matrix: sparse.csr_array) -> npt.NDArray[np.int64]:
    """Tell of each entry of a matrix where it would lie were that dense: ascending, columns being sorted."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return rows * np.int64(matrix.shape[1]) + matrix.indices


def entries_of(
    keys: npt.NDArray[np.int64], n_columns: int, rows: Rows, columns: Rows
) -> npt.NDArray[np.int64]:
    """Find where the entries ``(rows[e], columns[e])`` of a matrix with these `entry_keys` are stored."""
    return np.searchsorted(keys, rows * np.int64(n_columns) + columns)
