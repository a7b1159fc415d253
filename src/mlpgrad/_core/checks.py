"""Checks of input and options, made once at the boundary: expected / got / where / fix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array

CHUNK = 1 << 20  # elements checked at a time: a memory-mapped file is never read as a whole


def numeric(values: Any, name: str) -> Array:
    """`values` as an array of numbers; an array is not copied.

    Raises
    ------
    TypeError
        If `values` is a sparse matrix or does not hold numbers.
    ValueError
        If it is empty.
    """
    if hasattr(values, "toarray"):
        raise TypeError(f"{name} is a sparse matrix; pass {name}.toarray()")
    array = np.asarray(values)
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
    """Raise ValueError at the first NaN or infinity, naming its position."""
    if array.dtype.kind in "biu":
        return
    rows_at_once = max(1, CHUNK * len(array) // array.size)
    for start in range(0, len(array), rows_at_once):
        rows = array[start : start + rows_at_once]
        with np.errstate(over="ignore", invalid="ignore"):
            quick = rows.sum()  # but it may overflow
        if np.isfinite(quick) or np.isfinite(rows).all():
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
    """The first index at which `wrong(rows)` is true, or None; some rows along `axis` at a time.

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
    """`count` independent generators, spawned from an int, a Generator or None."""
    if isinstance(random_state, np.random.Generator):
        return list(random_state.spawn(count))
    if random_state is not None and not isinstance(random_state, (int, np.integer)):
        raise TypeError(
            f"random_state expects an int, a numpy Generator or None, "
            f"got {type(random_state).__name__}; the same int gives the same results"
        )
    seeds = np.random.SeedSequence(random_state).spawn(count)
    return [np.random.default_rng(seed) for seed in seeds]


def is_within(value: Any, low: float, high: float = math.inf, *, open_below: bool = False) -> bool:
    """Whether a value is a number in [low, high), or in (low, high)."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and type(value) is not bool
    return bool(number and low <= value < high and not (open_below and value == low))


def within(
    owner: Any, name: str, low: float, high: float = math.inf, *, open_below: bool = False
) -> None:
    """Raise ValueError if an option of `owner` is not a number in [low, high) or (low, high)."""
    value = getattr(owner, name)
    if not is_within(value, low, high, open_below=open_below):
        interval = f"{'(' if open_below else '['}{low}, {high})"
        kind = type(owner).__name__
        raise ValueError(
            f"{kind}: {name} expects a number in {interval}, got {value!r}{unquoted(value)}"
        )


def unquoted(value: Any) -> str:
    """Advice where text is given that a number could be read from; empty otherwise.

    Examples
    --------
    >>> unquoted("0.1")
    '; write 0.1 without quotes'
    """
    try:
        float(value if isinstance(value, str) else "")
    except ValueError:
        return ""
    return f"; write {value} without quotes"


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
