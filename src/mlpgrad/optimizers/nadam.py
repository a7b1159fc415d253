"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array
from mlpgrad.optimizers.adam import Adam, AdamOptions, gather
from mlpgrad.optimizers.boundary import Rate

LONG_JUMP = 1000  # steps; below this, M_t is computed factor by factor


class NAdam(Adam):
    """p <- p - rate (mu_t+1 m / (1 - M_t+1) + (1 - mu_t) g / (1 - M_t)) / (sqrt(v') + epsilon)

    Adam with Nesterov's momentum: mu_t = b1 (1 - 0.96^(momentum_decay t) / 2), M_t = mu_1 ... mu_t.

    Dozat 2016, "Incorporating Nesterov momentum into Adam", in PyTorch's form.

    Parameters
    ----------
    momentum_decay : float
        How fast the momentum mu_t rises from b1/2 to b1; at least 0. With 0 it stays at b1/2.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> optimizer = mg.NAdam(0.1)
    >>> round(optimizer.mu(1), 3), round(optimizer.mu(10**6), 3)
    (0.45, 0.9)
    """

    repeatable = True
    scratch = 2
    _direct_mu: Callable[[int], float]
    _direct_mu_product: Callable[[int], float]

    def __init__(
        self,
        learning_rate: Rate = 2e-3,
        *,
        momentum_decay: float = 4e-3,
        **options: Unpack[AdamOptions],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum_decay = momentum_decay
        checks.within(self, "momentum_decay", 0)
        self._product = 0, 1.0  # t and M_t

    def _option_changed(self) -> None:
        super()._option_changed()
        self._product = 0, 1.0

    def mu(self, t: int) -> float:
        """Return the momentum mu_t of step t = 1, 2, ..."""
        return float(self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay)))

    def mu_product(self, t: int) -> float:
        """Return M_t, the product of mu_1 to mu_t, usually from M_(t-1) of the step before."""
        done, product = self._product if self._product[0] <= t else (0, 1.0)
        if t - done > LONG_JUMP:
            product = momentum_product(self.beta1, self.momentum_decay, t)
        else:
            for i in range(done + 1, t + 1):
                product *= self._direct_mu(i)
        self._product = t, product
        return product

    def scalars(self, rate: Any, t: int) -> tuple[Any, ...]:
        product, ahead = self._direct_mu_product(t), self._direct_mu(t + 1)
        root = math.sqrt((1 - self.beta2**t) / (1 - self.beta2))
        of_gradient = rate * root * (1 - self._direct_mu(t)) / (1 - product)
        of_sum = rate * root * ahead * (1 - self.beta1) / (1 - product * ahead)
        return of_gradient, of_sum, self.epsilon * root

    def update(  # type: ignore[override]  # two rates
        self,
        p: Array,
        g: Array,
        of_gradient: Array,
        of_sum: Array,
        epsilon: Array,
        m_sum: Array,
        v_sum: Array,
        s: Array,
        step: Array,
    ) -> None:
        gather(m_sum, g, self.beta1)
        gather(v_sum, np.multiply(g, g, s), self.beta2)
        np.multiply(g, of_gradient, step)
        np.multiply(m_sum, of_sum, s)
        np.add(step, s, step)
        np.sqrt(v_sum, s)
        np.add(s, epsilon, s)
        np.divide(step, s, step)
        np.subtract(p, step, p)


def momentum_product(beta1: float, momentum_decay: float, t: int) -> float:
    """Return M_t = mu_1 ... mu_t of `NAdam`, at the same cost for every t.

    With log(1 - q/2) = - sum_k q^k / (k 2^k) and q = 0.96^(momentum_decay i), the sum of the
    logarithms over i is a geometric series for each k; terms above k = 60 are below the rounding
    error.

    Examples
    --------
    >>> round(momentum_product(0.9, 0.0, 3), 12), round(0.45**3, 12)
    (0.091125, 0.091125)
    """
    if beta1 == 0:
        return 0.0
    log_q = momentum_decay * math.log(0.96)
    log_product = t * math.log(beta1)
    for k in range(1, 61):
        ratio = k * log_q
        # sum of exp(ratio i) for i = 1 ... t
        series = math.exp(ratio) * math.expm1(ratio * t) / math.expm1(ratio) if ratio else t
        log_product -= series / (k * 2**k)
    return math.exp(log_product)
