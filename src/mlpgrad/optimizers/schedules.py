"""Learning-rate schedules: `schedule(steps) -> rate` after `steps` steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

from mlpgrad._core import checks
from mlpgrad._core.calls import check_takes, is_function
from mlpgrad.optimizers.schedule import Schedule, _Spanning, checked_steps, checked_total, power


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
        The factor of the learning rate at each drop; above 0.

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
        The factor of the learning rate over `every` steps; above 0.
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


class CosineDecay(_Spanning):
    """floor + (rate - floor) (1 + cos(pi t / T)) / 2,  and floor after T steps

    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts",
    equation 5, without restarts.

    Parameters
    ----------
    rate : float
        The initial learning rate; at least 0.
    steps : int, optional
        The number of steps T of the decay; at least 1. By default the decay spans the training:
        `fit` knows its epochs and batches, and each `fit` starts at the initial learning rate.
    floor : float
        The final learning rate; at least 0.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> schedule = mg.CosineDecay(1.0, steps=100)
    >>> [round(schedule(t), 3) for t in (0, 25, 50, 100, 200)]
    [1.0, 0.854, 0.5, 0.0, 0.0]
    """

    def __init__(self, rate: float, steps: int | None = None, *, floor: float = 0.0) -> None:
        self.rate, self.steps, self.floor = rate, steps, floor
        checks.within(self, "rate", 0)
        self._check_total(1)
        checks.within(self, "floor", 0)

    def within(self, steps: int, total: int) -> float:
        share = checked_steps(steps) / (self.steps or checked_total(total))
        return _cosine(self.rate, self.floor, share)

    @classmethod
    def example(cls) -> Self:
        return cls(0.5, 20, floor=0.1)


class OneCycle(_Spanning):
    """Half a cosine from peak / start_divisor up to peak, then one down to almost zero

    Smith and Topin 2018, "Super-convergence: very fast training of neural networks using large
    learning rates", with cosines instead of straight lines, as in PyTorch.

    Parameters
    ----------
    peak : float
        The highest learning rate; `learning_rate_range_test` helps to choose it.
    steps : int, optional
        The number of steps of the cycle, at least 2; afterwards the learning rate stays at its
        final value. By default the cycle spans the training: `fit` knows its epochs and batches,
        and each `fit` is a cycle.
    rising : float
        The fraction of the steps before the peak, in (0, 1).
    start_divisor, end_divisor : float
        The initial learning rate is peak / start_divisor, and the final one is the initial one
        divided by end_divisor; both at least 1.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> schedule = mg.OneCycle(1.0, steps=102, rising=0.5)
    >>> [round(schedule(t), 4) for t in (0, 25, 50, 101)]
    [0.04, 0.52, 1.0, 0.0]

    In a training, the number of steps is not needed:

    >>> x, y = mg.datasets.moons(200, noise=0.1, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 16), mg.Tanh(), mg.Dense(16, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(mg.OneCycle(0.1)), epochs=20, verbose=0)
    >>> max(history["learning_rate"]) > 0.09, history["learning_rate"][-1] < 1e-4
    (True, True)
    """

    def __init__(
        self,
        peak: float,
        steps: int | None = None,
        *,
        rising: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 1e4,
    ) -> None:
        self.peak, self.steps, self.rising = peak, steps, rising
        self.start_divisor, self.end_divisor = start_divisor, end_divisor
        checks.within(self, "peak", 0)
        self._check_total(2)
        checks.within(self, "rising", 0, 1, open_below=True)
        checks.within(self, "start_divisor", 1)
        checks.within(self, "end_divisor", 1)

    def within(self, steps: int, total: int) -> float:
        steps, total = checked_steps(steps), self.steps or checked_total(total)
        start = self.peak / self.start_divisor
        summit = max(self.rising * total - 1, 0.0)
        if steps < summit:
            return _cosine(start, self.peak, steps / summit)
        falling = (steps - summit) / (total - 1 - summit or 1.0)  # a single step is at the peak
        return _cosine(self.peak, start / self.end_divisor, falling)

    @classmethod
    def example(cls) -> Self:
        return cls(0.5, 25, rising=0.45, start_divisor=10)


class WarmUp(Schedule):
    """rate (t + 1) / T in the first T steps, then the rate, or a schedule from its start

    Goyal et al. 2017, "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    section 2.2.

    Parameters
    ----------
    rate : float or schedule
        The learning rate after the warm-up; the steps of a schedule are counted from the end of
        the warm-up, and a schedule that spans the training then spans the rest of it.
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
        if is_function(rate):
            check_takes(rate, "WarmUp: rate", ("steps",), "lambda steps: ...")
        else:
            checks.within(self, "rate", 0)
        checks.within(self, "steps", 1)

    @property
    def needs_total(self) -> bool:  # type: ignore[override]
        """Whether the schedule after the warm-up needs the total."""
        return isinstance(self.rate, Schedule) and self.rate.needs_total

    def __call__(self, steps: int) -> float:
        return super().__call__(steps) if self.needs_total else self.within(steps, 1)

    def within(self, steps: int, total: int) -> float:
        steps = checked_steps(steps)
        rate, after = self.rate, max(steps - self.steps, 0)
        if isinstance(rate, Schedule):
            rate = rate.within(after, max(checked_total(total) - self.steps, 1))
        elif callable(rate):
            rate = rate(after)
        return rate * min((steps + 1) / self.steps, 1.0)

    @classmethod
    def example(cls) -> Self:
        return cls(CosineDecay(0.5, 20), 5)


def _cosine(start: float, end: float, share: float) -> float:
    """Return half a cosine from `start` (fraction 0) to `end` (fraction 1 and above)."""
    start, end = float(start), float(end)  # NumPy scalars and ints may overflow
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
