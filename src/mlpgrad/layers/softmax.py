"""The softmax as a separate layer, with the full Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import (
    Array,
    Shape,
    maxima_buffers,
    product,
    row_maxima,
    spread,
    spread_buffer,
)
from mlpgrad.layers.base import Layer


class Softmax(Layer):
    """a_k = e^z_k / sum_j e^z_j;  dL/dz = a (delta - sum_j a_j delta_j)

    The layer uses the full Jacobian, and can be used inside a network or before `CrossEntropy`. A
    loss on logits must not follow: `SoftmaxCrossEntropy` includes the softmax, and is faster and
    more accurate. Bridle 1990, "Probabilistic interpretation of feedforward classification network
    outputs".

    Examples
    --------
    >>> import mlpgrad as mg
    >>> model = mg.Sequential([mg.Softmax()], loss=mg.CrossEntropy())
    >>> model.predict([[0.0, 0.0, 1e4]])
    array([[0., 0., 1.]], dtype=float32)
    """

    repeatable = True

    gives_probabilities = True

    def allocate(self, shape: Shape) -> dict[str, Any]:
        size = shape[-2:]
        out = self.empty(*size)
        return {
            "_multiply": product(out.ndim, self.dtype),
            **maxima_buffers(out.shape),
            "_column": self.empty(size[0], 1),
            "_spread": spread_buffer(out.shape, self.dtype),
            "_ones": np.ones((size[1], 1), self.dtype),
            "_out": out,
            "_work": self.empty(*size),
            "_input_delta": self.empty(*size),
        }

    def forward(self, x: Array) -> Array:
        if x.shape != self._shape:
            self.resize(x.shape)
        out, column = self._out, self._column
        np.copyto(out, x)
        row_maxima(out, self._starts, self._places, column)
        np.subtract(out, spread(column, self._spread), out)
        np.exp(out, out)
        self._multiply(out, self._ones, column)
        return np.divide(out, spread(column, self._spread), out)  # type: ignore[no-any-return]

    def backward(self, delta: Array) -> Array | None:
        out, work, column = self._out, self._work, self._column
        np.multiply(out, delta, work)
        self._multiply(work, self._ones, column)
        np.subtract(delta, spread(column, self._spread), work)
        return np.multiply(out, work, self._input_delta)  # type: ignore[no-any-return]
