"""Input is checked once, at the boundary: expected / got / where / fix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arguments import unquoted as unquoted

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array

CHUNK = 1 << 20  # elements looked at together: a memory-mapped file is never read whole


def numeric(values: Any, name: str) -> Array:
    """`values` as an array of numbers, not copied where it is one."""
    array = arguments.as_array(values, name)
    if array.dtype.kind not in "biufc":
        kind = "strings" if array.dtype.kind in "US" else array.dtype.name
        raise TypeError(
            f"{name} expects numbers, got {kind} (dtype {array.dtype}); "
            f"convert with numpy.asarray({name}, dtype=float)"
        )
    if array.size == 0:
        raise ValueError(f"{name} is empty: shape {array.shape}; at least one sample is needed")
    return array


def finite(array: Array, name: str) -> None:
    """Refuse NaN and infinity, naming the first place."""
    if array.dtype.kind in "biu":
        return
    if array.ndim == 0:
        array = array[None]
    rows_at_once = max(1, CHUNK * len(array) // array.size)
    for start in range(0, len(array), rows_at_once):
        rows = array[start : start + rows_at_once]
        with np.errstate(all="ignore"):
            total = rows.sum()
        if np.isfinite(total) or np.isfinite(rows).all():  # a sum is quick, but may overflow
            continue
        where = np.argwhere(~np.isfinite(rows))[0]
        value = rows[tuple(where)]
        where[0] += start
        raise ValueError(
            f"{name} expects finite numbers, got {value} at {name}{[int(i) for i in where]}; "
            f"remove or impute such rows"
        )


def first_row(
    array: Array, wrong: Callable[[Array], Array], axis: int = -2
) -> tuple[int, ...] | None:
    """The first place where `wrong(rows)` is true, looking at some rows along `axis` at a time.

    Examples
    --------
    >>> first_row(np.array([[1.0], [2.0], [-3.0]]), lambda rows: rows < 0)
    (2, 0)
    """
    axis %= array.ndim
    samples = array.shape[axis]
    rows_at_once = max(1, CHUNK // 4 * samples // array.size)  # masks need memory, too
    for start in range(0, samples, rows_at_once):
        places = (slice(None),) * axis + (slice(start, start + rows_at_once),)
        with np.errstate(all="ignore"):  # a check of huge numbers may overflow, and says so
            mask = wrong(array[places])
        if mask.any():
            where = np.argwhere(mask)[0]
            where[axis] += start
            return tuple(int(i) for i in where)
    return None


def real(array: Array, name: str, dtype: np.dtype[Any]) -> None:
    """Refuse complex numbers for a real model."""
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(
            f"{name} expects real numbers for a {dtype} model, got complex; use {name}.real"
        )


def random_generators(random_state: Any, count: int) -> list[np.random.Generator]:
    """`count` independent generators from an int, a Generator or None."""
    if isinstance(random_state, np.random.Generator):
        return list(random_state.spawn(count))
    seeds = np.random.SeedSequence(arguments.checked_seed(random_state)).spawn(count)
    return [np.random.default_rng(seed) for seed in seeds]


def is_within(value: Any, low: float, high: float = math.inf, *, open_below: bool = False) -> bool:
    """Whether a value is a number in [low, high), or in (low, high)."""
    found = float(value) if arguments.is_number(value) else math.nan
    return low <= found < high and not (open_below and found == low)


def within(
    owner: Any, name: str, low: float, high: float = math.inf, *, open_below: bool = False
) -> None:
    """Refuse an option of `owner` that is not a number in [low, high), or in (low, high)."""
    ends = "()" if open_below else "[)"
    arguments.number(getattr(owner, name), f"{type(owner).__name__}: {name}", low, high, ends=ends)


def boolean(owner: Any, name: str) -> None:
    """Raise TypeError if an option of `owner` is neither True nor False."""
    value = getattr(owner, name)
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{type(owner).__name__}: {name} expects True or False, got {value!r}")


def names(owner: Any, name: str) -> None:
    """Raise TypeError if an option of `owner` is not a collection of names of parameters."""
    value = getattr(owner, name)
    several = isinstance(value, (tuple, list, set, frozenset))
    if not several or not all(isinstance(item, str) for item in value):
        raise TypeError(
            f"{type(owner).__name__}: {name} expects a tuple of names such as ('weights',), "
            f"got {value!r}"
        )
