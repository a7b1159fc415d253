"""`evaluate`: the loss and the metrics of a model on a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.metrics import Accuracy, Metric
from mlpgrad.metrics.base import start_all, weighted_mean

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

ROWS_AT_ONCE = 1024  # bounds the memory, not the result


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
    loss, accumulators = model.loss.reader(), start_all(metrics)
    total: Any = 0.0
    weight: Any = 0.0
    for start in range(0, x.shape[-2], ROWS_AT_ONCE):
        rows = np.s_[..., start : start + ROWS_AT_ONCE, :]
        prediction = model._predict(x[rows])
        part = model.loss.cast(target[rows], model.dtype)
        w = np.ones((part.shape[-2], 1)) if weights is None else weights[rows].astype(np.float64)
        share = w.sum(axis=(-2, -1))
        total += loss.forward(prediction, part, w.astype(model.dtype)) * share
        weight = weight + share
        for accumulator in accumulators.values():
            accumulator.add(prediction, part, None if weights is None else w, model.loss)
    means = {"loss": weighted_mean(total, weight) + model.penalty()}
    means |= {name: accumulator.result() for name, accumulator in accumulators.items()}
    return {name: as_number(value) for name, value in means.items()}


def as_number(value: Any) -> Any:
    """A Python float, or an array `(E,)` for an ensemble."""
    if type(value) is float or np.ndim(value) == 0:
        return float(value)
    return np.asarray(value)
