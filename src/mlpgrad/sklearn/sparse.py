"""The first product of a network with a sparse input."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_forward
from mlpgrad.layers.dense import Dense
from mlpgrad.network.network import Network


class _SparseDense(Dense):
    """`Dense` for a SciPy matrix in CSR form, which multiplies only its nonzero elements."""

    def forward(self, x: Any) -> Array:
        if isinstance(x, np.ndarray):
            return super().forward(x)
        self._x: Any = x
        return product(x, self)

    def backward(self, delta: Array) -> Array | None:
        if isinstance(self._x, np.ndarray):
            return super().backward(delta)
        transposed = self._x.T
        for weights, of_member in zip(_members(self.grads.weights), _members(delta), strict=True):
            weights[...] = transposed @ of_member
        np.add.reduce(delta, axis=-2, out=self.grads.bias)
        return None


def product(x: Any, layer: Layer) -> Array:
    """Return x W + b, `(..., B, out)`, for a sparse x."""
    weights, bias = layer.params.weights, layer.params.bias
    z = np.stack([x @ member for member in _members(weights)])
    z = z if weights.ndim == 3 else z[0]
    np.add(z, bias[..., None, :], z)
    return z


def predict_sparse(network: Network, x: Any) -> Array:
    """Return the output of a network, whose first layer is a `Dense`, for a sparse input."""
    first, *others = (layer.reader() for layer in network.layers)
    with np.errstate(all="ignore"):
        return run_forward(others, product(x, first)).copy()


def _members(array: Array) -> Array:
    """Return the matrices of all members of an ensemble, or the only one of a single network."""
    return array if array.ndim == 3 else array[None]
