"""`Objective`: loss and penalties over all rows as a function of the parameters, in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, weighted
from mlpgrad.derivatives.along import Along, Quantity
from mlpgrad.derivatives.gauss_newton import GaussNewton
from mlpgrad.derivatives.modes import FEW, set_mode
from mlpgrad.layers.chain import run_backward, run_forward
from mlpgrad.network.network import Network
from mlpgrad.penalties import penalise

ROWS_AT_ONCE = 8192  # bounds the memory, not the result


class Objective:
    """The objective L(params) over fixed rows, with its derivatives, on a copy of the network.

    The weights of the network itself are not changed, for instance by the trial steps of a line
    search. Random numbers (dropout) are the same at every call, and running statistics (BatchNorm)
    are not updated. BatchNorm's mean and variance are those of a chunk.

    Parameters
    ----------
    network : Network
    x, target, weights : array (n, I), (n, O), (n, 1) or None
        Checked rows, as returned by `network.checked`.
    dtype : dtype, optional
        Type of the computation; that of the network by default.
    batch_size : int, optional
        Number of rows computed at once, 8,192 by default.
    training : bool, default True
        Whether the layers are in training mode or in prediction mode.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), dtype="float64", random_state=0)
    >>> objective = Objective(model, *model.checked(x, y, None), batch_size=3)
    >>> value, grads = objective.value_and_grads(model.params)
    >>> bool(abs(value - model.backpropagate(x, y)) < 1e-15)
    True
    """

    def __init__(
        self,
        network: Network,
        x: Array,
        target: Array,
        weights: Array | None,
        *,
        dtype: Any = None,
        batch_size: int | None = None,
        training: bool = True,
    ) -> None:
        self.network = network.copy() if dtype is None else network.lifted(dtype)
        set_mode(self.network, training)
        self.x, self.target, self.weights = x, target, weights
        self.rows_at_once = batch_size or ROWS_AT_ONCE
        self._state = self.network.state.copy()
        self._gauss_newton: GaussNewton | None = None
        total = x.shape[-2] if weights is None else sum_of(weights)
        self._total = np.maximum(total, np.finfo(np.float64).tiny)  # all weights may be zero

    def chunks(
        self, network: Network, most: int | None = None, at_once: int | None = None
    ) -> Iterator[tuple[Any, Array, Array, Array | None]]:
        """Yield some rows at a time: share of the weight, and cast inputs, targets and weights.

        These are all rows, or the first `most` rows, in chunks of at most `rows_at_once` and
        `at_once`.
        """
        end = self.x.shape[-2] if most is None else min(most, self.x.shape[-2])
        size = min(self.rows_at_once, at_once or self.rows_at_once)
        for start in range(0, end, size):
            rows = np.s_[..., start : min(start + size, end), :]
            weights = None if self.weights is None else self.weights[rows]
            count = self.x[rows].shape[-2] if weights is None else sum_of(weights)
            cast = network.cast(self.x[rows], self.target[rows], weights)
            yield (count / self._total, *cast)

    def value(self, params: Any) -> Any:
        """Return L at `params`, a number or `(E,)`, with forward passes only."""
        network = self.network
        network.params, network.state = params, self._state
        value: Any = 0.0
        with network.same_randomness():
            for share, x, target, weights in self.chunks(network):
                prediction = run_forward(network.layers, x, weights)
                value = value + share * network._loss._direct_forward(prediction, target, weights)
        return value + network.penalty()

    def mean_squares(self, params: Any) -> Array:
        """Return the weighted mean of the squared residuals of each target, `(T,)` or `(E, T)`."""
        network, per_weight = self.network, self._per_weight()
        network.params, network.state = params, self._state
        total: Any = 0.0
        for _, x, target, weights in self.chunks(network):
            squares = np.square(run_forward(network.layers, x, weights) - target)
            if weights is not None:
                squares = weighted(squares, weights)
            total = total + (per_weight * squares).sum(axis=-2)
        return np.asarray(total)

    def value_and_grads(self, params: Any) -> tuple[Any, Array]:
        """Return L at `params (P,)` or `(E, P)`, and dL/d(params) in the same shape."""
        return self._sums(self.network, params)

    def normal_equations(self, params: Any) -> tuple[Any, Array, Array]:
        """Return L at `params`, its gradient, and its generalized Gauss-Newton matrix.

        The matrix, `(P, P)` or `(E, P, P)`, is overwritten by the next call. Its diagonal includes
        the curvature of penalties. Samples must not depend on one another: see `GaussNewton`.
        """
        network, gauss_newton = self.network, self._made_gauss_newton()
        gauss_newton.clear()
        value: Any = 0.0
        grads = np.zeros_like(network.grads)
        for share, loss, target, weights in self._steps(gauss_newton, params):
            value = value + share * loss
            grads += by_member(share) * network.grads
            gauss_newton.add(target, weights)
        self._add_curvature(gauss_newton.matrix)
        return value, grads, gauss_newton.matrix

    def traces(self, params: Any, root: Array) -> Array:
        """Return trace(C G_c), `(R,)` or `(E, R)`, for C = `root root^T` and each column c.

        The matrix of `normal_equations`, without penalties, is the sum of the G_c over the columns
        c of the losses' root. For squared errors, column c is target c.

        Parameters
        ----------
        params : array (P,) or (E, P)
        root : array (P, P) or (E, P, P)
        """
        gauss_newton = self._made_gauss_newton()
        steps = self._steps(gauss_newton, params)
        found = [gauss_newton.traces(target, weights, root) for _, _, target, weights in steps]
        return np.asarray(sum(found[1:], found[0]))

    def _per_weight(self) -> Array:
        """Return the factor of a row's weight in the mean over all rows."""
        return np.reshape(1 / self._total, (*np.shape(self._total), 1, 1))

    def _made_gauss_newton(self) -> GaussNewton:
        if self._gauss_newton is None:
            self._gauss_newton = GaussNewton(self.network)
        return self._gauss_newton

    def _steps(self, gauss_newton: GaussNewton, params: Any) -> Iterator[tuple[Any, ...]]:
        """Make a step of each chunk; yield its share, loss, target, and weights in the mean."""
        network, per_weight = self.network, self._per_weight()
        network.params, network.state = params, self._state
        for share, x, target, weights in self.chunks(network, at_once=gauss_newton.rows_at_once):
            loss = network._step(x, target, weights)
            yield share, loss, target, per_weight if weights is None else per_weight * weights

    def _add_curvature(self, matrix: Array) -> None:
        """Add the second derivatives of the penalties to the diagonal."""
        diagonal, params = np.einsum("...ii->...i", matrix), self.network.params
        for penalty in self.network.penalties:
            for slot in self.network.parameters:
                if slot.kind in penalty.kinds:
                    part = np.s_[..., slot.start : slot.stop]
                    curvature = np.empty_like(params[part])
                    penalty.curvature(params[part], curvature)
                    diagonal[part] += curvature

    def product(self, params: Any, vector: Any) -> Array:
        """Return the Hessian of L at `params` times `vector`, each `(P,)` or `(E, P)`."""
        along, params, vector = self._along_at(params, vector)
        return along(lambda network: self._sums(network, network.params.copy())[1], params, vector)

    def gauss_newton_product(self, params: Any, vector: Any, expected: bool = False) -> Array:
        """Return J^T H_l J times `vector`, with the outputs' Jacobian J, plus the penalties' part.

        H_l holds the second derivatives of the samples' losses with respect to the outputs. The
        product equals that with the Hessian if the network is linear in its parameters. With
        `expected`, H_l is the expectation under the model's own predictive distribution: see
        `Loss.expected_targets`. Schraudolph 2002, "Fast curvature matrix-vector products for
        second-order gradient descent".
        """
        along, params, vector = self._along_at(params, vector)
        network, total = self.network, np.zeros_like(self.network.grads)
        for share, x, target, weights in self.chunks(network):
            network.params, network.state = params, self._state
            with network.same_randomness():
                prediction = run_forward(network.layers, x, weights)
            targets = network.loss.expected_targets(prediction) if expected else [target]
            deltas = [
                along(self._first_delta(x, likely, weights), params, vector) for likely in targets
            ]
            run_backward(network.layers, np.mean(deltas, axis=0, dtype=network.dtype))
            total += by_member(share) * network.grads
        return np.asarray(total + along(_penalty_gradient, params, vector))

    def check_likelihood(self) -> None:
        """Raise TypeError unless the loss is a negative log likelihood."""
        _, x, _, weights = next(self.chunks(self.network, 1))
        self.network.loss.expected_targets(run_forward(self.network.layers, x, weights))

    def _first_delta(self, x: Array, target: Array, weights: Array | None) -> Quantity:
        """Return dl/d(outputs) as a function of the parameters, for rows that have been cast."""
        is_number = target.dtype == self.network.dtype

        def first_delta(network: Network) -> Array:
            network.state, dtype = self._state, network.dtype
            inputs, counts = x.astype(dtype), None if weights is None else weights.astype(dtype)
            targets = target.astype(dtype) if is_number else target
            with network.same_randomness():
                prediction = run_forward(network.layers, inputs, counts)
            network._loss._direct_forward(prediction, targets, counts)
            return np.array(network._loss._direct_backward())

        return first_delta

    def _along_at(self, params: Any, vector: Any) -> tuple[Along, Array, Array]:
        """Return an `Along`, checked on a few rows, and its arrays."""
        params, vector = np.asarray(params), np.asarray(vector)
        if not hasattr(self, "_along"):
            self._along = Along(self.network)
        self._along.check(
            lambda network: self._sums(network, network.params.copy(), FEW)[1], params
        )
        return self._along, params, vector

    def _sums(self, network: Network, params: Any, most: int | None = None) -> tuple[Any, Array]:
        """Return value and gradient, summed over the chunks of all rows or of the first `most`."""
        network.params, network.state = params, self._state
        value: Any = 0.0
        grads = np.zeros_like(network.grads)
        with network.same_randomness():
            for share, x, target, weights in self.chunks(network, most):
                value = value + share * network._step(x, target, weights)
                grads += by_member(share) * network.grads
        return value, grads


def _penalty_gradient(network: Network) -> Array:
    """Return the gradient of the penalties alone."""
    network.grads = 0
    penalise(0.0, network._penalised, network._slopes)
    return np.array(network.grads)


def sum_of(weights: Array) -> Any:
    """Return the sum of weights `(..., n, 1)` in float64, so that shares of chunks add up to 1."""
    return weights.sum(axis=(-2, -1), dtype=np.float64)


def by_member(share: Any) -> Any:
    """Return a number, or `(E,)` as `(E, 1)`, that can be multiplied with gradients."""
    return np.reshape(share, np.shape(share) + (1,) * (np.ndim(share) > 0))
