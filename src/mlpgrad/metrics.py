"""Metrics: per-sample values averaged over a data set, and `evaluate`, which does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss
    from mlpgrad.network.network import Network

ROWS_AT_ONCE = 1024  # bounds the memory, not the result


class Metric(Described):
    """A number that tells how good predictions are: the mean of per-sample values.

    A subclass implements `values`; `finish` may transform the mean.

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
    """

    name: str = "metric"
    """The key in `History` and in the result of `evaluate`."""

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        """One value a sample, `(..., B)`.

        Parameters
        ----------
        prediction : array (..., B, O)
            The network's output.
        target : array (..., B, O), or class indices (..., B, 1)
        loss : Loss
            Knows what the output means: `loss.classes(prediction)`.
        """
        raise NotImplementedError

    def finish(self, mean: Any) -> Any:
        """The metric from the mean of the values."""
        return mean


class Accuracy(Metric):
    """The share of samples whose predicted class (or every label) is right."""

    name = "accuracy"

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        right: Array = loss.classes(prediction) == loss.true_classes(target)
        return np.asarray(right.all(axis=-1)) if right.ndim == prediction.ndim else right


class MeanAbsolute(Metric):
    """The mean over samples and outputs of |prediction - target|."""

    name = "mean_absolute_error"

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        values: Array = np.abs(prediction - target).mean(axis=-1)
        return values


class RootMeanSquared(Metric):
    """The root of the mean over samples and outputs of (prediction - target)^2."""

    name = "root_mean_squared_error"

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        values: Array = np.square(prediction - target).mean(axis=-1)
        return values

    def finish(self, mean: Any) -> Any:
        return np.sqrt(mean)


def evaluate(
    model: Network,
    x: Array,
    target: Array,
    weights: Array | None,
    metrics: Sequence[Metric] | None,
) -> dict[str, Any]:
    """The objective and metrics of a model on checked data, a bounded number of rows at a time.

    Means are weighted by `weights`, and taken in float64.
    """
    if metrics is None:
        metrics = [Accuracy()] if model.loss.classifies else []
    loss = model.loss.reader()
    totals: dict[str, Any] = dict.fromkeys(["loss", *(metric.name for metric in metrics)], 0.0)
    weight: Any = 0.0
    for start in range(0, x.shape[-2], ROWS_AT_ONCE):
        rows = np.s_[..., start : start + ROWS_AT_ONCE, :]
        prediction = model._predict(x[rows])
        part = model.loss.cast(target[rows], model.dtype)
        w = np.ones((part.shape[-2], 1)) if weights is None else weights[rows].astype(np.float64)
        total = w.sum(axis=(-2, -1))
        weight = weight + total
        totals["loss"] += loss.forward(prediction, part, w.astype(model.dtype)) * total
        for metric in metrics:
            values = metric.values(prediction, part, model.loss)
            totals[metric.name] += (values * w[..., 0]).sum(axis=-1)
    means = {name: weighted_mean(total, weight) for name, total in totals.items()}
    means["loss"] = means["loss"] + model.penalty()
    for metric in metrics:
        means[metric.name] = metric.finish(means[metric.name])
    return {name: as_number(value) for name, value in means.items()}


def weighted_mean(total: Any, weight: Any) -> Any:
    """`total / weight`; 0 where all weights were zero, and so the total is."""
    if isinstance(weight, int):  # samples that count alike
        return total / weight
    return total / np.maximum(weight, np.finfo(float).tiny)


def as_number(value: Any) -> Any:
    """A Python float, or an array `(E,)` for an ensemble."""
    if type(value) is float or np.ndim(value) == 0:
        return float(value)
    return np.asarray(value)
