"""scikit-learn's forms of two update rules: the position of epsilon, and the velocity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, constant
from mlpgrad.optimizers import Adam, Optimizer


class _Adam(Adam):
    """p <- p - rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)

    Epsilon is added to the square root of v, not of the bias-corrected v': the form at the end of
    section 2 of Kingma and Ba 2015.
    """

    repeatable = True

    def scalars(self, rate: Any, t: int) -> tuple[Any, ...]:
        root = math.sqrt(1 - self.beta2)  # `state` holds m / (1 - b1) and v / (1 - b2)
        correction = math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        return rate * correction * (1 - self.beta1) / root, self.epsilon / root


class _HeldRateSGD(Optimizer):
    """v <- momentum v - rate g,  p <- p + v;  with Nesterov's  p <- p + momentum v - rate g

    The velocity includes the learning rates of past steps, so that a change of the learning rate
    affects only new gradients; in `mlpgrad.SGD` it also affects the velocity.
    """

    repeatable = True
    states = ("v",)
    scratch = 2

    def __init__(self, learning_rate: float, *, momentum: float, nesterov: bool) -> None:
        super().__init__(learning_rate)
        self.momentum, self.nesterov = momentum, nesterov

    def update(self, p: Array, g: Array, rate: Array, v: Array, moved: Array, ahead: Array) -> None:
        momentum = constant(self.momentum, p.dtype)
        np.multiply(g, rate, moved)
        np.multiply(v, momentum, v)
        np.subtract(v, moved, v)
        if self.nesterov:
            np.multiply(v, momentum, ahead)
            np.subtract(ahead, moved, ahead)
            np.add(p, ahead, p)
        else:
            np.add(p, v, p)
