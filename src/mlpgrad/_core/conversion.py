"""Objects, text and columns: converted where they are numbers, otherwise named in an error."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array


def converted(values: Any, array: Array, name: str, *, labels: bool = False) -> Array:
    """`array`, which NumPy has made of `values`, as an array of numbers.

    Parameters
    ----------
    values : object
        What was given: the columns of a data frame are named in messages.
    array : array
        Of a dtype that is not one of numbers.
    name : str
        What to call it in messages.
    labels : bool
        Whether text in it would be names of classes.

    Raises
    ------
    TypeError
        If an element is not a number.
    """
    if array.dtype.kind in "UST":
        _refuse_text(array, name, labels)
    if array.dtype.kind != "O":
        fix = {
            "M": f"write ({name} - {name}.min()) / numpy.timedelta64(1, 'D') for days",
            "m": f"write {name} / numpy.timedelta64(1, 'D') for days",
        }.get(array.dtype.kind, "convert it to an array of one kind of number")
        raise TypeError(f"{name} expects numbers, got {array.dtype.name}; {fix}")
    if not labels and getattr(values, "ndim", 0) == 2 and hasattr(values, "columns"):
        for column, position in zip(values.columns, range(array.shape[1]), strict=True):
            _check_elements(array[:, position], f"column {column!r} of {name}", name, column)
    else:
        _check_elements(array, name, name, labels=labels)
    return _numbers(array)


def _check_elements(
    array: Array, name: str, whole: str, column: Any = None, *, labels: bool = False
) -> None:
    """Raise TypeError for the first element that is not a number."""
    for index, value in enumerate(array.flat):
        if isinstance(value, (numbers.Number, np.bool_)):
            continue
        if isinstance(value, (str, bytes)) and column is None:
            _refuse_text(array, name, labels)
        place = [int(i) for i in np.unravel_index(index, array.shape)]
        if isinstance(value, (str, bytes)):
            raise TypeError(
                f"{name} expects numbers, got {_shown(str(value))} in row {index}; convert the "
                f"column, for instance with pandas.get_dummies({whole}, columns=[{column!r}])"
            )
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            fix = "remove or impute such rows"
        else:
            fix = "convert it to numbers, one for each place of the array"
        raise TypeError(f"{name} expects numbers, got object: {_shown(value)} at {place}; {fix}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refuse_text(array: Array, name: str, labels: bool) -> NoReturn:
    """Raise TypeError for text, with what helps: for numbers in text, for classes, for others."""
    text = [value for value in array.flat if isinstance(value, (str, bytes))]
    all_text = len(text) == array.size
    if labels and all_text:
        fix = f"number the classes: classes, {name} = np.unique({name}, return_inverse=True)"
    elif all_text and _are_numbers(array):
        fix = f"convert with numpy.asarray({name}, dtype=float)"
    else:
        fix = "convert the text to numbers, for instance one column of 0 and 1 for each category"
    raise TypeError(
        f"{name} expects numbers, got strings such as {_shown(str(text[0]))} "
        f"(dtype {array.dtype}); {fix}"
    )


def _are_numbers(array: Array) -> bool:
    try:
        np.asarray(array, dtype=float)
    except ValueError:
        return False
    return True


def _numbers(array: Array) -> Array:
    """An array of objects that are numbers, in the narrowest of int64, float64 and so on."""
    kinds = {type(value) for value in array.flat}
    if all(issubclass(kind, (numbers.Integral, np.bool_)) for kind in kinds):
        try:
            return array.astype(np.int64)
        except OverflowError:
            return _as_floats(array)
    if any(issubclass(kind, np.longdouble) for kind in kinds):
        return array.astype(np.longdouble)
    if all(
        issubclass(kind, numbers.Real) or not issubclass(kind, numbers.Complex) for kind in kinds
    ):
        return _as_floats(array)
    return array.astype(np.complex128)


def _as_floats(array: Array) -> Array:
    """Numbers as float64; integers that are too large for it are infinite."""

    def number(value: Any) -> float:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf

    return np.array([number(value) for value in array.flat]).reshape(array.shape)
