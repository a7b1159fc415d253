"""Losses with scikit-learn's sums and factors: the estimators report what scikit-learn reports."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, Shape, fitting, ones
from mlpgrad.losses import MeanSquaredError, Poisson, SigmoidCrossEntropy


class _SummedCrossEntropy(SigmoidCrossEntropy):
    """l = sum_k (log(1 + e^z_k) - t_k z_k): summed over the labels instead of averaged."""

    repeatable = True

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        return super().allocate(shape, dtype) | _sum_over_outputs(shape, dtype)


class _HalfMeanSquaredError(MeanSquaredError):
    """l = 1/(2 O) sum_k (y_k - t_k)^2, with the slope (y_k - t_k) / O that belongs to it.

    scikit-learn's slope lacks the 1/O: its issue 8349.
    """

    repeatable = True

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        kept = super().allocate(shape, dtype)
        halves = np.full(shape[-1], 0.5 * kept["_per_output"])
        return kept | {"_output_weights": halves, "_double": kept["_per_output"]}


class _HalfPoissonDeviance(Poisson):
    """l = sum_k (e^z_k - t_k z_k + t_k log t_k - t_k): 0 where the rate e^z is the target."""

    repeatable = True

    def losses(self, prediction: Array, target: Array) -> Array:
        from scipy.special import xlogy

        least = fitting(self._least, target)
        np.subtract(xlogy(target, target, least), target, least)
        losses = super().losses(prediction, target)
        return np.add(losses, np.add.reduce(least, -1), losses)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        buffers = {"_least": np.empty(shape, dtype)}
        return super().allocate(shape, dtype) | buffers | _sum_over_outputs(shape, dtype)


def _sum_over_outputs(shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
    """What makes a sum of a mean over the outputs."""
    return {
        "_per_output": np.ones((), dtype),
        "_output_weights": ones((shape[-1],), dtype),
    }
