"""What the residuals of a trained network say of the noise of its targets."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array, counting
from mlpgrad.network.network import Network
from mlpgrad.uncertainty.tails import kurtosis_of

ROUNDING = float(np.finfo(np.float32).eps)
"""Residuals below this fraction of the largest target are rounding errors."""


def residuals_of(
    network: Network, x: Array, target: Array, weights: Array | None
) -> tuple[Array, Array]:
    """Return the mean squared residual and the excess kurtosis of each target, `(T,)`.

    Parameters
    ----------
    network : Network
        One network, at its current weights.
    x, target, weights : array (..., n, I), (..., n, T), and (..., n, 1) or None
        Checked rows, in the scaled units of the training.
    """
    errors = (network._predict(x).astype(np.float64) - target).reshape(-1, target.shape[-1])
    errors, weights = counting(None if weights is None else weights.reshape(-1, 1), errors)
    counted = None if weights is None else weights[:, 0]
    squares = np.average(np.square(errors), axis=0, weights=counted)
    return np.asarray(squares), kurtosis_of(errors, weights)


def sizes_of(target: Array, weights: Array | None) -> Array:
    """Return the largest absolute value of each target, `(..., T)`, in rows of nonzero weight."""
    sizes = np.abs(target) if weights is None else np.abs(target) * (weights > 0)
    return np.asarray(sizes.max(axis=-2))


def above_rounding(squares: Array, sizes: Array) -> Array:
    """Return mean squared residuals `(..., T)`, none of which is smaller than rounding errors.

    A target that is fitted exactly would have noise of infinite precision.

    Parameters
    ----------
    squares : array (..., T)
    sizes : array (T,) or (..., T)
        The result of `sizes_of`; where it is 0, the residuals of all targets are taken.
    """
    of_all = np.sqrt(squares.mean(axis=-1, keepdims=True))
    least = np.square(ROUNDING * np.where(sizes > 0, sizes, of_all))
    return np.maximum(squares, np.maximum(least, np.finfo(np.float64).tiny))
