"""Ways to encode a person from a history: item rows in, a vector in the item table's space out.

A model file names its encoder and the settings that differ from the defaults below. An encoder is a
function; its keyword arguments are its settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.runtime.regression import narrowed, occurring, solve, sums, with_column

if TYPE_CHECKING:
    from sparserec_np.runtime.model_data import ModelData
    from sparserec_np.runtime.scoring import TableScorer


class Person(NamedTuple):
    """An encoded person.

    Attributes
    ----------
    vector : ndarray of float32, shape (dim,)
    bias : float
        Takes the place of the user bias in a rating model; else 0.
    """

    vector: NDArray[np.float32]
    bias: float


def ridge(
    items: TableScorer,
    data: ModelData,
    rows: NDArray[np.integer],
    weights: NDArray[np.float64] | None,
    *,
    alpha: float = 0.01,
    regularization: float = 10.0,
    norm: float = 0.0,
) -> Person:
    r"""Solve for the vector that scores the history 1 and everything else 0.

    It is the fold-in of implicit matrix factorisation [1]_, that is, the `u` that minimises

    .. math:: \sum_{i \in H} w_i (1 - u^T v_i)^2 + \alpha \sum_i (u^T v_i)^2 + \lambda s \|u\|^2

    over the history `H` and all items `i`, with `s` the mean squared length of an item row, which makes
    `regularization` (λ) independent of the scale of the table. Item biases stay out of it: they are the
    taste of everybody, and the vector is what this person adds. How much a trained vector adds beside
    the biases is a matter of its length, which `norm` sets.

    Parameters
    ----------
    items : TableScorer
        The item table.
    data : ModelData
        The model.
    rows : ndarray of int
        Rows of the history's items; one that is repeated counts repeatedly.
    weights : ndarray of float64 or None
        Weight of each; 1 where None.
    alpha : float
        Weight of the items outside the history.
    regularization : float
        Pull of the vector towards zero.
    norm : float
        Length to which the vector is scaled, such as that of the mean trained user row; 0 leaves it.

    Returns
    -------
    Person

    References
    ----------
    .. [1] Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets",
       ICDM 2008.
    """
    pull = regularization * items.gram.mean_square
    if pull == 0.0:
        return _nobody(items)
    dim, found = items.table.dim, items.entries(rows)
    columns = items.gram.columns if alpha else occurring(found)
    found = narrowed(found, columns, dim)
    shares = found.values.astype(np.float64) if weights is None else weights[found.majors] * found.values
    right = sums(found.indices, shares, len(columns))
    pulls = np.full(len(columns), pull)
    vector = np.zeros(dim)
    vector[columns] = solve(found, weights, right, pulls, alpha, items.gram)
    return Person(_scaled(vector, norm), 0.0)


def degree_weighted_sum(
    items: TableScorer,
    data: ModelData,
    rows: NDArray[np.integer],
    weights: NDArray[np.float64] | None,
    *,
    item_power: float = 0.5,
    length_power: float = 0.5,
    norm: float = 0.0,
) -> Person:
    r"""Sum the history's item rows, popular items counting less.

    .. math:: u = |H|^{-q} \sum_{i \in H} w_i d_i^{-p} v_i

    with `d` the items' popularity; with the default powers it is the propagation step of graph models [1]_.

    Parameters
    ----------
    items, data, rows, weights
        As for `ridge`.
    item_power : float
        The power `p`: how much less a popular item counts.
    length_power : float
        The power `q`: 0 for a sum, 1 for a mean. It matters beside item biases and in rating models; else
        it changes the scores, but not their order.
    norm
        As for `ridge`; it overrides `length_power`.

    Returns
    -------
    Person

    References
    ----------
    .. [1] X. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
       Recommendation", SIGIR 2020.
    """
    shares = item_shares(data.popularity[rows], item_power) * len(rows) ** -length_power
    if weights is not None:
        shares = shares * weights
    return Person(_scaled(items.weighted_sum(rows, shares), norm), 0.0)


def item_shares(popularity: NDArray[Any], item_power: float) -> NDArray[np.float64]:
    """Return how much items count in `degree_weighted_sum`, by their popularity."""
    # In float64 whatever the type: some NumPy versions would make float16 of bytes.
    shares: NDArray[np.float64] = np.maximum(popularity.astype(np.float64), 1.0) ** -item_power
    return shares


def ratings(
    items: TableScorer,
    data: ModelData,
    rows: NDArray[np.integer],
    weights: NDArray[np.float64] | None,
    *,
    regularization: float = 1.0,
    assumed_rating: float | None = None,
) -> Person:
    r"""Solve for the vector, and bias, that predict the history's ratings.

    The fold-in of explicit matrix factorisation: the `u` and `b` that minimise

    .. math:: \sum_{i \in H} (r_i - \mu - b_i - b - u^T v_i)^2 + \lambda (s \|u\|^2 + b^2)

    with `s` as for `ridge`, μ the model's offset and :math:`b_i` its item biases. Items without a rating
    say nothing here, unlike in implicit data. `b` is 0 in a model without user biases.

    Parameters
    ----------
    items, data, rows
        As for `ridge`.
    weights : ndarray of float64 or None
        The ratings.
    regularization : float
        Pull of the vector and the bias towards zero.
    assumed_rating : float or None
        What a history without ratings is taken for: the rating of something liked.

    Returns
    -------
    Person
    """
    if weights is None:
        if assumed_rating is None:
            raise SettingError("the model was trained on ratings; give those of the history as weights")
        weights = np.full(len(rows), assumed_rating)
    targets = weights - data.offset
    if data.item_bias is not None:
        targets = targets - data.item_bias[rows]
    dim, found = items.table.dim, items.entries(rows)
    columns = occurring(found)
    pulls = np.full(len(columns) + 1, regularization * (items.gram.mean_square or 1.0))
    pulls[-1] = regularization
    # The bias is one more column, in which every row has a 1.
    design = with_column(narrowed(found, columns, dim), len(columns), float(data.user_bias is not None))
    right = sums(design.indices, design.values * targets[design.majors], len(pulls))
    solution = solve(design, None, right, pulls)
    vector = np.zeros(dim, np.float32)
    vector[columns] = solution[:-1]
    return Person(vector, float(solution[-1]))


Encoder = Callable[..., Person]

#: The encoders by the name that a model file gives.
ENCODERS: Mapping[str, Encoder] = {"ridge": ridge, "sum": degree_weighted_sum, "ratings": ratings}

# The range of each setting. Some regularization keeps the systems solvable.
_RANGES = {
    "alpha": (0.0, 1e12),
    "regularization": (1e-6, 1e12),
    "norm": (0.0, 1e12),
    "assumed_rating": (-1e12, 1e12),
    "item_power": (0.0, 4.0),
    "length_power": (0.0, 4.0),
}


def check_encoder(name: str, settings: Mapping[str, Any]) -> None:
    """Check that an encoder exists and takes these settings.

    Raises
    ------
    ModelFormatError
        Naming the setting.
    """
    if name not in ENCODERS:
        raise ModelFormatError(f"encoder is {name!r}; expected one of {', '.join(ENCODERS)}")
    known = ENCODERS[name].__kwdefaults__ or {}
    for setting, value in settings.items():
        if setting not in known:
            raise ModelFormatError(
                f"encoder_settings holds {setting!r}; encoder {name!r} takes {', '.join(known)}"
            )
        least, most = _RANGES[setting]
        if type(value) not in (int, float) or not least <= value <= most:
            raise ModelFormatError(
                f"encoder_settings: {setting} is {value!r}; expected {least:g} to {most:g}"
            )


def encode(
    items: TableScorer, data: ModelData, rows: NDArray[np.integer], weights: NDArray[np.float64] | None
) -> Person:
    """Encode a person by the encoder that the model names.

    Parameters
    ----------
    items : TableScorer
        The item table.
    data : ModelData
        The model.
    rows : ndarray of int
        Rows of the history's items.
    weights : ndarray of float64 or None
        Weight, or rating, of each.

    Returns
    -------
    Person
    """
    return ENCODERS[data.encoder](items, data, rows, weights, **data.encoder_settings)


def _nobody(items: TableScorer) -> Person:
    return Person(np.zeros(items.table.dim, np.float32), 0.0)


def _scaled(vector: NDArray[np.floating], norm: float) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    if norm > 0.0 and length > 0.0:
        vector = vector * (norm / length)
    return vector.astype(np.float32)
