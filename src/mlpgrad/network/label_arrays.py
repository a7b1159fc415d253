"""Conversion of labels to arrays, from lists, object arrays, pandas, polars and categories."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arguments import as_array, shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.checks import numeric

GAPS = ("NoneType", "NAType", "NaTType")


class Given(NamedTuple):
    """A target as an array, and what its type says of its classes."""

    array: Array
    """Numbers, booleans or text; `(n,)`, or with more axes as given."""
    categories: Array | None = None
    """The categories of a categorical type, in their order."""
    names: tuple[str, ...] | None = None
    """The names of the columns of a frame that has several."""


def given_labels(y: Any) -> Given:
    """Convert a target of any kind; an array of numbers is returned unchanged.

    Raises
    ------
    ValueError
        If a label is missing; the message names the row.
    TypeError
        If labels are of several kinds, or neither text nor numbers nor booleans.
    """
    if type(y) is np.ndarray and y.dtype.kind in "biufc":
        return Given(y)
    if getattr(y, "ndim", 0) == 2 and hasattr(y, "columns"):
        names = tuple(y.columns)
        if len(names) != 1:
            text = all(isinstance(name, str) for name in names)
            return Given(_array(y), names=names if text else None)
        y = y.iloc[:, 0] if hasattr(y, "iloc") else y[names[0]]
    categories = _categories(y)
    return Given(_array(y), None if categories is None else _array(categories))


def _categories(y: Any) -> Any:
    """Return the categories of pandas' categorical types and of polars' Enum."""
    dtype: Any = getattr(y, "dtype", None)
    ordered = str(dtype) == "category" or str(dtype).startswith("Enum")
    return dtype.categories if ordered else None


def _array(y: Any) -> Array:
    """Return values as an array of booleans, numbers or text."""
    array = y.to_numpy() if hasattr(y, "to_numpy") else as_array(y, "y")
    if type(array) is not np.ndarray:
        array = np.asarray(array)
    if array.dtype.kind in "US" and isinstance(y, (list, tuple)):
        array = np.array(y, object)  # NumPy has converted numbers to text
    if array.dtype.kind in "biufcUS" or not array.size:
        return array
    if array.dtype.kind == "T":
        array = array.astype(object)
    if array.dtype.kind != "O":
        raise TypeError(
            f"y expects labels that are text, numbers or booleans, got {array.dtype}; "
            f"write y.astype(str)"
        )
    return _of_objects(array)


def _of_objects(array: Array) -> Array:
    """Return an array from objects that are all text, all booleans, or other numbers."""
    array = np.atleast_1d(array)
    first: dict[str, tuple[int, Any]] = {}
    for place, value in enumerate(array.flat):
        first.setdefault(_kind(value), (place * len(array) // array.size, value))
    if "gap" in first:
        row, value = first["gap"]
        raise ValueError(
            f"y expects a label in each row, got {value} in row {row} of y; remove such rows, or "
            "give them a separate class"
        )
    if len(first) == 1 and not first.keys() & {"number"}:
        return np.array(array.tolist()).reshape(array.shape)
    if "text" in first:
        row, value = next(found for kind, found in first.items() if kind != "text")
        raise TypeError(
            f"y expects labels that are all text or all numbers, got text and {shown(value)} in "
            f"row {row} of y; write them all as text: [str(label) for label in y]"
        )
    return numeric(array, "y")


def _kind(value: Any) -> str:
    """Return the kind of an object: text, boolean, missing, or a number or anything else."""
    if isinstance(value, (str, bytes)):
        return "text" if isinstance(value, str) else "bytes"
    if isinstance(value, (bool, np.bool_)):
        return "boolean"
    missing = type(value).__name__ in GAPS or (isinstance(value, float) and value != value)
    return "gap" if missing else "number"
