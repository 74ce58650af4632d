"""Arrays, lists and data-frame columns, checked before they are used."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparserec_np.data.columns import integer_numbering, number_texts
from sparserec_np.errors import DataError
from sparserec_np.runtime.table_data import MAX_WEIGHT


def id_array(ids: ArrayLike, name: str) -> NDArray[np.int64] | list[str]:
    """Return ids as int64 or a list of strings.

    Parameters
    ----------
    ids : array-like of int or str
        Not modified.
    name : str
        What messages call it.

    Raises
    ------
    DataError
        If it has several dimensions, or holds what is no id: floats, empty strings, a mixture.
    """
    array = _flat_array(ids, name)
    if array.dtype.kind == "O" or array.size == 0:
        types = {type(id) for id in array.tolist()}
        if types and all(issubclass(kind, Integral) and kind is not bool for kind in types):
            try:
                return np.array([int(id) for id in array.tolist()], dtype=np.int64)
            except OverflowError:
                raise _too_large(name) from None
        if not all(issubclass(kind, str) for kind in types):
            found = " and ".join(sorted(kind.__name__ for kind in types))
            raise DataError(f"{name} holds {found}; expected ids that are all int or all str; convert them")
    elif array.dtype.kind in "iu":
        if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise _too_large(name)
        return array.astype(np.int64)
    elif array.dtype.kind not in "UT":
        raise DataError(
            f"{name} is of type {array.dtype}; expected integers or strings; convert it with astype(int) or "
            "astype(str)"
        )
    texts: list[str] = array.tolist()
    if "" in texts:
        raise DataError(f"{name}[{texts.index('')}] is ''; expected an id; fill it in or remove the row")
    return texts


def number_array(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return numbers, or dates as seconds since 1970, as float64.

    Parameters
    ----------
    values : array-like of float, int, bool or datetime64
        Not modified.
    name : str
        What messages call it.

    Raises
    ------
    DataError
        If it has several dimensions, is not numeric, or holds NaN or infinity.
    """
    array = _flat_array(values, name)
    if array.dtype.kind == "M":
        numbers = np.where(np.isnat(array), np.nan, array.astype("datetime64[us]").astype(np.int64) / 1e6)
    else:
        try:
            if array.dtype.kind not in "biufO":
                raise ValueError
            numbers = array.astype(np.float64)
        except (TypeError, ValueError):
            raise DataError(
                f"{name} is of type {array.dtype}; expected numbers; convert it with astype(float)"
            ) from None
    finite = np.isfinite(numbers)
    if not finite.all():
        at = int(np.argmin(finite))
        raise DataError(f"{name}[{at}] is {array[at]}; expected a finite number; correct or remove the row")
    return numbers


def weight_array(values: ArrayLike, *, allow_negative: bool) -> NDArray[np.float32]:
    """Return weights as float32.

    Parameters
    ----------
    values : array-like of float, int or bool
        Not modified.
    allow_negative : bool
        Whether a negative number is a rating like any other.

    Raises
    ------
    DataError
        As `number_array` does, and for weights that are negative or beyond `MAX_WEIGHT`.
    """
    weights = number_array(values, "weights")
    bad = np.abs(weights) > MAX_WEIGHT if allow_negative else (weights < 0) | (weights > MAX_WEIGHT)
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"weights[{at}] is {weights[at]}; expected 0 or more, at most {MAX_WEIGHT:g}; correct or remove "
            "the row, or give min_rating to turn ratings into positives"
        )
    return weights.astype(np.float32)


def number_ids(
    ids: NDArray[np.int64] | list[str],
) -> tuple[NDArray[np.int32], NDArray[np.int64] | list[str]]:
    """Give distinct ids their numbers in ascending order.

    Returns
    -------
    codes : ndarray of int32
        For each id, its number.
    distinct : ndarray of int64 or list of str
        The distinct ids, ascending.
    """
    if isinstance(ids, list):
        return number_texts(ids)
    numbering, distinct = integer_numbering([ids])
    return numbering(ids), distinct


def _flat_array(values: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if isinstance(values, list | tuple) and array.dtype.kind == "U":
        # NumPy would make strings of the numbers in a mixed list, and cut no string short in an object array.
        array = np.array(values, dtype=object)
    if array.ndim != 1:
        raise DataError(f"{name} has {array.ndim} dimensions; expected 1: one element for each interaction")
    return array


def _too_large(name: str) -> DataError:
    return DataError(f"{name} holds an integer beyond 64 bits; expected one that fits; give ids as strings")
