"""Some rows of arrays, copied at once or gathered when they are sliced."""

from __future__ import annotations

from typing import Any

from mlpgrad._core.arrays import Array

Batch = tuple[Array, Array, Array | None]
"""Input, target and weights of some rows."""


def take(data: Batch, rows: Array) -> Batch:
    """Return copies of some rows."""
    x, target, weights = data
    weights = None if weights is None else weights.take(rows, axis=-2)
    return x.take(rows, axis=-2), target.take(rows, axis=-2), weights


class Rows:
    """Some rows of an array, gathered when sliced: a file is never read as a whole."""

    def __init__(self, array: Array, rows: Array) -> None:
        self.array, self.rows = array, rows
        self.shape = (*array.shape[:-2], len(rows), array.shape[-1])
        self.ndim, self.dtype = array.ndim, array.dtype

    def __getitem__(self, part: Any) -> Array:
        """Return the rows of a slice `[..., start:stop:step, :]`."""
        return self.array[..., self.rows[part[-2]], :]
