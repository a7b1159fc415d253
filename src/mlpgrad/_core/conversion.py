"""Conversion of objects, text and columns to numbers, with errors that name what fails."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array


def converted(array: Array, name: str, *, code: str = "") -> Array:
    """Convert an array of another dtype to an array of numbers.

    Parameters
    ----------
    array : array
        The values, in a non-numeric dtype.
    name : str
        Its name in messages.
    code : str, optional
        The code for the column of a frame: `x['town']`.

    Raises
    ------
    TypeError
        If an element is not a number.
    """
    kind = array.dtype.kind
    if kind in "UST":
        _refuse_text(array, name, code)
    if kind != "O":
        raise TypeError(f"{name} expects numbers, got {array.dtype.name}; {_fix(kind, name, code)}")
    for index, value in enumerate(array.flat):
        if isinstance(value, (numbers.Number, np.bool_)):
            continue
        if isinstance(value, (str, bytes)):
            _refuse_text(array, name, code)
        if not array.ndim:
            raise TypeError(
                f"{name} expects an array of numbers, got {_shown(value)}; pass an array, or a "
                f"list with a row for each sample"
            )
        place = [int(i) for i in np.unravel_index(index, array.shape)]
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            fix = "remove or impute such rows"
        else:
            fix = "convert it to numbers, one for each element of the array"
        raise TypeError(f"{name} expects numbers, got object: {_shown(value)} at {place}; {fix}")
    return _numbers(array)


def check_not_empty(array: Array, name: str) -> None:
    """Raise ValueError for an array without elements, which says what is missing."""
    if array.size == 0:
        missing = "column" if all(array.shape[:-1]) and array.ndim > 1 else "sample"
        raise ValueError(f"{name} is empty: shape {array.shape}; at least one {missing} is needed")


def _fix(kind: str, name: str, code: str) -> str:
    """Return what to write for dates and durations."""
    if kind not in "Mm":
        return "convert it to an array of one kind of number"
    since = f"({code or name} - {code or name}.min())" if kind == "M" else code or name
    days = f"{since}.dt.total_seconds() / 86400" if code else f"{since} / numpy.timedelta64(1, 'D')"
    return f"write {days} for days"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refuse_text(array: Array, name: str, code: str) -> NoReturn:
    """Raise TypeError for text, with advice for numbers as text, for columns, and for others."""
    check_not_empty(array, name)
    text = [(row, value) for row, value in enumerate(array.flat) if isinstance(value, (str, bytes))]
    row, first = text[0]
    numbers_in_text = len(text) == array.size and _are_numbers(array)
    if not numbers_in_text and (name == "y" or code.startswith("y[")):
        raise TypeError(
            f"y expects numbers, got strings such as {_shown(str(first))}; if these are classes, "
            "use a loss on classes, such as SoftmaxCrossEntropy"
        )
    if code:
        table = code.partition("[")[0]
        raise TypeError(
            f"{name} expects numbers, got {_shown(str(first))} in row {row}; encode the columns: "
            f"{table} = mg.tables.TableEncoder().fit({table}).transform({table})"
        )
    if numbers_in_text:
        fix = f"convert with numpy.asarray({name}, dtype=float)"
    else:
        fix = "convert the text to numbers, for instance one column of 0 and 1 for each category"
    raise TypeError(
        f"{name} expects numbers, got strings such as {_shown(str(first))} "
        f"(dtype {array.dtype}); {fix}"
    )


def _are_numbers(array: Array) -> bool:
    try:
        np.asarray(array, dtype=float)
    except ValueError:
        return False
    return True


def _numbers(array: Array) -> Array:
    """Return an array of number objects in the narrowest of int64, float64 and so on."""
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
    """Return numbers as float64; integers that are too large become infinite."""

    def number(value: Any) -> float:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf

    return np.array([number(value) for value in array.flat]).reshape(array.shape)
