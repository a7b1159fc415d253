"""The generalised Gauss-Newton matrix, summed over blocks of rows: memory P x P, whatever N is."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.samples import write_gradients
from mlpgrad.layers.chain import run_backward
from mlpgrad.network.network import Network

BLOCK = 1 << 21  # numbers of a block of the Jacobian


class GaussNewton:
    """G = sum_b w_b J_b^T H_b J_b,  J = d(outputs)/d(params),  H = d2l/d(outputs)2

    With H = S S^T, a column of S is passed backward as a delta, and the layers hold what gives the
    rows of S^T J (`write_gradients`). For squared errors this is J^T J. Schraudolph 2002, "Fast
    curvature matrix-vector products for second-order gradient descent".

    Parameters
    ----------
    network : Network
        In float64.
    """

    def __init__(self, network: Network) -> None:
        size = network.params.shape[-1]
        self.network = network
        self.rows_at_once = max(1, BLOCK // network.params.size)
        self._rows = np.empty((*network.lead, 0, size))
        self._products: Array | None = None
        self._empty = True
        self.matrix = np.zeros((*network.lead, size, size))
        """G, `(P, P)` or `(E, P, P)`."""

    def clear(self) -> None:
        """Begin a new sum."""
        self._empty = True

    def add(self, target: Array, weights: Any) -> None:
        """Add the samples of the step just made; `grads` and the layers' deltas are overwritten.

        Parameters
        ----------
        target : array (..., B, T)
            As `loss.cast` returns it.
        weights : number or array (..., B, 1)
            w_b.
        """
        network = self.network
        prediction = network.layers[-1]._outputs
        assert prediction is not None
        root = network.loss.curvature_root(prediction, target) * np.sqrt(weights)[..., None]
        rows = self._buffer(prediction.shape[-2])
        for column in range(root.shape[-1]):
            run_backward(network.layers, np.ascontiguousarray(root[..., column]))
            write_gradients(network, 1, rows)
            self._add_products(rows)

    def _buffer(self, count: int) -> Array:
        """Room for the rows of `count` samples."""
        if self._rows.shape[-2] < count:
            *lead, _, size = self._rows.shape
            self._rows = np.empty((*lead, count, size))
        return self._rows[..., :count, :]

    def _add_products(self, rows: Array) -> None:
        """matrix += rows^T rows; NumPy calls BLAS's syrk for it, without Python's lock."""
        if self._empty:
            self._empty = False
            np.matmul(rows.mT, rows, self.matrix)
            return
        if self._products is None:
            self._products = np.empty_like(self.matrix)
        np.add(self.matrix, np.matmul(rows.mT, rows, self._products), self.matrix)
