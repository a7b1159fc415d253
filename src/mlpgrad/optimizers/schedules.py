"""Learning-rate schedules: `schedule(steps) -> rate`, where `steps` have been made before."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

from mlpgrad._core import arguments, checks
from mlpgrad._core.described import Described
from mlpgrad._core.stateful import Stateful

MOST_STEPS = 1 << 53  # a float counts them exactly


class Schedule(Described, Stateful):
    """A learning rate that changes: `Adam(CosineDecay(0.01, steps=1000))`.

    An optimizer takes any function `steps -> float` as well. A subclass implements `__call__`;
    in contrast to a lambda it has a `repr` and can be pickled.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> class InverseTimeDecay(mg.Schedule):
    ...     def __init__(self, rate, decay):
    ...         self.rate, self.decay = rate, decay
    ...
    ...     def __call__(self, steps):
    ...         return self.rate / (1 + self.decay * steps)
    >>> optimizer = mg.SGD(InverseTimeDecay(0.5, 0.25))
    >>> optimizer
    SGD(InverseTimeDecay(0.5, 0.25))
    >>> optimizer.learning_rate(4)
    0.25
    """

    def __call__(self, steps: int) -> float:
        """The learning rate of the next step.

        Parameters
        ----------
        steps : int
            The number of steps made before: 0 at the first step.

        Returns
        -------
        float
            The learning rate; at least 0.
        """
        raise NotImplementedError

    @classmethod
    def example(cls) -> Self:
        """A schedule for the tests that go through every class, with options worth a test."""
        return cls()


class ConstantSchedule(Schedule):
    """The same learning rate at every step.

    Parameters
    ----------
    rate : float
        The learning rate; at least 0.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> mg.ConstantSchedule(0.1)(500)
    0.1
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        checks.within(self, "rate", 0)

    def __call__(self, steps: int) -> float:
        checked_steps(steps)
        return self.rate

    @classmethod
    def example(cls) -> Self:
        return cls(0.1)


class StepDecay(Schedule):
    """rate factor^floor(t / every)

    Parameters
    ----------
    rate : float
        The initial learning rate; at least 0.
    every : int
        The number of steps between two drops; at least 1.
    factor : float
        What the learning rate is multiplied by at each drop; above 0.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> schedule = mg.StepDecay(1.0, every=10, factor=0.5)
    >>> [schedule(t) for t in (0, 9, 10, 20)]
    [1.0, 1.0, 0.5, 0.25]
    """

    def __init__(self, rate: float, every: int, *, factor: float = 0.1) -> None:
        self.rate, self.every, self.factor = rate, every, factor
        checks.within(self, "rate", 0)
        checks.within(self, "every", 1)
        checks.within(self, "factor", 0, open_below=True)

    def __call__(self, steps: int) -> float:
        return self.rate * power(self.factor, checked_steps(steps) // self.every)

    @classmethod
    def example(cls) -> Self:
        return cls(0.5, 7, factor=0.3)


class ExponentialDecay(Schedule):
    """rate factor^(t / every)

    Parameters
    ----------
    rate : float
        The initial learning rate; at least 0.
    factor : float
        What the learning rate is multiplied by within `every` steps; above 0.
    every : int
        The number of steps after which the learning rate has changed by `factor`; at least 1.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> schedule = mg.ExponentialDecay(1.0, factor=0.25, every=10)
    >>> [schedule(t) for t in (0, 5, 10)]
    [1.0, 0.5, 0.25]
    """

    def __init__(self, rate: float, factor: float, *, every: int = 1) -> None:
        self.rate, self.factor, self.every = rate, factor, every
        checks.within(self, "rate", 0)
        checks.within(self, "factor", 0, open_below=True)
        checks.within(self, "every", 1)

    def __call__(self, steps: int) -> float:
        return float(self.rate * power(self.factor, checked_steps(steps) / self.every))

    @classmethod
    def example(cls) -> Self:
        return cls(0.5, 0.9, every=3)


class CosineDecay(Schedule):
    """floor + (rate - floor) (1 + cos(pi t / T)) / 2,  and floor after T steps

    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts",
    equation 5, without restarts.

    Parameters
    ----------
    rate : float
        The initial learning rate; at least 0.
    steps : int
        The number of steps T of the decay; at least 1.
    floor : float
        The final learning rate; at least 0.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> schedule = mg.CosineDecay(1.0, steps=100)
    >>> [round(schedule(t), 3) for t in (0, 25, 50, 100, 200)]
    [1.0, 0.854, 0.5, 0.0, 0.0]
    """

    def __init__(self, rate: float, steps: int, *, floor: float = 0.0) -> None:
        self.rate, self.steps, self.floor = rate, steps, floor
        checks.within(self, "rate", 0)
        checks.within(self, "steps", 1)
        checks.within(self, "floor", 0)

    def __call__(self, steps: int) -> float:
        return _cosine(self.rate, self.floor, checked_steps(steps) / self.steps)

    @classmethod
    def example(cls) -> Self:
        return cls(0.5, 20, floor=0.1)


class OneCycle(Schedule):
    """Half a cosine from peak / start_divisor up to peak, then one down to almost zero

    Smith and Topin 2018, "Super-convergence: very fast training of neural networks using large
    learning rates", with cosines instead of straight lines, as in PyTorch.

    Parameters
    ----------
    peak : float
        The highest learning rate; `learning_rate_range_test` helps to choose it.
    steps : int
        The number of steps of the cycle, at least 2; afterwards the learning rate stays at its
        final value.
    rising : float
        The share of the steps that comes before the peak, in (0, 1).
    start_divisor, end_divisor : float
        The initial learning rate is peak / start_divisor, and the final one is the initial one
        divided by end_divisor; both at least 1.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> schedule = mg.OneCycle(1.0, steps=102, rising=0.5)
    >>> [round(schedule(t), 4) for t in (0, 25, 50, 101)]
    [0.04, 0.52, 1.0, 0.0]
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        *,
        rising: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 1e4,
    ) -> None:
        self.peak, self.steps, self.rising = peak, steps, rising
        self.start_divisor, self.end_divisor = start_divisor, end_divisor
        checks.within(self, "peak", 0)
        checks.within(self, "steps", 2)
        checks.within(self, "rising", 0, 1, open_below=True)
        checks.within(self, "start_divisor", 1)
        checks.within(self, "end_divisor", 1)

    def __call__(self, steps: int) -> float:
        steps = checked_steps(steps)
        start = self.peak / self.start_divisor
        summit = max(self.rising * self.steps - 1, 0.0)
        if steps < summit:
            return _cosine(start, self.peak, steps / summit)
        falling = (steps - summit) / (self.steps - 1 - summit)
        return _cosine(self.peak, start / self.end_divisor, falling)

    @classmethod
    def example(cls) -> Self:
        return cls(0.5, 25, rising=0.45, start_divisor=10)


class WarmUp(Schedule):
    """rate (t + 1) / T in the first T steps,  afterwards the rate, or a schedule from its start

    Goyal et al. 2017, "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    section 2.2.

    Parameters
    ----------
    rate : float or schedule
        The learning rate after the warm-up; the steps of a schedule are counted from the end of
        the warm-up.
    steps : int
        The number of steps T of the warm-up; at least 1.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> schedule = mg.WarmUp(mg.CosineDecay(1.0, steps=100), steps=4)
    >>> [round(schedule(t), 3) for t in (0, 1, 2, 3, 4, 54)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.5]
    """

    def __init__(self, rate: float | Callable[[int], float], steps: int) -> None:
        self.rate, self.steps = rate, steps
        if not callable(rate) or isinstance(rate, type):
            checks.within(self, "rate", 0)
        checks.within(self, "steps", 1)

    def __call__(self, steps: int) -> float:
        steps = checked_steps(steps)
        rate = self.rate(max(steps - self.steps, 0)) if callable(self.rate) else self.rate
        return rate * min((steps + 1) / self.steps, 1.0)

    @classmethod
    def example(cls) -> Self:
        return cls(CosineDecay(0.5, 20), 5)


def _cosine(start: float, end: float, share: float) -> float:
    """Half a cosine from `start` (share 0) to `end` (share 1 and above)."""
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def checked_steps(steps: int) -> int:
    """`steps`; raise ValueError if it is not an int of at least 0."""
    if type(steps) is int and 0 <= steps < MOST_STEPS:
        return steps
    return arguments.count(steps, "steps", 0, MOST_STEPS)


def power(factor: float, exponent: float) -> float:
    """factor^exponent; raise ValueError where a growing learning rate leaves all bounds."""
    try:
        return float(factor**exponent)
    except OverflowError:
        raise ValueError(
            f"the learning rate has grown by {factor}^{exponent:.4g}, which no float holds; use "
            f"a factor below 1, or above 1 for a few steps only"
        ) from None
