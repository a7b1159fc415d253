"""Squared errors in which each target has a factor: the likelihood of noise of several sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, Shape, constant, sum_rows
from mlpgrad.losses.base import Loss
from mlpgrad.losses.curvature import diagonal


def squared_error(factors: Array) -> Loss:
    """Return the loss l = 1/2 sum_k f_k (y_k - t_k)^2, which estimates of noise are made with.

    With f_k = 1 / (variance of the noise of target k), it is the negative log likelihood without
    its constant.

    Parameters
    ----------
    factors : array (T,) or (E, 1, T)
        Positive numbers, which may differ between the members of an ensemble.
    """
    return _Squares(factors)


class _Squares(Loss):
    """l = 1/2 sum_k f_k (y_k - t_k)^2;  dl/dy_k = f_k (y_k - t_k)"""

    leaves_noise_open = True

    def __init__(self, factors: Array) -> None:
        self.factors = factors

    def losses(self, prediction: Array, target: Array) -> Array:
        work: Array = self._work
        np.subtract(prediction, target, work)
        np.multiply(work, work, work)
        np.multiply(work, self.factors, work)
        return sum_rows(work, self._half_ones, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.subtract(prediction, target, out)
        np.multiply(out, self.factors, out)

    def curvature_root(self, prediction: Array, target: Array) -> Array:
        root = diagonal(np.sqrt(self.factors))
        return np.broadcast_to(root, (*prediction.shape, prediction.shape[-1]))

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        halves = np.full(shape[-1], constant(0.5, dtype))
        return super().allocate(shape, dtype) | {"_half_ones": halves}
