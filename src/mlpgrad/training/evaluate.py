"""`evaluate`: the loss and the metrics of a model on a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.metrics import Accuracy, Metric
from mlpgrad.metrics.base import add_to_all, start_all, weighted_mean
from mlpgrad.network.prediction import ROWS_AT_ONCE
from mlpgrad.training.baseline import usual_metrics

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss
    from mlpgrad.network.network import Network
    from mlpgrad.network.target_scaling import TargetScaling

OF_TARGETS = {"baseline_accuracy"}
"""Metrics that depend on the targets alone: they are the same for members and the ensemble."""


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
    loss = model.loss
    if metrics is None:
        metrics = usual_metrics(model, target) if together else default_metrics(loss)
    each, shared = Figures(loss, metrics, model.scaling_of_targets), None
    one_x = len(x.shape) == 2 or model.encoder is not None  # members encode the one table
    in_common = one_x and all(array is None or array.ndim == 2 for array in (target, weights))
    if together and model.lead and in_common:
        shared = Figures(loss, metrics, model.first_scaling)
    for start in range(0, x.shape[-2], ROWS_AT_ONCE):
        rows = np.s_[..., start : start + ROWS_AT_ONCE, :]
        outputs = model._predict(x[rows])
        w = None if weights is None else weights[rows].astype(np.float64)
        each.add(outputs, target[rows], w)
        if shared is not None:
            shared.add(loss.averaged(model.in_first_unit(outputs)), target[rows], w)
    means = each.result()
    means["loss"] = means["loss"] + model.penalty()
    if shared is not None:
        whole = shared.result().items()
        means |= {f"ensemble_{name}": v for name, v in whole if name not in OF_TARGETS}
    return {name: as_number(value) for name, value in means.items()}


def default_metrics(loss: Loss) -> list[Metric]:
    """Return the metrics of a loss that are used if none are given."""
    return [Accuracy()] if loss.classifies else []


class Figures:
    """The mean loss and the metrics of outputs that are given in parts.

    Parameters
    ----------
    loss : Loss
    metrics : sequence of Metric
    scaling : TargetScaling or None
        The scaling of the targets that the outputs are for. The loss is computed in scaled units,
        metrics are in the units of the data.
    """

    def __init__(
        self, loss: Loss, metrics: Sequence[Metric], scaling: TargetScaling | None
    ) -> None:
        self.loss, self.accumulators = loss.reader(), start_all(metrics)
        self.scaling = scaling
        self.total: Any = 0.0
        self.weight: Any = 0.0

    def add(self, outputs: Array, target: Array, weights: Array | None) -> None:
        """Add some rows with their checked targets; weights are `(..., B, 1)` in float64."""
        loss, scaling, dtype = self.loss, self.scaling, outputs.dtype
        cast = loss._direct_cast(target if scaling is None else scaling.scaled(target), dtype)
        w = np.ones((target.shape[-2], 1)) if weights is None else weights
        share = w.sum(axis=(-2, -1))
        value = loss._direct_forward(outputs, cast, w.astype(dtype))
        self.total = self.total + value * share
        self.weight = self.weight + share
        pair = (outputs, cast) if scaling is None else (scaling.prediction(outputs, loss), target)
        add_to_all(self.accumulators, *pair, weights, loss)

    def result(self) -> dict[str, Any]:
        """Return the loss (without penalties) and each metric by its name."""
        means = {"loss": weighted_mean(self.total, self.weight)}
        return means | {name: found.result() for name, found in self.accumulators.items()}


def as_number(value: Any) -> Any:
    """A Python float, or an array `(E,)` for an ensemble."""
    if type(value) is float or np.ndim(value) == 0:
        return float(value)
    return np.asarray(value)
