"""Solver `lbfgs`: SciPy's L-BFGS-B on all rows at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network
from mlpgrad.sklearn.gradient import BatchGradient
from mlpgrad.training.session import Method, Session


class LBFGS(Method):
    """Limited-memory BFGS, in which an iteration is an epoch.

    Liu and Nocedal 1989, "On the limited memory BFGS method for large scale optimization".

    Parameters
    ----------
    gradient : BatchGradient
    data : tuple (x, target, weights)
        All rows.
    tolerance : float
        Training ends when no component of the gradient is larger than this.
    iterations, calls : int
        Maximum numbers of iterations and of function calls.

    Attributes
    ----------
    result : scipy.optimize.OptimizeResult
    """

    def __init__(
        self, gradient: BatchGradient, data: Any, *, tolerance: float, iterations: int, calls: int
    ) -> None:
        self._gradient: BatchGradient | None = gradient
        self._data: Any = data
        self._limits = {"maxfun": calls, "maxiter": iterations, "gtol": tolerance}
        self.result: Any = None

    def train(self, session: Session) -> None:
        from scipy.optimize import minimize

        network, order = session.network, packed_order(session.network)
        gradient, data = self._gradient, self._data
        assert gradient is not None
        params, grads = network.params.reshape(-1), network.grads.reshape(-1)

        def value_and_grads(packed: Array) -> tuple[float, Array]:
            if not session.in_epoch:
                session.begin_epoch()
            params[order] = packed
            with np.errstate(all="ignore"), network.same_randomness():
                value = gradient(*data)
            return float(np.sum(value)), grads[order]

        def ended(intermediate_result: Any) -> None:
            session.end_epoch(intermediate_result.fun / (network.ensemble_size or 1), 1)
            if network.stop_training or session.record.interrupted:
                raise StopIteration

        try:
            self.result = minimize(
                value_and_grads,
                params[order].astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                options=self._limits,
                callback=ended,
            )
        finally:
            self._gradient = self._data = None  # a callback may keep the method
        params[order] = self.result.x


def packed_order(network: Network) -> Array:
    """Return the index in the flat parameters of each element of scikit-learn's vector.

    The vector holds the weights of all layers, then all biases, so that the sums in SciPy's
    minimizer have the same order.
    """
    kinds = {"weights": 0, "bias": 1}
    slots = sorted(network.parameters, key=lambda slot: kinds.get(slot.kind, 2))
    one = np.concatenate([np.arange(slot.start, slot.stop) for slot in slots])
    members = network.ensemble_size or 1
    return np.concatenate([one + member * len(one) for member in range(members)])
