"""The target and the weights in the form that encodings take."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arguments import as_array
from mlpgrad._core.arrays import Array


def target_columns(y: Any, rows: int) -> Array | None:
    """Return a target as `(n, O)` numbers; text and booleans become one column per class.

    Examples
    --------
    >>> target_columns(["no", "yes", "no"], 3)
    array([[1., 0.],
           [0., 1.],
           [1., 0.]])
    """
    if y is None:
        return None
    array = as_array(y, "y")
    if array.ndim not in (1, 2) or len(array) != rows:
        raise ValueError(
            f"y expects shape ({rows},) or ({rows}, O), as the table has {rows} rows, got "
            f"{array.shape}"
        )
    texts = array.dtype.kind in "UST" or (
        array.dtype.kind == "O" and all(isinstance(value, (str, bool)) for value in array.flat)
    )
    if array.ndim == 1 and (texts or array.dtype.kind == "b"):
        labels = array.astype(str)
        return np.asarray(labels[:, None] == np.unique(labels), np.float64)
    array = checks.numeric(y, "y")
    checks.real(array, "y", np.dtype(np.float64))
    checks.finite(array, "y", np.dtype(np.float64))
    return array.astype(np.float64).reshape(rows, -1)


def weights_of(sample_weight: Any, rows: int) -> Array:
    """Return checked weights `(n,)`; ones if none are given."""
    if sample_weight is None:
        return np.ones(rows)
    weights = checks.numeric(sample_weight, "sample_weight").astype(np.float64)
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight expects shape ({rows},), got {weights.shape}; flatten it")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(
            "sample_weight expects finite numbers >= 0, at least one above 0; a weight of 0 "
            "leaves a row out"
        )
    return weights
