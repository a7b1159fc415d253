"""Input is checked once, at the boundary: expected / got / where / fix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array
    from mlpgrad.losses.base import Loss

CHUNK = 1 << 20  # elements looked at together: a memory-mapped file is never read whole


def numeric(values: Any, name: str) -> Array:
    """`values` as an array of numbers, not copied where it is one."""
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
    """Refuse NaN and infinity, naming the first place."""
    if array.dtype.kind in "biu":
        return
    rows_at_once = max(1, CHUNK * len(array) // array.size)
    for start in range(0, len(array), rows_at_once):
        rows = array[start : start + rows_at_once]
        if np.isfinite(rows.sum()) or np.isfinite(rows).all():  # a sum is quick, but may overflow
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


def inputs(x: Any, width: int | None, lead: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A network's input as `(B, I)` or `(E, B, I)`, its width and values checked."""
    array = numeric(x, "x")
    per_member = len(lead) == 1 and array.ndim == 3 and array.shape[:1] == lead
    if array.ndim != 2 and not per_member:
        expected = "(samples, features)" + (f" or ({lead[0]}, samples, features)" if lead else "")
        fix = "one sample: x[None, :]; one feature: x[:, None]" if array.ndim == 1 else "reshape it"
        raise ValueError(f"x expects shape {expected}, got {array.shape}; {fix}")
    if width is not None and array.shape[-1] != width:
        raise ValueError(
            f"x expects {width} features, as the first layer does, got {array.shape[-1]} "
            f"(shape {array.shape}); change the data or the layer"
        )
    real(array, "x", dtype)
    finite(array, "x")
    return array


def targets(
    y: Any,
    loss: Loss,
    out_features: int,
    samples: int,
    lead: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Array:
    """A target as the loss takes it: `(B, O)`, or `(E, B, O)`, or class indices `(B, 1)`."""
    array = numeric(y, "y")
    real(array, "y", dtype)
    finite(array, "y")
    per_member = len(lead) == 1 and array.shape[:2] == (*lead, samples) and lead != (samples,)
    if array.ndim == 1 or (array.ndim == 2 and per_member):
        array = array[..., None]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[:1] == lead):
        expected = f"(samples, {loss.target_features(out_features)})"
        raise ValueError(f"y expects shape {expected}, got {np.shape(y)}; reshape it")
    if array.shape[-2] != samples:
        raise ValueError(
            f"x and y expect the same number of samples, got {samples} rows in x and "
            f"{array.shape[-2]} in y (shape {np.shape(y)}); did rows get lost?"
        )
    return loss.check_target(array, out_features)


def sample_weights(weights: Any, samples: int, lead: tuple[int, ...]) -> Array | None:
    """Sample weights as `(B, 1)` or `(E, B, 1)`, none negative."""
    if weights is None:
        return None
    array = numeric(weights, "sample_weight")
    finite(array, "sample_weight")
    if array.shape not in ((samples,), (*lead, samples)):
        expected = f"({samples},)" + (f" or ({lead[0]}, {samples})" if lead else "")
        raise ValueError(
            f"sample_weight expects shape {expected}, one a sample, got {array.shape}; flatten it"
        )
    where = first_row(array, lambda rows: rows < 0, axis=-1)
    if where is not None:
        raise ValueError(
            f"sample_weight expects no negative number, got {array[where]}; "
            f"weight 0 leaves a sample out"
        )
    return array[..., None]


def random_generators(random_state: Any, count: int) -> list[np.random.Generator]:
    """`count` independent generators from an int, a Generator or None."""
    if isinstance(random_state, np.random.Generator):
        return list(random_state.spawn(count))
    if random_state is not None and not isinstance(random_state, (int, np.integer)):
        raise TypeError(
            f"random_state expects an int, a numpy Generator or None, "
            f"got {type(random_state).__name__}; the same int gives the same results"
        )
    seeds = np.random.SeedSequence(random_state).spawn(count)
    return [np.random.default_rng(seed) for seed in seeds]


def within(
    owner: Any, name: str, low: float, high: float = math.inf, *, open_below: bool = False
) -> None:
    """Refuse an option of `owner` that is not a number in [low, high), or in (low, high)."""
    value = getattr(owner, name)
    number = isinstance(value, (int, float, np.integer, np.floating))
    if not number or not low <= value < high or (open_below and value == low):
        interval = f"{'(' if open_below else '['}{low}, {high})"
        kind = type(owner).__name__
        raise ValueError(f"{kind}: {name} expects a number in {interval}, got {value!r}")
