"""`Schedule`: the base class of learning-rate schedules, `schedule(steps) -> rate`."""

from __future__ import annotations

from typing import Self

from mlpgrad._core import arguments, checks
from mlpgrad._core.described import Described
from mlpgrad._core.stateful import Stateful
from mlpgrad._core.unwritten import unwritten

MOST_STEPS = 1 << 53  # a float counts them exactly


class Schedule(Described, Stateful):
    """A learning rate that changes: `Adam(CosineDecay(0.01, steps=1000))`.

    An optimizer also accepts any function `steps -> float`. A subclass implements `__call__`; in
    contrast to a lambda, it has a `repr` and can be pickled.

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

    A schedule that spans a `fit` from its first to its last step overrides `within`, and declares
    it with `needs_total`:

    >>> class LinearDecay(mg.Schedule):
    ...     needs_total = True
    ...
    ...     def __init__(self, rate):
    ...         self.rate = rate
    ...
    ...     def within(self, steps, total):
    ...         return self.rate * max(1 - steps / total, 0)
    >>> x, y = mg.datasets.moons(64, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.SGD(LinearDecay(0.1)), epochs=4, verbose=0)
    >>> [round(rate, 4) for rate in history["learning_rate"]]
    [0.0875, 0.0625, 0.0375, 0.0125]
    """

    needs_total: bool = False
    """Whether the learning rates depend on the number of steps of the training, known to `fit`."""

    def __call__(self, steps: int) -> float:
        """Return the learning rate of the next step.

        Parameters
        ----------
        steps : int
            The number of steps made before: 0 at the first step.

        Returns
        -------
        float
            The learning rate; at least 0.

        Raises
        ------
        ValueError
            If the schedule `needs_total`, since only `fit` knows the number of steps.
        """
        if self.needs_total:
            raise ValueError(
                f"{self!r} spans a whole training, whose number of steps is not known before the "
                "first epoch of model.fit(..., optimizer=...); train with fit, or give steps="
            )
        raise NotImplementedError(unwritten(self, "__call__"))

    def within(self, steps: int, total: int) -> float:
        """Return the learning rate of the next step in a training of `total` steps.

        Parameters
        ----------
        steps : int
            The number of steps made before, in this training.
        total : int
            The number of steps of the training: epochs times batches.

        Returns
        -------
        float
            The learning rate, at least 0. It equals `schedule(steps)` unless the schedule
            `needs_total`.
        """
        return self(steps)

    @classmethod
    def example(cls) -> Self:
        """Return a schedule with non-default options, for tests that go through every class."""
        return cls()


class _Spanning(Schedule):
    """A schedule over `steps` steps, or over the whole training if `steps` is None."""

    steps: int | None

    @property
    def needs_total(self) -> bool:  # type: ignore[override]
        """Whether `steps` is not given."""
        return self.steps is None

    def __call__(self, steps: int) -> float:
        return super().__call__(steps) if self.steps is None else self.within(steps, self.steps)

    def _check_total(self, least: int) -> None:
        """Raise ValueError unless `steps` is None or at least a minimum."""
        if self.steps is not None:
            checks.within(self, "steps", least)


def checked_steps(steps: int) -> int:
    """Return `steps`; raise ValueError if it is not an int >= 0."""
    if type(steps) is int and 0 <= steps < MOST_STEPS:
        return steps
    return arguments.count(steps, "steps", 0, MOST_STEPS)


def checked_total(total: int) -> int:
    """Return `total`; raise ValueError if it is not an int >= 1."""
    if type(total) is int and 0 < total < MOST_STEPS:
        return total
    return arguments.count(total, "total", 1, MOST_STEPS)


def power(factor: float, exponent: float) -> float:
    """Return factor^exponent; raise ValueError if a growing learning rate overflows."""
    try:
        return float(float(factor) ** exponent)  # Python ints would grow without bound
    except OverflowError:
        raise ValueError(
            f"the learning rate has grown by {factor}^{exponent:.4g}, which no float holds; use "
            f"a factor below 1, or above 1 for a few steps only"
        ) from None
