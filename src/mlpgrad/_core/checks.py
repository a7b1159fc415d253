"""Checks of input and options, made once at the boundary: expected / got / where / fix."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arguments import refuse_hidden as refuse_hidden
from mlpgrad._core.arguments import unquoted as unquoted
from mlpgrad._core.conversion import check_not_empty, converted
from mlpgrad._core.frames import is_frame, numbers

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array

CHUNK = 1 << 20  # elements checked at a time, so that a memory-mapped file is never read as a whole


def numeric(values: Any, name: str) -> Array:
    """Return `values` as an array of numbers; an array is not copied.

    Raises
    ------
    TypeError
        If `values` is a sparse matrix or does not hold numbers.
    ValueError
        If it is empty, or a masked array with masked values.
    """
    if type(values) is not np.ndarray and is_frame(values):
        values = numbers(values, name)
    array = arguments.as_array(values, name)
    check_not_empty(array, name)
    if array.dtype.kind not in "biufc":
        array = converted(array, name)
    return array


def finite(array: Array, name: str, dtype: np.dtype[Any] | None = None) -> None:
    """Raise ValueError for NaN or infinity, naming the first place.

    Parameters
    ----------
    array : array
        The array; a memory-mapped file is read in blocks.
    name : str
    dtype : floating dtype, optional
        The dtype to which the array will be cast; numbers that are too large for it are refused.
    """
    dtype = np.result_type(array, np.float16) if dtype is None else dtype
    largest = _largest(dtype)
    if array.size <= CHUNK and _is_tame(array, largest):  # such as a single row of a prediction
        return
    if array.dtype.kind in "biu" and np.finfo(dtype).maxexp > 64:
        return
    for start, rows in blocks(array):
        if _is_tame(rows, largest):
            continue
        with np.errstate(over="ignore"):
            wrong = ~np.isfinite(rows.astype(dtype, copy=False))
        if wrong.any():
            row, *rest = np.argwhere(wrong)[0].tolist()
            value, place = rows[(row, *rest)], [*start[:-1], start[-1] + row, *rest]
            raise ValueError(_not_finite(name, value, f"{name}{place}", dtype))


@functools.lru_cache(maxsize=16)
def _largest(dtype: np.dtype[Any]) -> Any:
    """Return the largest number of a dtype; `np.finfo` takes as long as the check itself."""
    return np.finfo(dtype).max


def _is_tame(array: Array, largest: Any) -> bool:
    """Return whether the sum of squares, the fastest check of all numbers, is within bounds."""
    return array.dtype.kind in "fc" and bool(abs(np.vdot(array, array)) <= largest)


def _not_finite(name: str, value: Any, place: str, dtype: np.dtype[Any]) -> str:
    if not np.isfinite(value):
        return f"{name} expects finite numbers, got {value} at {place}; remove or impute such rows"
    fix = "rescale it"
    if abs(float(value.real)) <= np.finfo(np.float64).max:
        fix += ', or make the model with dtype="float64"'
    return f"{name} expects numbers that {dtype} can hold, got {value!s} at {place}; {fix}"


def blocks(array: Array) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Yield an array in blocks of rows, each with its start index."""
    if array.ndim > 2:
        for index, part in enumerate(array):
            yield from (((index, *start), rows) for start, rows in blocks(part))
        return
    if array.ndim == 0:
        array = array[None]
    rows_at_once = max(1, CHUNK * len(array) // array.size)
    for first in range(0, len(array), rows_at_once):
        yield (first,), array[first : first + rows_at_once]


def first_row(
    array: Array, wrong: Callable[[Array], Array], axis: int = -2
) -> tuple[int, ...] | None:
    """Return the first index at which `wrong(rows)` is true, or None; checked in blocks of rows.

    Examples
    --------
    >>> first_row(np.array([[1.0], [2.0], [-3.0]]), lambda rows: rows < 0)
    (2, 0)
    """
    axis %= array.ndim
    samples = array.shape[axis]
    rows_at_once = max(1, CHUNK // 4 * samples // array.size)  # masks also need memory
    for start in range(0, samples, rows_at_once):
        places = (slice(None),) * axis + (slice(start, start + rows_at_once),)
        with np.errstate(all="ignore"):  # a check of huge numbers may overflow, which it reports
            mask = wrong(array[places])
        if mask.any():
            where = np.argwhere(mask)[0]
            where[axis] += start
            return tuple(int(i) for i in where)
    return None


def real(array: Array, name: str, dtype: np.dtype[Any]) -> None:
    """Raise TypeError if `array` is complex and the model's `dtype` is real."""
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(
            f"{name} expects real numbers for a {dtype} model, got complex; use {name}.real"
        )


def random_generators(random_state: Any, count: int) -> list[np.random.Generator]:
    """Return `count` independent generators, spawned from an int, a Generator or None."""
    if isinstance(random_state, np.random.Generator):
        return list(random_state.spawn(count))
    seeds = np.random.SeedSequence(arguments.checked_seed(random_state)).spawn(count)
    return [np.random.default_rng(seed) for seed in seeds]


def is_within(value: Any, low: float, high: float = math.inf, *, open_below: bool = False) -> bool:
    """Return whether a value is a number in [low, high), or in (low, high)."""
    found = float(value) if arguments.is_number(value) else math.nan
    return low <= found < high and not (open_below and found == low)


def within(
    owner: Any, name: str, low: float, high: float = math.inf, *, open_below: bool = False
) -> None:
    """Raise ValueError if an option of `owner` is not a number in [low, high) or (low, high)."""
    ends = "()" if open_below else "[)"
    arguments.number(getattr(owner, name), f"{type(owner).__name__}: {name}", low, high, ends=ends)


def boolean(owner: Any, name: str) -> None:
    """Raise TypeError if an option of `owner` is neither True nor False."""
    value = getattr(owner, name)
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"{type(owner).__name__}: {name} expects True or False, got {arguments.shown(value)}"
        )


def names(owner: Any, name: str, value: Any) -> Any:
    """Return an option of `owner`, which must be names of parameters; a list becomes a tuple."""
    several = isinstance(value, (tuple, list, set, frozenset))
    if not several or not all(isinstance(item, str) for item in value):
        raise TypeError(
            f"{type(owner).__name__}: {name} expects a tuple of names such as ('weights',), "
            f"got {arguments.shown(value)}"
        )
    return tuple(value) if isinstance(value, list) else value
