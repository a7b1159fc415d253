"""Rules that divide by running averages of squares: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

from typing import Self, Unpack

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array, constant
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.boundary import Common, Rate
from mlpgrad.optimizers.vectors import approach


class RMSprop(Optimizer):
    """v <- decay v + (1 - decay) g^2,  p <- p - rate g / (sqrt(v) + epsilon)

    If centered, the denominator is the standard deviation of g, sqrt(v - a^2) instead of sqrt(v),
    with a <- decay a + (1 - decay) g. With momentum, b <- momentum b + g / (sqrt(v) + epsilon) and
    p <- p - rate b.

    Tieleman and Hinton 2012, lecture 6.5 of "Neural networks for machine learning"; centered
    and with momentum: Graves 2013, "Generating sequences with recurrent neural networks", section
    4.2; in PyTorch's form.

    Parameters
    ----------
    decay : float
        The decay rate of the running averages v and a, in [0, 1); PyTorch calls it alpha.
    momentum : float
        The factor of b at each step, in [0, 1); 0 means no momentum.
    epsilon : float
        Added to the denominator, so that it is never zero; at least 0.
    centered : bool
        Whether to divide by the standard deviation of g.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0, 1.0]), mg.RMSprop(0.1, decay=0.75)
    >>> optimizer.step(params, grads=np.array([100.0, -0.01]))  # the size of g does not matter
    >>> params.round(5)
    array([0.8, 1.2])
    """

    repeatable = True
    scratch = 1

    def __init__(
        self,
        learning_rate: Rate = 1e-2,
        *,
        decay: float = 0.99,
        momentum: float = 0.0,
        epsilon: float = 1e-8,
        centered: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.decay, self.momentum, self.epsilon = decay, momentum, epsilon
        self.centered = centered
        checks.boolean(self, "centered")
        checks.within(self, "decay", 0, 1)
        checks.within(self, "momentum", 0, 1)
        checks.within(self, "epsilon", 0)
        self.states = ("v", *(["a"] if centered else []), *(["b"] if momentum else []))

    def update(self, p: Array, g: Array, rate: Array, v: Array, *arrays: Array) -> None:
        *more, s = arrays
        approach(v, np.multiply(g, g, s), self.decay, s)
        if self.centered:
            a, *more = more
            approach(a, g, self.decay, s)
            np.multiply(a, a, s)
            np.subtract(v, s, s)
            np.maximum(s, constant(0, s.dtype), out=s)  # rounding can make a variance negative
            np.sqrt(s, s)
        else:
            np.sqrt(v, s)
        np.add(s, constant(self.epsilon, s.dtype), s)
        step = np.divide(g, s, s)
        for b in more:
            np.multiply(b, constant(self.momentum, b.dtype), b)
            step = np.add(b, s, b)
        np.multiply(step, rate, s)
        np.subtract(p, s, p)

    @classmethod
    def example(cls) -> Self:
        return cls(0.01, decay=0.9, momentum=0.5, centered=True)


class Adagrad(Optimizer):
    """G <- G + g^2,  p <- p - rate g / (sqrt(G) + epsilon)

    Duchi, Hazan and Singer 2011, "Adaptive subgradient methods for online learning and
    stochastic optimization".

    Parameters
    ----------
    epsilon : float
        Added to the divisor, so that it is never zero; at least 0.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0]), mg.Adagrad(0.1)
    >>> for g in [3.0, 4.0]:
    ...     optimizer.step(params, grads=np.array([g]))
    >>> params  # 1 - 0.1 * 3/3 - 0.1 * 4/5
    array([0.82])
    """

    repeatable = True

    states = ("G",)
    scratch = 1

    def __init__(
        self, learning_rate: Rate = 1e-2, *, epsilon: float = 1e-10, **common: Unpack[Common]
    ) -> None:
        super().__init__(learning_rate, **common)
        self.epsilon = epsilon
        checks.within(self, "epsilon", 0)

    def update(self, p: Array, g: Array, rate: Array, total: Array, s: Array) -> None:
        np.multiply(g, g, s)
        np.add(total, s, total)
        np.sqrt(total, s)
        np.add(s, constant(self.epsilon, s.dtype), s)
        np.divide(g, s, s)
        np.multiply(s, rate, s)
        np.subtract(p, s, p)

    @classmethod
    def example(cls) -> Self:
        return cls(0.1, epsilon=1e-6)


class Adadelta(Optimizer):
    """v <- decay v + (1 - decay) g^2,  d = g sqrt(u + epsilon) / sqrt(v + epsilon),  p <- p - d

    where the learning rate multiplies d, and u <- decay u + (1 - decay) d^2 is the mean square of
    the steps, which gives d the unit of p.

    Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1.

    Parameters
    ----------
    decay : float
        The decay rate of the running averages v and u, in [0, 1); the paper's rho.
    epsilon : float
        Added to u and v; it determines the size of the first steps and prevents division by zero;
        at least 0.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0]), mg.Adadelta(decay=0.75, epsilon=1e-4)
    >>> optimizer.step(params, grads=np.array([4.0]))
    >>> params.round(4)  # 1 - 0.01 / 0.5
    array([0.98])
    """

    repeatable = True

    states = ("v", "u")
    scratch = 2

    def __init__(
        self,
        learning_rate: Rate = 1.0,
        *,
        decay: float = 0.9,
        epsilon: float = 1e-6,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.decay, self.epsilon = decay, epsilon
        checks.within(self, "decay", 0, 1)
        checks.within(self, "epsilon", 0)

    def update(
        self, p: Array, g: Array, rate: Array, v: Array, u: Array, s: Array, d: Array
    ) -> None:
        epsilon = constant(self.epsilon, s.dtype)
        approach(v, np.multiply(g, g, s), self.decay, s)
        np.add(u, epsilon, d)
        np.add(v, epsilon, s)
        np.divide(d, s, d)
        np.sqrt(d, d)
        np.multiply(d, g, d)
        approach(u, np.multiply(d, d, s), self.decay, s)
        np.multiply(d, rate, d)
        np.subtract(p, d, p)

    @classmethod
    def example(cls) -> Self:
        return cls(0.5, decay=0.8, epsilon=1e-4)
