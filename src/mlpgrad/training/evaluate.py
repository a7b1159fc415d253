"""`evaluate`: the loss and the metrics of a model on a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.metrics import Accuracy, Metric
from mlpgrad.metrics.base import start_all, weighted_mean
from mlpgrad.training.baseline import usual_metrics

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss
    from mlpgrad.network.network import Network
    from mlpgrad.network.target_scaling import TargetScaling

OF_TARGETS = {"baseline_accuracy"}
"""Metrics that depend on the targets alone: they are the same for members and the ensemble."""
ROWS_AT_ONCE = 1024  # bounds the memory, not the result


@np.errstate(all="ignore")  # what overflows is inf or NaN in the result
def evaluate(
    model: Network,
    x: Array,
    target: Array,
    weights: Array | None,
    metrics: Sequence[Metric] | None,
    *,
    together: bool = False,
) -> dict[str, Any]:
    """Return the objective and metrics on checked data, computed some rows at a time.

    Means are weighted by `weights` and computed in float64. With `together`, the default metrics
    are given with their baselines, and an ensemble whose members share the data is also measured
    as a whole, under the same names with the prefix `ensemble_`. The loss is in the scaled units
    of the training (those of the first member, for an ensemble as a whole); metrics are in the
    units of the data.
    """
    model.check_fitted()
    loss, scaling = model.loss, model.scaling_of_targets
    if metrics is None:
        metrics = usual_metrics(model, target) if together else default_metrics(loss)
    each, shared = Figures(loss, metrics), None
    one_x = len(x.shape) == 2 or model.encoder is not None  # members encode the one table
    in_common = one_x and all(array is None or array.ndim == 2 for array in (target, weights))
    if together and model.lead and in_common:
        shared = Figures(loss, metrics)
    for start in range(0, x.shape[-2], ROWS_AT_ONCE):
        rows = np.s_[..., start : start + ROWS_AT_ONCE, :]
        prediction = model._predict(x[rows])
        given = target[rows]
        part = model.cast_target(given)
        w = None if weights is None else weights[rows].astype(np.float64)
        each.add(prediction, part, w, in_own_unit(scaling, loss, prediction, given))
        if shared is not None:
            first = None if scaling is None else scaling.of_first_member()
            if scaling is not None and first is not None:
                prediction = scaling.converted(prediction, loss, first)
                part = loss._direct_cast(first.scaled(given), prediction.dtype)
            prediction = loss.averaged(prediction)
            shared.add(prediction, part, w, in_own_unit(first, loss, prediction, given))
    means = each.result()
    means["loss"] = means["loss"] + model.penalty()
    if shared is not None:
        whole = shared.result().items()
        means |= {f"ensemble_{name}": v for name, v in whole if name not in OF_TARGETS}
    return {name: as_number(value) for name, value in means.items()}


def default_metrics(loss: Loss) -> list[Metric]:
    """Return the metrics of a loss that are used if none are given."""
    return [Accuracy()] if loss.classifies else []


def in_own_unit(
    scaling: TargetScaling | None, loss: Loss, prediction: Array, target: Array
) -> tuple[Array, Array] | None:
    """Convert scaled outputs and targets to the units of the data, for metrics."""
    return None if scaling is None else (scaling.prediction(prediction, loss), target)


class Figures:
    """The mean loss and the metrics of predictions that are given in parts.

    Parameters
    ----------
    loss : Loss
    metrics : sequence of Metric
    """

    def __init__(self, loss: Loss, metrics: Sequence[Metric]) -> None:
        self.loss, self.accumulators = loss.reader(), start_all(metrics)
        self.total: Any = 0.0
        self.weight: Any = 0.0

    def add(
        self,
        prediction: Array,
        target: Array,
        weights: Array | None,
        in_own_unit: tuple[Array, Array] | None = None,
    ) -> None:
        """Add some rows; weights are `(..., B, 1)` in float64.

        Metrics are computed in the units of the data, if these differ from the scaled units.
        """
        w = np.ones((target.shape[-2], 1)) if weights is None else weights
        share = w.sum(axis=(-2, -1))
        value = self.loss._direct_forward(prediction, target, w.astype(prediction.dtype))
        self.total = self.total + value * share
        self.weight = self.weight + share
        prediction, target = in_own_unit or (prediction, target)
        for accumulator in self.accumulators.values():
            accumulator.add(prediction, target, weights, self.loss)

    def result(self) -> dict[str, Any]:
        """Return the loss (without penalties) and each metric by its name."""
        means = {"loss": weighted_mean(self.total, self.weight)}
        return means | {name: found.result() for name, found in self.accumulators.items()}


def as_number(value: Any) -> Any:
    """A Python float, or an array `(E,)` for an ensemble."""
    if type(value) is float or np.ndim(value) == 0:
        return float(value)
    return np.asarray(value)
