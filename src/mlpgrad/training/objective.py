"""`Objective`: loss and penalties over all rows as a function of the parameters, in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network

ROWS_AT_ONCE = 8192  # bounds the memory, not the result


class Objective:
    """L(params) over fixed rows, with its derivatives, on a copy of the network.

    The network itself keeps its weights until somebody assigns them: what a line search tries is
    seen by nobody. Randomness (dropout) is the same at every call, and statistics (BatchNorm's)
    do not move. BatchNorm's mean and variance are those of a chunk.

    Parameters
    ----------
    network : Network
    x, target, weights : array (n, I), (n, O), (n, 1) or None
        Checked rows, as `network.checked` gives them.
    dtype : dtype, optional
        In which it computes; that of the network by default.
    batch_size : int, optional
        Rows at once, 8,192 by default.

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
    ) -> None:
        self.network = network.copy() if dtype is None else network.lifted(dtype)
        self.x, self.target, self.weights = x, target, weights
        self.rows_at_once = batch_size or ROWS_AT_ONCE
        self._state = self.network.state.copy()
        total = x.shape[-2] if weights is None else weights.sum(axis=(-2, -1), dtype=np.float64)
        self._total = np.maximum(total, np.finfo(np.float64).tiny)  # all weights may be zero

    def chunks(self, network: Network) -> Iterator[tuple[Any, Array, Array, Array | None]]:
        """Some rows at a time: their share of the weight, input, target and weights, cast."""
        for start in range(0, self.x.shape[-2], self.rows_at_once):
            rows = np.s_[..., start : start + self.rows_at_once, :]
            weights = None if self.weights is None else self.weights[rows]
            count = self.x[rows].shape[-2] if weights is None else weights.sum(axis=(-2, -1))
            cast = network.cast(self.x[rows], self.target[rows], weights)
            yield (count / self._total, *cast)

    def value(self, params: Any) -> Any:
        """L at `params`, a number or `(E,)`: in training mode, as `value_and_grads`."""
        return self.value_and_grads(params)[0]

    def value_and_grads(self, params: Any) -> tuple[Any, Array]:
        """L at `params (P,)` or `(E, P)`, and dL/d(params) in the same shape."""
        return self._sums(self.network, params)

    def product(self, params: Any, vector: Any) -> Array:
        """The Hessian of L at `params` times `vector`, both `(P,)` or `(E, P)`.

        By a complex step: the imaginary part of dL/d(params + i h v) / h is exact to rounding,
        since nothing is subtracted. Squire and Trapp 1998, "Using complex variables to estimate
        derivatives of real functions".
        """
        if not hasattr(self, "_complex"):
            self._complex = self.network.lifted(np.complex128)
        tiny = 1e-30
        moved = np.asarray(params) + tiny * 1j * np.asarray(vector, np.float64)
        return np.asarray(self._sums(self._complex, moved)[1].imag / tiny)

    def _sums(self, network: Network, params: Any) -> tuple[Any, Array]:
        """Value and gradient, summed over the chunks."""
        network.params, network.state = params, self._state
        value: Any = 0.0
        grads = np.zeros_like(network.grads)
        with network.same_randomness():
            for share, x, target, weights in self.chunks(network):
                value = value + share * network._step(x, target, weights)
                grads += np.reshape(share, np.shape(share) + (1,) * (np.ndim(share) > 0)) * (
                    network.grads
                )
        return value, grads
