"""Gradient descent, formula (3) of the lecture, with momentum and Nesterov momentum."""

from __future__ import annotations

from typing import Self, Unpack

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array, constant
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.boundary import Common, Rate


class SGD(Optimizer):
    """p <- p - rate g;  with momentum  v <- momentum v + g,  p <- p - rate v

    Gradient descent, formula (3) of the lecture. With Nesterov momentum the step is p <- p - rate
    (g + momentum v).

    Polyak 1964, "Some methods of speeding up the convergence of iteration methods"; Sutskever,
    Martens, Dahl and Hinton 2013, "On the importance of initialization and momentum in deep
    learning"; in PyTorch's form, where the rate multiplies v.

    Parameters
    ----------
    momentum : float
        The factor of v at each step, in [0, 1); 0 is plain gradient descent.
    nesterov : bool
        Whether to step along g + momentum v (the look-ahead gradient) instead of v. Requires a
        momentum above 0.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0]), mg.SGD(0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.step(params, grads=np.array([1.0]))
    >>> params
    array([0.75])
    """

    repeatable = True
    scratch = 1

    def __init__(
        self,
        learning_rate: Rate,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.momentum, self.nesterov = momentum, nesterov
        checks.within(self, "momentum", 0, 1)
        checks.boolean(self, "nesterov")
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov expects a momentum > 0, got 0; add momentum=0.9")
        self.states = ("v",) if momentum else ()

    def update(self, p: Array, g: Array, rate: Array, *arrays: Array) -> None:
        s = arrays[-1]
        if self.momentum:
            v, momentum = arrays[0], constant(self.momentum, p.dtype)
            np.multiply(v, momentum, v)
            np.add(v, g, v)
            g = np.add(np.multiply(v, momentum, s), g, s) if self.nesterov else v
        np.multiply(g, rate, s)
        np.subtract(p, s, p)

    @classmethod
    def example(cls) -> Self:
        return cls(0.01, momentum=0.9, nesterov=True)
