"""The generalized Gauss-Newton matrix, summed over blocks of rows in P x P memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.samples import write_gradients
from mlpgrad.layers.chain import run_backward
from mlpgrad.network.network import Network

BLOCK = 1 << 21  # elements of a block of the Jacobian


class GaussNewton:
    """G = sum_b w_b J_b^T H_b J_b,  J = d(outputs)/d(params),  H = d2l/d(outputs)2

    With H = S S^T, each column of S is passed backward as a delta, after which the layers hold
    what is needed for the rows of S^T J (`write_gradients`). For squared errors, G is J^T J.
    Schraudolph 2002, "Fast curvature matrix-vector products for second-order gradient descent".

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
        """Start a new sum."""
        self._empty = True

    def add(self, target: Array, weights: Any) -> None:
        """Add the samples of the last step; `grads` and the layers' deltas are overwritten.

        Parameters
        ----------
        target : array (..., B, T)
            The target as returned by `loss.cast`.
        weights : number or array (..., B, 1)
            w_b.
        """
        for rows in self._columns(target, weights):
            self._add_products(rows)

    def traces(self, target: Array, weights: Any, root: Array) -> Array:
        """Return trace(C G_c), `(..., R)`, of the samples of the last step, for C = `root root^T`.

        G_c is the part of G due to column c of S; for squared errors, it is due to target c.

        Parameters
        ----------
        target, weights
            As for `add`.
        root : array (..., P, P)
        """
        found = [
            np.square(rows @ root).sum(axis=(-2, -1)) for rows in self._columns(target, weights)
        ]
        return np.stack(found, axis=-1)

    def _columns(self, target: Array, weights: Any) -> Iterator[Array]:
        """Yield the rows of sqrt(w_b) S^T J for each column of S, in one buffer."""
        network = self.network
        prediction = network.layers[-1]._outputs
        assert prediction is not None
        factors = np.sqrt(weights)[..., None]
        root = network.loss.curvature_root(prediction, target) * factors
        np.copyto(root, 0, where=factors == 0)  # samples of weight 0, whose root may be infinite
        rows = self._buffer(prediction.shape[-2])
        for column in range(root.shape[-1]):
            run_backward(network.layers, np.ascontiguousarray(root[..., column]))
            write_gradients(network, 1, rows)
            yield rows

    def _buffer(self, count: int) -> Array:
        """Return a buffer for the rows of `count` samples."""
        if self._rows.shape[-2] < count:
            *lead, _, size = self._rows.shape
            self._rows = np.empty((*lead, count, size))
        return self._rows[..., :count, :]

    def _add_products(self, rows: Array) -> None:
        """Compute matrix += rows^T rows; NumPy calls syrk of BLAS, and releases Python's lock."""
        if self._empty:
            self._empty = False
            np.matmul(rows.mT, rows, self.matrix)
            return
        if self._products is None:
            self._products = np.empty_like(self.matrix)
        np.add(self.matrix, np.matmul(rows.mT, rows, self._products), self.matrix)
