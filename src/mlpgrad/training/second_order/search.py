"""The minimization of one network's objective: its position, and the function for SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.objective import Objective
from mlpgrad.training.second_order.iterations import EndedError, Iterations

ROUNDINGS = 1000  # bound on the rounding error of the objective, a sum over many samples
LARGE = 1e100  # replaces a value that is not finite, so that a line search turns back


class Search:
    """The minimization of one network's objective, starting from its weights.

    Parameters
    ----------
    objective : Objective
        The objective in double precision.
    minimize : callable
        `minimize(search, callback)` returns SciPy's result.
    stops : callable
        Returns whether to end at once, in the middle of an iteration.

    Attributes
    ----------
    params, value, gradient : array (P,), float, array (P,)
        Parameters, objective and gradient after the last iteration.
    evaluations : int
        The number of evaluations of the objective so far.
    result : OptimizeResult or None
        The result of SciPy, once the minimization has ended by itself.
    """

    def __init__(
        self,
        objective: Objective,
        minimize: Callable[[Search, Callable[..., None]], Any],
        stops: Callable[[], bool],
    ) -> None:
        self.objective, self._minimize, self._stops = objective, minimize, stops
        self.evaluations, self.result = 0, None
        self.params = self._last_params = objective.network.params.copy()
        with np.errstate(all="ignore"):
            value, self.gradient = objective.value_and_grads(self.params)
        self.value = float(value)
        self._last_gradient = self.gradient
        self.iterations = Iterations(self._loop)

    def is_exact(self) -> bool:
        """Return whether a step along the gradient would lower the objective only within rounding.

        To second order, the objective falls by at most (g^T g)^2 / (2 g^T H g) along the gradient.
        """
        gradient, eps = self.gradient, float(np.finfo(np.float64).eps)
        curvature = gradient @ self.objective.product(self.params, gradient)
        noise = ROUNDINGS * eps * max(abs(self.value), eps)
        return bool((gradient @ gradient) ** 2 <= 2 * curvature * noise)

    def check_going(self) -> None:
        """Raise EndedError if the minimization should end at once."""
        if self._stops() or self.iterations.closing:
            raise EndedError

    def evaluate(self, params: Array) -> tuple[float, Array]:
        """Return value and gradient; a large value and no slope if they are not finite."""
        self.check_going()
        self.evaluations += 1
        with np.errstate(all="ignore"):
            value, gradient = self.objective.value_and_grads(params)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return LARGE, np.zeros_like(gradient)
        self._last_params, self._last_gradient = params.copy(), gradient
        return float(value), gradient

    def _loop(self, pause: Callable[[], None]) -> None:
        def after(intermediate_result: Any) -> None:
            self.params, self.value = intermediate_result.x.copy(), float(intermediate_result.fun)
            if np.array_equal(self.params, self._last_params):
                self.gradient = self._last_gradient
            pause()

        self.result = self._minimize(self, after)
