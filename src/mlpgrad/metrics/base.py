"""`Metric`, and the accumulators that compute a metric over the batches of a data set."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.advice import instead_of
from mlpgrad._core.arrays import Array, read_only, weighted
from mlpgrad._core.described import Described
from mlpgrad._core.families import classes_below
from mlpgrad._core.unwritten import unwritten

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss


OTHERS = ("loss", "learning_rate", "epoch")
"""What else a history and the name of a checkpoint may hold."""


class Accumulator(Protocol):
    """The state of a metric between the batches of a pass through the data.

    The result does not depend on how the samples are divided into batches.
    """

    def add(self, prediction: Array, target: Array, weights: Array | None, loss: Loss) -> None:
        """Add one batch. The arrays may be overwritten afterwards.

        Parameters
        ----------
        prediction : array (..., B, O)
            The network's output.
        target : array (B, T) or (..., B, T), or class indices (..., B, 1)
            The target as returned by `loss.cast`.
        weights : array (B, 1) or (..., B, 1), or None
            The sample weights; None for equal weights.
        loss : Loss
            The loss, which interprets the output.
        """

    def result(self) -> Any:
        """Return the metric over all samples so far: a number, or `(E,)` for an ensemble."""


class Metric(Described):
    """A measure of the quality of predictions: the weighted mean of per-sample values.

    A subclass implements `values`, which returns one number per sample, or `sums` numbers;
    `finish` may compute the metric from their means. A metric that needs more than means, such as
    a ranking of all samples, overrides `start` and returns its own `Accumulator`.

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

    A metric that is the quotient of two means:

    >>> class RelativeError(mg.Metric):
    ...     name, sums, larger_is_better = "relative_error", 2, False
    ...     def values(self, prediction, target, loss):
    ...         return abs(np.concatenate([prediction - target, target], axis=-1))
    ...     def finish(self, means):
    ...         return means[..., 0] / means[..., 1]
    >>> model.evaluate(x, x - 0.5, metrics=[RelativeError()])["relative_error"]
    1.0
    """

    _calls_checked = True
    _direct_values: Callable[[Array, Array, Loss], Array]

    name: str = "metric"
    """The key in `History` and in the result of `evaluate`."""
    larger_is_better: bool | None = None
    """Whether larger values are better; None if the direction is not known."""
    sums: int = 1
    """Number of values per sample that `values` returns."""

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        """Return one number per sample, `(..., B)`; `(..., B, sums)` if `sums` is above 1.

        Both arrays are read-only, since others use them as well.

        Parameters
        ----------
        prediction : array (..., B, O)
            The network's output.
        target : array (B, T) or (..., B, T), or class indices (..., B, 1)
        loss : Loss
            The loss, which interprets the output: `loss.classes(prediction)`,
            `loss.numbers(prediction)`.
        """
        raise NotImplementedError(unwritten(self, "values"))

    def finish(self, means: Any) -> Any:
        """Return the metric from the weighted means of the values, without the axis of samples.

        Parameters
        ----------
        means : number or array (...), or array (..., sums)

        Returns
        -------
        number or array (...)
        """
        return means

    def start(self) -> Accumulator:
        """Return an empty accumulator for a new pass through the data."""
        return WeightedMeans(self)

    @classmethod
    def example(cls) -> Self:
        """Return a metric with non-default options, for tests that go through every class."""
        return cls()


class WeightedMeans:
    """The accumulator of most metrics: sums of weights and of weighted values, in float64.

    If all weights are zero, the means are zero.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.totals: Any = 0.0
        self.weight: Any = 0.0
        self.lead: tuple[int, ...] = ()

    def add(self, prediction: Array, target: Array, weights: Array | None, loss: Loss) -> None:
        metric, one = self.metric, self.metric.sums == 1
        values = _values(metric, prediction, target, loss)
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
            values = weighted(values, weights[..., 0] if one else weights)
        total = np.add.reduce(values, axis=-1 if one else -2, dtype=np.float64)
        self.totals = self.totals + total

    def result(self) -> Any:
        weight = self.weight if self.metric.sums == 1 else np.asarray(self.weight)[..., None]
        value = self.metric.finish(weighted_mean(self.totals, weight))
        if np.asarray(value).dtype.kind not in "biuf":
            raise TypeError(
                f"{type(self.metric).__name__}.finish: expected real numbers, got "
                f"{arguments.shown(value)}"
            )
        if np.shape(value) != self.lead:
            kind = f"an array of shape {self.lead}" if self.lead else "a number"
            raise ValueError(
                f"{type(self.metric).__name__}.finish: expected {kind}, "
                f"got shape {np.shape(value)}; reduce the last axis of the means"
            )
        return value


def _values(metric: Metric, prediction: Array, target: Array, loss: Loss) -> Array:
    """Return the values of a metric, real numbers or booleans, as an array."""
    try:
        values = metric._direct_values(prediction, target, loss)
    except ValueError as error:
        if not str(error).endswith("is read-only"):
            raise
        raise ValueError(
            f"{type(metric).__name__}.values writes to prediction or target, which others use as "
            "well; write to a copy, such as prediction - target in place of prediction -= target"
        ) from error
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{type(metric).__name__}.values: expected real numbers, got "
            f"{arguments.shown(values)} ({array.dtype})"
        )
    return array


def start_all(metrics: Iterable[Metric]) -> dict[str, Accumulator]:
    """Return an empty accumulator for each metric, by name.

    Raises
    ------
    ValueError
        If two metrics have the same name, or one has that of another value in the history.
    """
    started: dict[str, Accumulator] = {}
    for metric in listed(metrics):
        if not isinstance(metric.name, str):
            raise TypeError(
                f"{metric!r} expects a name, got {arguments.shown(metric.name)}; set the attribute "
                "name of its class"
            )
        if metric.name in started:
            raise ValueError(
                f"metrics expects different names, got {metric.name!r} twice; set the attribute "
                "name of one of them"
            )
        if metric.name in OTHERS or metric.name.startswith(("val_", "ensemble_")):
            raise ValueError(
                f"{metric!r} has the name {metric.name!r}, which other values of the history "
                "have; give its attribute `name` another text"
            )
        started[metric.name] = metric.start()
    return started


def add_to_all(
    started: Mapping[str, Accumulator],
    prediction: Array,
    target: Array,
    weights: Array | None,
    loss: Loss,
) -> None:
    """Add a batch to each accumulator, none of which can change it for the others."""
    prediction, target = read_only(prediction), read_only(target)
    for accumulator in started.values():
        accumulator.add(prediction, target, weights, loss)


def listed(metrics: Any) -> list[Metric]:
    """Return the metrics that the user gave, as a list.

    Raises
    ------
    TypeError
        If it is not a list of metrics; the message says what to write.
    """
    return arguments.objects(metrics, "metrics", Metric, "Accuracy()")


def known_metrics() -> dict[str, Metric]:
    """Return an example of each metric of mlpgrad, by its name in the logs."""
    examples = [cls.example() for cls in classes_below(Metric)]
    return {metric.name: metric for metric in examples}


def split_name(name: str) -> tuple[str, str]:
    """Return the two parts of a name in the logs: of which data and networks, and of what.

    Examples
    --------
    >>> split_name("val_ensemble_accuracy"), split_name("loss")
    (('val_ensemble_', 'accuracy'), ('', 'loss'))
    """
    bare = name.removeprefix("val_").removeprefix("ensemble_")
    return name.removesuffix(bare), bare


def metric_called(name: str) -> Metric | None:
    """Return an example of the metric that goes by this name, here or in other libraries.

    Examples
    --------
    >>> metric_called("acc"), metric_called("r2"), metric_called("age")
    (Accuracy(), R2(), None)
    """
    known = known_metrics()
    if name in known:
        return known[name]
    written = instead_of(name, Metric).removeprefix("; write mg.").partition("(")[0]
    return next((m for m in known.values() if type(m).__name__ == written), None)


def weighted_mean(total: Any, weight: Any) -> Any:
    """Return `total / weight`; 0 if all weights, and thus the total, are zero."""
    if isinstance(weight, int):  # equal weights
        return total / weight
    return total / np.maximum(weight, np.finfo(float).tiny)


def sums_of(accumulator: Accumulator) -> dict[str, Any]:
    """Return the sums of an accumulator, without its metric."""
    kept = vars(accumulator).items()
    return {name: copy.deepcopy(v) for name, v in kept if not isinstance(v, Metric)}
