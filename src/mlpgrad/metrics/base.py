"""`Metric`, and the accumulators that carry a metric through the batches of a data set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss


class Accumulator(Protocol):
    """What one metric keeps between the batches of one pass through the data.

    However the samples are divided into batches, the result is the same.
    """

    def add(self, prediction: Array, target: Array, weights: Array | None, loss: Loss) -> None:
        """Take one batch into account. The arrays may be overwritten afterwards.

        Parameters
        ----------
        prediction : array (..., B, O)
            The network's output.
        target : array (B, T) or (..., B, T), or class indices (..., B, 1)
            The target as `loss.cast` returns it.
        weights : array (B, 1) or (..., B, 1), or None
            The weights of the samples; without them, all count alike.
        loss : Loss
            Knows what the output means.
        """

    def result(self) -> Any:
        """The metric of all samples so far: a number, or `(E,)` for an ensemble."""


class Metric(Described):
    """A number that tells how good predictions are: the weighted mean of per-sample values.

    A subclass implements `values`, which gives each sample one number, or `sums` numbers;
    `finish` may turn their means into the metric. A metric that needs more than means, such as
    an order of all samples, overrides `start` and returns an `Accumulator` of its own.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> class Bias(mg.Metric):
    ...     name = "bias"
    ...     def values(self, prediction, target, loss):
    ...         return (prediction - target).mean(axis=-1)
    >>> model = mg.Sequential([mg.Identity()], loss=mg.HalfSquaredError())
    >>> x = np.ones((4, 1))
    >>> model.evaluate(x, x - 0.5, metrics=[Bias()])["bias"]
    0.5

    Two means, of which the metric is the quotient:

    >>> class RelativeError(mg.Metric):
    ...     name, sums, larger_is_better = "relative_error", 2, False
    ...     def values(self, prediction, target, loss):
    ...         return abs(np.concatenate([prediction - target, target], axis=-1))
    ...     def finish(self, means):
    ...         return means[..., 0] / means[..., 1]
    >>> model.evaluate(x, x - 0.5, metrics=[RelativeError()])["relative_error"]
    1.0
    """

    name: str = "metric"
    """The key in `History` and in the result of `evaluate`."""
    larger_is_better: bool | None = None
    """Whether an improvement is an increase; None where the direction is unknown."""
    sums: int = 1
    """How many numbers `values` returns for each sample."""

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        """One number for each sample, `(..., B)`; `(..., B, sums)` where `sums` is above 1.

        Parameters
        ----------
        prediction : array (..., B, O)
            The network's output.
        target : array (B, T) or (..., B, T), or class indices (..., B, 1)
        loss : Loss
            Knows what the output means: `loss.classes(prediction)`, `loss.numbers(prediction)`.
        """
        raise NotImplementedError

    def finish(self, means: Any) -> Any:
        """The metric from the weighted means of the values, without the axis of samples.

        Parameters
        ----------
        means : number or array (...), or array (..., sums)

        Returns
        -------
        number or array (...)
        """
        return means

    def start(self) -> Accumulator:
        """An empty accumulator for a new pass through the data."""
        return WeightedMeans(self)

    @classmethod
    def example(cls) -> Self:
        """A metric with options worth a test, for tests that go through every class."""
        return cls()


class WeightedMeans:
    """The accumulator of most metrics: sums of weights and of weighted values, in float64.

    Where all weights are zero, the means are zero.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.totals: Any = 0.0
        self.weight: Any = 0.0
        self.lead: tuple[int, ...] = ()

    def add(self, prediction: Array, target: Array, weights: Array | None, loss: Loss) -> None:
        metric, one = self.metric, self.metric.sums == 1
        values = np.asarray(metric.values(prediction, target, loss))
        samples = prediction.shape[:-1]
        expected = samples if one else (*samples, metric.sums)
        if values.shape != expected:
            raise ValueError(
                f"{type(metric).__name__}.values: expected an array of shape {expected}, got "
                f"{values.shape}; return one number for each sample, such as .mean(axis=-1) of "
                f"the outputs, or set sums to the number of values of each sample"
            )
        self.lead = samples[:-1]
        if weights is None:
            self.weight += samples[-1]
        else:
            weights = weights.astype(np.float64, copy=False)
            self.weight = self.weight + np.add.reduce(weights, axis=(-2, -1))
            values = values * (weights[..., 0] if one else weights)
        total = np.add.reduce(values, axis=-1 if one else -2, dtype=np.float64)
        self.totals = self.totals + total

    def result(self) -> Any:
        weight = self.weight if self.metric.sums == 1 else np.asarray(self.weight)[..., None]
        value = self.metric.finish(weighted_mean(self.totals, weight))
        if np.shape(value) != self.lead:
            kind = f"an array of shape {self.lead}" if self.lead else "a number"
            raise ValueError(
                f"{type(self.metric).__name__}.finish: expected {kind}, "
                f"got shape {np.shape(value)}; reduce the last axis of the means"
            )
        return value


def start_all(metrics: Iterable[Metric]) -> dict[str, Accumulator]:
    """An empty accumulator for each metric, by name.

    Raises
    ------
    ValueError
        If two of them have one name.
    """
    started: dict[str, Accumulator] = {}
    for metric in listed(metrics):
        if metric.name in ("loss", *started):
            raise ValueError(
                f"metrics expects names that differ, got {metric.name!r} twice; "
                f"set the attribute name of one of them"
            )
        started[metric.name] = metric.start()
    return started


def listed(metrics: Any) -> list[Metric]:
    """The metrics that a person has given, as a list.

    Raises
    ------
    TypeError
        If this is not a list of metrics; the message says what to write.
    """
    return arguments.objects(metrics, "metrics", Metric, "Accuracy()")


def known_metrics() -> dict[str, Metric]:
    """An example of each metric of this package, by its name in the logs."""
    examples = [cls.example() for cls in _subclasses(Metric)]
    return {metric.name: metric for metric in examples}


def weighted_mean(total: Any, weight: Any) -> Any:
    """`total / weight`; 0 where all weights were zero, and so the total is."""
    if isinstance(weight, int):  # samples that count alike
        return total / weight
    return total / np.maximum(weight, np.finfo(float).tiny)


def _subclasses(base: type[Metric]) -> list[type[Metric]]:
    """Every metric of this package below `base`."""
    found = [c for sub in base.__subclasses__() for c in (sub, *_subclasses(sub))]
    return [c for c in found if c.__module__.startswith("mlpgrad.") and c.__name__[0] != "_"]
