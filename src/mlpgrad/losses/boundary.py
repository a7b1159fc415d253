"""Checks of the arguments of `Loss.forward`, made if shapes or dtypes have changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array, Shape
from mlpgrad._core.calls import is_own


def not_arrays(loss: Any, prediction: Any, target: Any) -> TypeError:
    """The error for arguments that have neither shape nor dtype."""
    pairs = (("prediction", prediction), ("target", target))
    name, value = next((n, v) for n, v in pairs if not isinstance(v, np.ndarray))
    return _type_error(loss, name, value)


def check_arguments(loss: Any, prediction: Array, target: Array) -> None:
    """Raise an error unless these are a batch of outputs with its targets."""
    for name, array in (("prediction", prediction), ("target", target)):
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufc":
            raise _type_error(loss, name, array)
    if prediction.dtype.kind not in "fc":
        raise _type_error(loss, "prediction", prediction)
    if prediction.ndim not in (2, 3) or not prediction.size:
        raise ValueError(
            f"{type(loss).__name__}.forward expects prediction of shape (B, O) or (E, B, O), got "
            f"{prediction.shape}; one row for each sample, one column for each output"
        )
    *lead, samples, outputs = prediction.shape
    widths = {loss.target_features(outputs)} | ({1} if loss.classifies else set())
    rows = target.shape[:-1] in ((samples,), (*lead, samples))
    if not rows or target.shape[-1] not in widths:
        width = " or ".join(map(str, sorted(widths)))
        raise ValueError(
            f"{type(loss).__name__}.forward expects target of shape ({samples}, {width}) for a "
            f"prediction of shape {prediction.shape}, got {target.shape}; one row for each sample"
        )
    if not is_own(type(loss).cast):
        return  # only a user-defined class knows its targets
    expected = loss.cast(np.empty((0, target.shape[-1]), target.dtype), prediction.dtype).dtype
    if not np.can_cast(target.dtype, expected, "same_kind"):
        raise TypeError(
            f"{type(loss).__name__}.forward expects target as {expected}, got {target.dtype}; "
            f"convert it with loss.cast(target, prediction.dtype)"
        )


def check_weights(loss: Any, weights: Any, shape: Shape) -> None:
    """Raise an error unless these are the weights of a batch of `shape`, `(..., B)`."""
    if not isinstance(weights, np.ndarray) or weights.dtype.kind not in "fc":
        raise _type_error(loss, "weights", weights)
    if weights.shape not in ((*shape, 1), (shape[-1], 1)):
        raise ValueError(
            f"{type(loss).__name__}.forward expects weights of shape {(*shape, 1)}, got "
            f"{weights.shape}; a column with a number for each sample, weights[:, None]"
        )


def _type_error(loss: Any, name: str, value: Any) -> TypeError:
    found = getattr(value, "dtype", None)
    got = f"an array of {found}" if isinstance(value, np.ndarray) else arguments.shown(value)
    return TypeError(
        f"{type(loss).__name__}.forward expects {name} as an array of numbers such as float64, "
        f"got {got}; convert it with numpy.asarray({name}, dtype=float)"
    )
