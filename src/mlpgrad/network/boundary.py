"""Checks of a network's inputs, targets and sample weights: expected, got, where, fix."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array, read_only
from mlpgrad.losses.base import Loss


def inputs(x: Any, width: int | None, lead: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a network's input as `(B, I)` or `(E, B, I)`, with its width and values checked."""
    array = checks.numeric(x, "x")
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
    checks.real(array, "x", dtype)
    checks.finite(array, "x", dtype)
    return read_only(array)


def targets(
    y: Any,
    loss: Loss,
    out_features: int,
    samples: int,
    lead: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Array:
    """Return a target as the loss takes it: `(B, O)`, `(E, B, O)`, or class indices `(B, 1)`."""
    array = checks.numeric(y, "y")
    checks.real(array, "y", dtype)
    if array.ndim:
        checks.finite(array, "y", dtype)
    if array.ndim == 1 or (array.ndim == 2 and _per_member(array.shape, samples, lead)):
        array = array[..., None]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[:1] == lead):
        expected = f"(samples, {loss.target_features(out_features)})"
        raise ValueError(f"y expects shape {expected}, got {np.shape(y)}; reshape it")
    if array.shape[-2] != samples:
        raise ValueError(
            f"x and y expect the same number of samples, got {samples} rows in x and "
            f"{array.shape[-2]} in y (shape {np.shape(y)}); did rows get lost?"
        )
    found = loss.check_target(array, out_features)
    return read_only(found) if found.dtype.kind == "f" else found  # NumPy copies such indices


def is_matrix(shape: tuple[int, ...], samples: int, lead: tuple[int, ...]) -> bool:
    """Return whether a target has several columns, `(B, T)` or `(E, B, T)`."""
    several = len(shape) > 1 and shape[-1] != 1
    return several and not (len(shape) == 2 and _per_member(shape, samples, lead))


def _per_member(shape: tuple[int, ...], samples: int, lead: tuple[int, ...]) -> bool:
    """Return whether the first two axes of a target are members and samples."""
    return len(lead) == 1 and shape[:2] == (*lead, samples) and lead != (samples,)


def sample_weights(
    weights: Any, samples: int, lead: tuple[int, ...], dtype: np.dtype[Any]
) -> Array | None:
    """Return sample weights as `(B, 1)` or `(E, B, 1)`, finite in the model's dtype and >= 0."""
    if weights is None:
        return None
    array = checks.numeric(weights, "sample_weight")
    if array.shape not in ((samples,), (*lead, samples)):
        expected = f"({samples},)" + (f" or ({lead[0]}, {samples})" if lead else "")
        flat = array.ndim == 2 and array.size == samples
        fix = "flatten it" if flat else "give one number for each row of x"
        raise ValueError(
            f"sample_weight expects shape {expected}, one per sample, got {array.shape}; {fix}"
        )
    checks.real(array, "sample_weight", np.dtype(float))
    column: Array = array[..., None]
    check_weights(column, dtype, "sample_weight")
    return read_only(column)


def check_weights(weights: Array, dtype: np.dtype[Any], name: str) -> None:
    """Raise ValueError unless weights `(..., B, 1)` are >= 0, finite, and nonzero in `dtype` too.

    All may be zero: see `check_some_weight`.
    """
    flat, real = weights[..., 0], np.finfo(dtype).dtype
    checks.finite(flat, name, dtype)
    where = checks.first_row(flat, lambda rows: rows < 0, axis=-1)
    if where is not None:
        raise ValueError(
            f"{name} expects no negative number, got {flat[where]} at {name}{list(where)}; "
            f"weight 0 leaves a sample out"
        )
    with np.errstate(over="ignore"):
        mean = flat.mean(axis=-1, keepdims=True, dtype=np.result_type(flat, np.float64))
        total = mean * flat.shape[-1]
    if (total > np.finfo(dtype).max).any():
        raise ValueError(
            f"{name} expects a sum that {real} can hold, got {total.max()}; divide by the mean"
        )

    def vanishes(rows: Array) -> Array:
        gone: Array = (rows != 0) & (rows.astype(real) == 0)
        return gone

    where = checks.first_row(flat, vanishes, axis=-1)
    if where is not None:
        small = vanishes(flat[where] / mean[..., 0]).any()
        fix = 'write 0, or make the model with dtype="float64"' if small else "divide by the mean"
        raise ValueError(
            f"{name} expects numbers that {real} can hold, got {flat[where]} at "
            f"{name}{list(where)}, which would become 0; {fix}"
        )


def check_some_weight(weights: Array, rows: str) -> None:
    """Raise ValueError if all weights `(..., B, 1)` of a network are zero."""
    empty = np.atleast_1d(~weights.any(axis=(-2, -1)))
    if empty.any():
        member = f" for member {int(empty.argmax())}" if weights.ndim == 3 else ""
        raise ValueError(
            f"sample_weight expects a number above 0 for at least one sample, but all weights of "
            f"{rows}{member} are 0; give those that count a positive weight"
        )


def check_have_classes(outputs: Array) -> None:
    """Raise ValueError if outputs `(..., B, O)` overflowed, so that no class is the likeliest.

    The output -inf is valid: that of a class with probability 0.
    """
    wrong = ~(outputs.real < np.inf).all(axis=-1)  # NaN, too
    if wrong.any():
        row = int(np.argwhere(wrong)[0, -1])
        raise ValueError(
            f"the outputs for x[{row}] are not finite, so that it has no class; the weights or "
            f"the inputs are too large for {outputs.dtype}"
        )
