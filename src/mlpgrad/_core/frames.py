"""Data frames of pandas and polars: column names and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.conversion import converted

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array


def is_frame(values: Any) -> bool:
    """Return whether this is a DataFrame of pandas or polars; raise TypeError for other ones."""
    if hasattr(type(values), "collect_schema") and not hasattr(type(values), "to_numpy"):
        raise TypeError(f"got a {type(values).__name__}; pass frame.collect()")
    if hasattr(type(values), "column_names") and hasattr(type(values), "to_pandas"):
        raise TypeError(f"got a {type(values).__name__} of Arrow; pass table.to_pandas()")
    return getattr(values, "ndim", 2) == 2 and hasattr(values, "columns")


def column_names(values: Any) -> tuple[str, ...] | None:
    """Return the column names of a frame if all are text; None for anything else."""
    if not is_frame(values):
        return None
    names = tuple(values.columns)
    return names if all(isinstance(name, str) for name in names) else None


def check_columns(names: tuple[str, ...], known: tuple[str, ...], what: str = "x") -> None:
    """Raise ValueError unless the columns are the known ones in the same order.

    Examples
    --------
    >>> check_columns(("b", "a", "c"), ("a", "b"))
    Traceback (most recent call last):
        ...
    ValueError: x expects the columns of the training; additional: 'c'; write
    x[list(model.feature_names_)]
    """
    if names == known:
        return
    missing = [name for name in known if name not in names]
    additional = [name for name in names if name not in known]
    model_has = "feature_names_" if what == "x" else "classes_"
    fix = f"give {what} all of them" if missing else f"write {what}[list(model.{model_has})]"
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{what} has two columns named {twice!r}; remove or rename one of them")
    if not missing and not additional:
        place = next(i for i, pair in enumerate(zip(names, known, strict=True)) if len({*pair}) > 1)
        raise ValueError(
            f"{what} expects its columns in the order of the training, {known[place]!r} at place "
            f"{place}, got {names[place]!r}; {fix}"
        )
    kinds = (("missing", missing), ("additional", additional))
    said = [f"{kind}: {', '.join(map(repr, some))}" for kind, some in kinds if some]
    raise ValueError(f"{what} expects the columns of the training; {'; '.join(said)}; {fix}")


def numbers(frame: Any, name: str) -> Array:
    """Return the numbers of a frame, `(n, columns)`, in the common dtype of all columns.

    Parameters
    ----------
    frame : DataFrame
    name : str
        Its name in messages.

    Raises
    ------
    TypeError
        If a column does not hold numbers, or a number is missing; the message names the column.
    """
    columns = [_numbers_of(column, values, name) for column, values in columns_of(frame)]
    if not columns:
        return np.empty((len(frame), 0))
    out = np.empty((len(frame), len(columns)), np.result_type(*columns))
    for position, column in enumerate(columns):
        out[:, position] = column
    return out


def columns_of(frame: Any) -> Iterator[tuple[Any, Any]]:
    """Return the columns by name and position, since names may be repeated."""
    for position, column in enumerate(frame.columns):
        if hasattr(frame, "iloc"):
            yield column, frame.iloc[:, position]
        elif hasattr(frame, "to_series"):
            yield column, frame.to_series(position)
        else:
            yield column, frame[column]


def without_index(column: Any) -> Any:
    """Return a column of a frame as an array; anything else unchanged."""
    return column.to_numpy() if hasattr(column, "to_numpy") else column


def taken(values: Any, array: Array, rows: Array) -> Any:
    """Return some rows as a frame or Series if `values` is one, else of the array made of it."""
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    if type(values).__module__.partition(".")[0] == "polars":
        return values[rows]
    return array[rows]


def _numbers_of(column: Any, values: Any, name: str) -> Array:
    array = np.asarray(without_index(values))
    if array.dtype.kind not in "biufc":
        array = converted(array, f"column {column!r} of {name}", code=f"{name}[{column!r}]")
    missing = np.isnan(array) if array.dtype.kind == "f" else np.empty(0)
    if missing.any():
        raise ValueError(
            f"column {column!r} of {name} expects finite numbers, got nan in row "
            f"{int(missing.argmax())}; remove or impute such rows"
        )
    return array
