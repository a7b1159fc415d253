"""Metrics of calibration, which compare predicted probabilities with observed frequencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arguments import count
from mlpgrad._core.arrays import Array
from mlpgrad.metrics.base import Metric
from mlpgrad.metrics.outputs import class_probabilities

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss


class CalibrationError(Metric):
    """sum_b n_b / n |accuracy_b - confidence_b|: the expected calibration error

    The confidence of a sample is the probability of its predicted class; samples are assigned by
    their confidence to bins b of equal width on (0, 1]. Naeini, Cooper and Hauskrecht 2015,
    "Obtaining well calibrated probabilities using Bayesian binning"; Guo et al. 2017, "On
    calibration of modern neural networks", equation 3.

    Parameters
    ----------
    bins : int
        Number of bins.

    Raises
    ------
    TypeError
        If the loss does not define probabilities, or a sample has several labels.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.SoftmaxCrossEntropy())
    >>> logits = np.log([[0.75, 0.25], [0.75, 0.25], [0.05, 0.95]])
    >>> found = model.evaluate(logits, [0, 1, 1], metrics=[mg.CalibrationError()])
    >>> round(found["calibration_error"], 4)
    0.1833
    """

    name = "calibration_error"
    larger_is_better = False

    def __init__(self, bins: int = 15) -> None:
        self.bins = self.sums = count(bins, "CalibrationError: bins", 2, 10_000)

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        p = class_probabilities(self, prediction, loss)
        confidence = p.max(axis=-1)
        right = loss.classes(prediction) == loss.true_classes(target)
        edges = np.linspace(0.0, 1.0, self.bins + 1)
        place = np.searchsorted(edges[1:-1], confidence)  # an edge belongs to the bin below it
        values: Array = np.zeros((*confidence.shape, self.bins))
        np.put_along_axis(values, place[..., None], (right - confidence)[..., None], axis=-1)
        return values

    def finish(self, means: Any) -> Any:
        return np.abs(means).sum(axis=-1)
