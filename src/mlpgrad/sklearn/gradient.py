"""The gradient of scikit-learn's objective on a batch, with recorded steps if they pay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network
from mlpgrad.optimizers import SGD, Optimizer
from mlpgrad.training.choose_step import choose_step
from mlpgrad.training.step import LayerStep, Step


class BatchGradient:
    """L = sum_b w_b l_b / W + alpha / (2 W) sum of squared weights,  W = sum_b w_b

    W is that of the batch, its number of rows if there are no sample weights. The L2 term is
    therefore stronger in a small batch than in a large one, and stronger if the sample weights are
    small.

    Parameters
    ----------
    network : Network
        A network without penalties.
    alpha : float
        Strength of the L2 term on the weights, which excludes biases.
    optimizer : Optimizer, optional
        The optimizer that `update` applies.
    steps : callable
        `steps(rows)` returns the maximum number of batches of that size.
    sparse : bool
        Whether the input is a SciPy sparse matrix, whose steps cannot be recorded.
    unit : float
        The weights are given as multiples of this number.
    """

    def __init__(
        self,
        network: Network,
        alpha: float,
        *,
        optimizer: Optimizer | None = None,
        steps: Callable[[int], int] = lambda rows: 0,
        sparse: bool = False,
        unit: float = 1.0,
    ) -> None:
        self.network, self.alpha, self.sparse, self.unit = network, alpha, sparse, unit
        self.optimizer = SGD(0.0) if optimizer is None else optimizer
        self.count = steps
        self._by_rows: dict[int, Step] = {}
        self._strengths = np.zeros(network.params.shape[-1], network.dtype)
        for slot in network.parameters:
            if slot.kind == "weights":
                self._strengths[slot.start : slot.stop] = alpha
        self._shrinking = np.empty_like(network.params)
        self._scaled: tuple[float, Array] = 0.0, self._strengths

    def __call__(self, x: Any, target: Array, weights: Array | None) -> Any:
        """Write the gradient into `network.grads`, and return the value, a number or `(E,)`."""
        rows = x.shape[0]
        step = self._by_rows.get(rows) or self._made(rows)
        value = step.gradient(x, target, weights)
        value = float(value) if self.network.ensemble_size is None else np.float64(value)
        if self.alpha:
            total = rows if weights is None else float(weights.sum()) * self.unit
            if total:
                value += self._shrink(total)
        return value

    def _shrink(self, total: float) -> Any:
        """Add the gradient of the L2 term, and return its value."""
        if self._scaled[0] != total:
            self._scaled = total, self._strengths / self._strengths.dtype.type(total)
        params, grads = self.network.params, self.network.grads
        slopes = np.multiply(params, self._scaled[1], self._shrinking)
        np.add(grads, slopes, grads)
        if params.ndim == 1:
            return 0.5 * float(slopes.dot(params))
        return 0.5 * np.vecdot(slopes, params)

    def _made(self, rows: int) -> Step:
        """Return the step for batches of this size."""
        if self.sparse:
            step: Step = LayerStep(self.network, self.optimizer)
        else:
            step = choose_step(self.network, self.optimizer, rows, self.count(rows))
        step.mean_weight = None  # that of the batch
        return self._by_rows.setdefault(rows, step)

    def update(self, rows: int) -> Callable[[], None]:
        """Apply the optimizer, whose state is common to all batch sizes."""
        return (self._by_rows.get(rows) or self._made(rows)).update

    def refresh(self) -> None:
        """Notice what callbacks may have changed."""
        for step in self._by_rows.values():
            step.refresh()
