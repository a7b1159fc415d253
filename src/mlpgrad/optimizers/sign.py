"""Optimizers that use the sign of the gradient: Lion and Rprop."""

from __future__ import annotations

from typing import Any, NoReturn, Self, Unpack

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array, constant
from mlpgrad._core.changes import same
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.boundary import Common, Rate
from mlpgrad.optimizers.vectors import approach


class Lion(Optimizer):
    """c = b1 m + (1 - b1) g,  p <- p - rate sign(c),  m <- b2 m + (1 - b2) g

    Every step changes every parameter by exactly the learning rate. A good learning rate is
    therefore three to ten times smaller than for Adam, and a good `weight_decay` three to ten
    times larger.

    Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2.

    Parameters
    ----------
    beta1, beta2 : float
        The weight of m in the step direction c, and the decay rate of the running average m, each
        in [0, 1).

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0, 1.0]), mg.Lion(0.1)
    >>> optimizer.step(params, grads=np.array([100.0, -0.01]))
    >>> params
    array([0.9, 1.1])
    """

    repeatable = True

    states = ("m",)
    scratch = 1

    def __init__(
        self,
        learning_rate: Rate = 1e-4,
        *,
        beta1: float = 0.9,
        beta2: float = 0.99,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta1, self.beta2 = beta1, beta2
        checks.within(self, "beta1", 0, 1)
        checks.within(self, "beta2", 0, 1)

    def update(self, p: Array, g: Array, rate: Array, m: Array, s: Array) -> None:
        np.subtract(m, g, s)
        np.multiply(s, constant(self.beta1, s.dtype), s)
        np.add(s, g, s)  # c = g + b1 (m - g)
        np.sign(s, s)
        np.multiply(s, rate, s)
        np.subtract(p, s, p)
        approach(m, g, self.beta2, s)

    @classmethod
    def example(cls) -> Self:
        return cls(0.01, beta1=0.8, weight_decay=0.1)


class Rprop(Optimizer):
    """p <- p - sign(g) d,  d <- eta_plus d if the sign of g is unchanged, else d <- eta_minus d

    If the sign has just changed, p is not changed for one step. Only the signs of the gradient
    matter, so that noise of minibatches misleads the rule: train on full batches.

    Riedmiller and Braun 1993, "A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm"; in the form iRprop- of Igel and Huesken 2003, "Empirical evaluation of the
    improved Rprop learning algorithms", which is also PyTorch's.

    Parameters
    ----------
    learning_rate : float, or E numbers
        The initial d of every parameter, which the rule then adapts. Schedules, another learning
        rate after the first step, and `ReduceOnPlateau` would have no effect and are refused.
    eta_plus, eta_minus : float
        The factors of d: `eta_plus`, at least 1, if the sign is unchanged, and `eta_minus`, in (0,
        1), if it changes.
    min_step, max_step : float
        The smallest and largest d, 0 <= min_step <= max_step.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0]), mg.Rprop(0.1)
    >>> for _ in range(3):
    ...     optimizer.step(params, grads=np.sign(params))
    >>> params  # 1 - 0.1 - 0.12 - 0.144
    array([0.636])
    """

    repeatable = True
    rate_is_initial = True

    states = ("d", "sign")
    scratch = 3
    _scale: float = 1.0

    def __init__(
        self,
        learning_rate: float | Array = 1e-2,
        *,
        eta_plus: float = 1.2,
        eta_minus: float = 0.5,
        min_step: float = 1e-6,
        max_step: float = 50.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.eta_plus, self.eta_minus = eta_plus, eta_minus
        self.min_step, self.max_step = min_step, max_step
        checks.within(self, "eta_plus", 1)
        checks.within(self, "eta_minus", 0, 1, open_below=True)
        checks.within(self, "min_step", 0)
        checks.within(self, "max_step", min_step)

    def _check_rate(self, rate: Any) -> None:
        if callable(rate):
            raise TypeError(
                "Rprop adapts its own steps: learning_rate expects the initial step as a number, "
                f"got {rate!r}"
            )
        if vars(self).get("state") and not same(rate, self.learning_rate):
            self._refuse("learning_rate", rate)

    @property
    def learning_rate_scale(self) -> float:
        """A factor of the initial step."""
        return self._scale

    @learning_rate_scale.setter
    def learning_rate_scale(self, scale: float) -> None:
        if vars(self).get("state") and scale != self._scale:
            self._refuse("learning_rate_scale", scale)
        self._scale = scale

    def _refuse(self, name: str, value: Any) -> NoReturn:
        raise ValueError(
            f"Rprop has adapted the step of each parameter since the first: {name} = {value!r} "
            "has no effect now; call reset() first to begin anew, or lower max_step"
        )

    def scalars(self, rate: Any, t: int) -> tuple[Any, ...]:
        return ()

    def make_state(self, params: Array) -> dict[str, Array]:
        state = super().make_state(params)
        state["d"][...] = self._rate(0)
        return state

    def update(
        self, p: Array, g: Array, d: Array, sign: Array, s: Array, agrees: Array, factor: Array
    ) -> None:
        zero, one = constant(0, d.dtype), constant(1, d.dtype)
        np.sign(g, s)
        np.multiply(s, sign, agrees)  # 1, 0, or -1 where the sign has changed
        # arithmetic for masks, which are ten times slower:
        # factor = 1 + (eta_plus - 1) max(agrees, 0) + (1 - eta_minus) min(agrees, 0)
        np.maximum(agrees, zero, out=factor)
        np.multiply(factor, constant(self.eta_plus - 1, d.dtype), factor)
        np.minimum(agrees, zero, out=agrees)
        np.multiply(agrees, s, sign)
        np.add(sign, s, sign)  # the sign of g, but 0 where it has changed
        np.multiply(agrees, constant(1 - self.eta_minus, d.dtype), agrees)
        np.add(factor, agrees, factor)
        np.add(factor, one, factor)
        np.multiply(d, factor, d)
        np.minimum(d, constant(self.max_step, d.dtype), out=d)
        np.maximum(d, constant(self.min_step, d.dtype), out=d)
        np.multiply(sign, d, s)
        np.subtract(p, s, p)

    @classmethod
    def example(cls) -> Self:
        return cls(0.05, eta_plus=1.1, max_step=0.5)
