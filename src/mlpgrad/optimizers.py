"""Optimizers: the published rules, each on whole flat vectors, in place."""

from __future__ import annotations

from typing import Any, Self, Unpack

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array, constant
from mlpgrad.adam import Adam as Adam
from mlpgrad.adam import Adamax as Adamax
from mlpgrad.adam import AdamW as AdamW
from mlpgrad.adam import AMSGrad as AMSGrad
from mlpgrad.adam import NAdam as NAdam
from mlpgrad.adam import RAdam as RAdam
from mlpgrad.optimizer_base import Common, Optimizer, Rate, approach


class SGD(Optimizer):
    """p <- p - rate g;  with momentum  v <- momentum v + g,  p <- p - rate v

    The lecture's gradient descent (3). With Nesterov's momentum p <- p - rate (g + momentum v).

    Polyak 1964, "Some methods of speeding up the convergence of iteration methods"; Sutskever,
    Martens, Dahl and Hinton 2013, "On the importance of initialization and momentum in deep
    learning"; in PyTorch's form, where the rate multiplies v.

    Parameters
    ----------
    learning_rate : float, schedule, or a number for each network
    momentum : float
        How much of v is kept at each step, in [0, 1).
    nesterov : bool
        Look ahead along v; needs a momentum.
    **common
        See `Optimizer`.

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


class RMSprop(Optimizer):
    """v <- decay v + (1 - decay) g^2,  p <- p - rate g / (sqrt(v) + epsilon)

    Centered: sqrt(v - a^2) for sqrt(v), with a <- decay a + (1 - decay) g: the standard
    deviation of g. With momentum: b <- momentum b + g / (sqrt(v) + epsilon), p <- p - rate b.

    Tieleman and Hinton 2012, lecture 6.5 of "Neural networks for machine learning"; centered
    and momentum: Graves 2013, "Generating sequences with recurrent neural networks", section
    4.2; in PyTorch's form.

    Parameters
    ----------
    learning_rate : float, schedule, or a number for each network
    decay : float
        What the averages keep at each step, in [0, 1); PyTorch's alpha.
    momentum : float
        How much of b is kept at each step, in [0, 1).
    epsilon : float
        Keeps the divisor from zero.
    centered : bool
        Divide by the standard deviation.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0, 1.0]), mg.RMSprop(0.1, decay=0.75)
    >>> optimizer.step(params, grads=np.array([100.0, -0.01]))  # the size of g does not matter
    >>> params.round(5)
    array([0.8, 1.2])
    """

    repeatable = True

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
    learning_rate : float, schedule, or a number for each network
    epsilon : float
        Keeps the divisor from zero.
    **common
        See `Optimizer`.

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

    times the rate, with u <- decay u + (1 - decay) d^2, the mean square of the steps, which gives
    d the unit of p.

    Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1.

    Parameters
    ----------
    learning_rate : float, schedule, or a number for each network
    decay : float
        What the averages keep at each step, in [0, 1); the paper's rho.
    epsilon : float
        Starts the movement, and keeps the divisor from zero.
    **common
        See `Optimizer`.

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


class Lion(Optimizer):
    """c = b1 m + (1 - b1) g,  p <- p - rate sign(c),  m <- b2 m + (1 - b2) g

    Every parameter moves by exactly the rate, so a good rate is three to ten times smaller than
    for Adam, and a good `weight_decay` as much larger.

    Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2.

    Parameters
    ----------
    learning_rate : float, schedule, or a number for each network
    beta1, beta2 : float
        How much of m is in the step, and how much of it is kept, in [0, 1).
    **common
        See `Optimizer`.

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
    """p <- p - sign(g) d,  where d grows by eta_plus while the sign of g stays, else by eta_minus

    Where the sign has just changed, p waits for one step. Only signs count: train on all data
    at once.

    Riedmiller and Braun 1993, "A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm"; in the form iRprop- of Igel and Huesken 2003, "Empirical evaluation of the
    improved Rprop learning algorithms", which is also PyTorch's.

    Parameters
    ----------
    learning_rate : float, or a number for each network
        The first d of every parameter; from then on the rule finds its own.
    eta_plus, eta_minus : float
        Factors of d, above and below 1.
    min_step, max_step : float
        Bounds of d.
    **common
        See `Optimizer`.

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

    states = ("d", "sign")
    scratch = 3

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
        if callable(learning_rate):
            raise TypeError(
                f"Rprop finds its own steps: learning_rate expects the first one as a number, "
                f"got {learning_rate!r}"
            )
        checks.within(self, "eta_plus", 1)
        checks.within(self, "eta_minus", 0, 1, open_below=True)
        checks.within(self, "min_step", 0)
        checks.within(self, "max_step", min_step)

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
