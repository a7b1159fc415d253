"""Adam and variants: steps along the mean gradient divided by its root mean square."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, Unpack

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array, constant
from mlpgrad._core.stateful import check_is_dict
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.boundary import Bounds, Common, Rate

DECAYED_BY = {"m_sum": 0, "v_sum": 1, "v_max": 1}
"""The decay rate of each sum in the state: that of g or that of g^2."""


class Averages(Bounds, total=False):
    """Options of Adam's variants, documented in `Adam`, and bounds, documented in `Optimizer`."""

    beta1: float
    beta2: float
    epsilon: float


class AdamOptions(Averages, total=False):
    """The same with `weight_decay`."""

    weight_decay: float


class Adam(Optimizer):
    """m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  p <- p - rate m' / (sqrt(v') + epsilon)

    where m' = m / (1 - b1^t) and v' = v / (1 - b2^t) correct the bias of averages that start at
    zero. `state` holds the sums m / (1 - b1) and v / (1 - b2) instead of the averages, which
    saves two of twelve passes over the arrays.

    Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1, computed in
    the order that the end of its section 2 recommends.

    Parameters
    ----------
    beta1, beta2 : float
        Decay rates of the running averages of g and of g^2, each in [0, 1).
    epsilon : float
        Added to the denominator, so that it is never zero; at least 0.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0, 1.0]), mg.Adam(0.1)
    >>> optimizer.step(params, grads=np.array([100.0, -0.01]))  # the size of g does not matter
    >>> params.round(6)
    array([0.9, 1.1])
    """

    repeatable = True

    states: tuple[str, ...] = ("m_sum", "v_sum")
    scratch = 1

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        checks.within(self, "beta1", 0, 1)
        checks.within(self, "beta2", 0, 1)
        checks.within(self, "epsilon", 0)

    def _state_given(self) -> None:
        self._summed_with: Sequence[float] | None = None  # the current decay rates

    def _arrays(self, params: Array) -> list[Array]:
        """Return the state arrays; their sums are m / (1 - b1) with the decay rates of now."""
        before, now = self._summed_with, (self.beta1, self.beta2)
        if before is not None and tuple(before) != now:
            for name, array in self.state.items():
                which = DECAYED_BY.get(name)
                if which is not None:
                    array *= (1 - before[which]) / (1 - now[which])
        found = super()._arrays(params)
        self._summed_with = now
        return found

    def snapshot(self) -> dict[str, Any]:
        """Return what every optimizer does, and the decay rates that the sums are for."""
        return super().snapshot() | {"betas": [*(self._summed_with or (self.beta1, self.beta2))]}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        check_is_dict(self, snapshot)
        taken = dict(snapshot)
        betas = taken.pop("betas", None)
        super().restore(taken)
        self._summed_with = betas

    def scalars(self, rate: Any, t: int) -> tuple[Any, ...]:
        root = math.sqrt((1 - self.beta2**t) / (1 - self.beta2))  # the root of v_sum / v'
        return rate * root * (1 - self.beta1) / (1 - self.beta1**t), self.epsilon * root

    def update(
        self, p: Array, g: Array, rate: Array, epsilon: Array, m_sum: Array, v_sum: Array, s: Array
    ) -> None:
        gather(m_sum, g, self.beta1)
        gather(v_sum, np.multiply(g, g, s), self.beta2)
        descend(p, m_sum, v_sum, rate, epsilon, s)

    @classmethod
    def example(cls) -> Self:
        return cls(0.01, beta1=0.8, beta2=0.99, epsilon=1e-6)


class AMSGrad(Adam):
    """Adam with the largest v so far:  v^ <- max(v^, v),  p <- p - rate m' / (sqrt(v^') + epsilon)

    The effective learning rate of a parameter therefore never increases. Reddi, Kale and Kumar
    2018, "On the convergence of Adam and beyond", algorithm 2, with Adam's bias corrections as in
    PyTorch.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.zeros(1), mg.AMSGrad(0.1)
    >>> for g in [10.0, 0.0, 0.0]:
    ...     optimizer.step(params, np.array([g]))
    >>> {name: float(a[0].round(7)) for name, a in optimizer.state.items()}
    {'m_sum': 8.1, 'v_sum': 99.8001, 'v_max': 100.0}
    """

    repeatable = True

    states = ("m_sum", "v_sum", "v_max")

    def update(  # type: ignore[override]  # one state more
        self,
        p: Array,
        g: Array,
        rate: Array,
        epsilon: Array,
        m_sum: Array,
        v_sum: Array,
        v_max: Array,
        s: Array,
    ) -> None:
        gather(m_sum, g, self.beta1)
        gather(v_sum, np.multiply(g, g, s), self.beta2)
        np.maximum(v_max, v_sum, out=v_max)
        descend(p, m_sum, v_max, rate, epsilon, s)


class AdamW(Adam):
    """p <- p - rate weight_decay p,  then a step of Adam

    The decay is not divided by sqrt(v), in contrast to the gradient of an `L2` penalty. The class
    is `Adam` with a different default of `weight_decay`. Loshchilov and Hutter 2019, "Decoupled
    weight decay regularization", algorithm 2.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([2.0]), mg.AdamW(0.1, weight_decay=0.5)
    >>> optimizer.step(params, grads=np.zeros(1))
    >>> params
    array([1.9])
    """

    repeatable = True

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        *,
        weight_decay: float = 1e-2,
        **options: Unpack[Averages],
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **options)

    @classmethod
    def example(cls) -> Self:
        return cls(0.01, weight_decay=0.1, beta1=0.8)


class Adamax(Adam):
    """u <- max(b2 u, |g| + epsilon),  p <- p - rate m' / u

    Adam that divides by the largest recent |g| instead of the root mean square. Kingma and Ba
    2015, "Adam: a method for stochastic optimization", algorithm 2; `epsilon` as in PyTorch.

    Parameters
    ----------
    beta1, beta2 : float
        Decay rates of the running average of g and of the largest |g|, each in [0, 1).
    epsilon : float
        Added to |g|, so that the denominator is never zero; at least 0.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0, 1.0]), mg.Adamax(0.1)
    >>> optimizer.step(params, grads=np.array([100.0, -0.01]))
    >>> params.round(6)
    array([0.9, 1.1])
    """

    repeatable = True

    states = ("m_sum", "u")

    def __init__(self, learning_rate: Rate = 2e-3, **options: Unpack[AdamOptions]) -> None:
        super().__init__(learning_rate, **options)

    def scalars(self, rate: Any, t: int) -> tuple[Any, ...]:
        return rate * (1 - self.beta1) / (1 - self.beta1**t), self.epsilon

    def update(
        self, p: Array, g: Array, rate: Array, epsilon: Array, m_sum: Array, u: Array, s: Array
    ) -> None:
        gather(m_sum, g, self.beta1)
        np.multiply(u, constant(self.beta2, u.dtype), u)
        np.abs(g, s)
        np.add(s, epsilon, s)
        np.maximum(u, s, out=u)
        np.divide(m_sum, u, s)
        np.multiply(s, rate, s)
        np.subtract(p, s, p)


class RAdam(Adam):
    """p <- p - rate m' r_t / (sqrt(v') + epsilon') if rho_t > 5, else p <- p - rate m'

    r_t^2 = (rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t), with rho = 2/(1 - b2) - 1
    and rho_t = rho - 2 t b2^t / (1 - b2^t). As long as v' is the average of too few gradients to
    be reliable, the step uses momentum alone.

    Liu et al. 2020, "On the variance of the adaptive learning rate and beyond", algorithm 2,
    with the threshold 5 instead of 4 and `epsilon` added to the uncorrected sqrt(v), as in PyTorch.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> optimizer = mg.RAdam()
    >>> optimizer.rectification(5), round(optimizer.rectification(6), 3)
    (0.0, 0.026)
    """

    _direct_rectification: Callable[[int], float]

    def rectification(self, t: int) -> float:
        """Return r_t of step t = 1, 2, ..., or 0 if the variance of 1 / sqrt(v') is unbounded."""
        longest = 2 / (1 - self.beta2) - 1
        length = longest - 2 * t * self.beta2**t / (1 - self.beta2**t)
        if length <= 5:
            return 0.0
        numerator = (length - 4) * (length - 2) * longest
        return math.sqrt(numerator / ((longest - 4) * (longest - 2) * length))

    def scalars(self, rate: Any, t: int) -> tuple[Any, ...]:
        self._rectified = self._direct_rectification(t)
        if self._rectified:
            rate = rate * self._rectified * math.sqrt((1 - self.beta2**t) / (1 - self.beta2))
        epsilon = self.epsilon / math.sqrt(1 - self.beta2)
        return rate * (1 - self.beta1) / (1 - self.beta1**t), epsilon

    def update(
        self, p: Array, g: Array, rate: Array, epsilon: Array, m_sum: Array, v_sum: Array, s: Array
    ) -> None:
        gather(m_sum, g, self.beta1)
        gather(v_sum, np.multiply(g, g, s), self.beta2)
        if self._rectified:
            descend(p, m_sum, v_sum, rate, epsilon, s)
        else:
            np.multiply(m_sum, rate, s)
            np.subtract(p, s, p)


def gather(total: Array, values: Array, keep: float) -> None:
    """`total <- keep total + values`, which is 1 / (1 - keep) times the running average."""
    np.multiply(total, constant(keep, total.dtype), total)
    np.add(total, values, total)


def descend(p: Array, m: Array, v: Array, rate: Array, epsilon: Array, s: Array) -> None:
    """`p <- p - rate m / (sqrt(v) + epsilon)`, with `s` as a scratch array."""
    np.sqrt(v, s)
    np.add(s, epsilon, s)
    np.divide(m, s, s)
    np.multiply(s, rate, s)
    np.subtract(p, s, p)
