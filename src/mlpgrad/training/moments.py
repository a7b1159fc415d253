"""Weighted mean and standard deviation of columns, accumulated over blocks of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.metrics.base import weighted_mean
from mlpgrad.training.communicator import Communicator, summed

PRECISE = np.float64
ROUNDING = 4 * float(np.finfo(PRECISE).eps)


class Moments:
    """Mean and standard deviation of each column over all rows so far, `(..., F)` in float64.

    Blocks of rows are combined as in Chan, Golub and LeVeque 1983, "Algorithms for computing the
    sample variance", but with standard deviations instead of sums of squares, which neither
    overflow nor underflow for any unit of a column. Values are taken relative to the first row,
    `origin`, so that a large mean does not cost digits of a small standard deviation, and that of
    a constant column is exactly 0.
    """

    def __init__(self) -> None:
        self.origin: Any = None
        self.weight: Any = PRECISE(0)
        self.mean: Any = PRECISE(0)
        self.deviation: Any = PRECISE(0)

    def add(self, rows: Array, weights: Array | None) -> None:
        """Add rows `(..., B, F)`, with weights `(..., B, 1)` or unweighted."""
        rows = rows.astype(PRECISE, order="C")  # so that sums do not depend on the order in memory
        if weights is None:
            weights = np.ones((rows.shape[-2], 1))
        used = weights.any(axis=(*range(weights.ndim - 2), -1))
        if not used.all():  # rows of weight 0 may hold any values
            rows, weights = rows[..., used, :], weights[..., used, :]
        if not used.any():
            return
        weights = weights.astype(PRECISE)
        total = weights.sum(axis=-2)
        share = weighted_mean(weights, total[..., None, :])
        if self.origin is None:
            self.origin = rows[..., 0, :].copy()
        rows = rows - self.origin[..., None, :]
        size = np.abs(rows).max(axis=-2, keepdims=True)
        rows /= np.where(size > 0, size, 1)
        mean = (share * rows).sum(axis=-2, keepdims=True)
        mean += (share * (rows - mean)).sum(axis=-2, keepdims=True)  # corrects for rounding
        deviation = np.sqrt((share * np.square(rows - mean)).sum(axis=-2, keepdims=True))
        self._join(total, (size * mean)[..., 0, :], (size * deviation)[..., 0, :])

    def _join(self, weight: Array, mean: Array, deviation: Array) -> None:
        """Combine the rows so far with others."""
        share = weighted_mean(weight, self.weight + weight)
        step = mean - self.mean
        within = np.hypot(np.sqrt(1 - share) * self.deviation, np.sqrt(share) * deviation)
        self.deviation = np.hypot(within, np.sqrt(share * (1 - share)) * step)
        self.mean = self.mean + share * step
        self.weight = self.weight + weight

    def join_ranks(self, communicator: Communicator) -> None:
        """Replace the moments of this rank's rows by those of all ranks' rows."""
        origin = self.origin.copy()
        communicator.broadcast(origin)
        own = self.mean + (self.origin - origin)
        (total,) = summed(communicator, self.weight)
        share = weighted_mean(self.weight, total)
        (mean,) = summed(communicator, share * own)
        distance = np.hypot(self.deviation, own - mean)
        (size,) = summed(communicator, distance)
        size = np.where(size > 0, size, 1)
        (square,) = summed(communicator, share * np.square(distance / size))
        self.origin, self.weight, self.mean = origin, total, mean
        self.deviation = size * np.sqrt(square)

    def scaling(self) -> tuple[Array, Array]:
        """Return mean and standard deviation, or 1 for columns that are constant to rounding."""
        mean = self.origin + self.mean
        constant = self.deviation <= ROUNDING * np.abs(mean)
        return mean, np.where(constant, 1.0, self.deviation)
