"""The forward pass of predictions: safe from several threads, a bounded number of rows at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_forward

ROWS_AT_ONCE = 1024  # bounds the memory, not the result


class Prediction:
    """What the layers compute outside of training, as a function of a checked array.

    Each thread has twins of the layers: the same parameters, buffers of its own, not training.
    """

    def __init__(self, layers: Sequence[Layer], dtype: np.dtype[Any]) -> None:
        self.layers, self.dtype = layers, dtype
        self._threads = threading.local()

    def __call__(self, x: Array) -> Array:
        """The output for `x: (..., B, I)`, as an array of its own."""
        samples = x.shape[-2]
        if samples <= ROWS_AT_ONCE:
            return self._forward(x).copy()
        parts = (x[..., i : i + ROWS_AT_ONCE, :] for i in range(0, samples, ROWS_AT_ONCE))
        first = self._forward(next(parts))
        out = np.empty((*first.shape[:-2], samples, first.shape[-1]), first.dtype)
        out[..., :ROWS_AT_ONCE, :] = first
        for number, part in enumerate(parts, start=1):
            rows = slice(number * ROWS_AT_ONCE, (number + 1) * ROWS_AT_ONCE)
            out[..., rows, :] = self._forward(part)
        return out

    def _forward(self, x: Array) -> Array:
        """The output in a buffer that the next call overwrites."""
        return run_forward(self.twins(), x.astype(self.dtype, copy=False))

    def twins(self) -> list[Layer]:
        """The layers of this thread."""
        layers: list[Layer] | None = getattr(self._threads, "layers", None)
        if layers is None:
            layers = self._threads.layers = [layer.reader() for layer in self.layers]
        return layers
