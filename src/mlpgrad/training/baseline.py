"""The default metrics of `evaluate`, with the baselines that a constant prediction reaches."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.losses.base import Loss
from mlpgrad.metrics import R2, Accuracy, Metric
from mlpgrad.network.network import Network
from mlpgrad.training.rows import Batch

MOST_CLASSES = 1000  # with more classes, the count of each would take too much memory
MOST_NUMBERS = 1 << 24  # validation targets that are examined before training, at most


class _BaselineAccuracy(Metric):
    """max_k mean [class = k], the accuracy of always predicting the most frequent class.

    Parameters
    ----------
    classes : int
        Number of classes.
    """

    name = "baseline_accuracy"
    larger_is_better = True

    def __init__(self, classes: int) -> None:
        self.classes = self.sums = classes

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        found = np.asarray(loss.true_classes(target)[..., None] == np.arange(self.classes), float)
        return np.broadcast_to(found, (*prediction.shape[:-1], self.classes))

    def finish(self, means: Array) -> Array:
        return np.asarray(means.max(axis=-1))


def usual_metrics(network: Network, target: Array) -> list[Metric]:
    """Return the accuracy and its baseline for a classification loss, R2 for numbers.

    Parameters
    ----------
    network : Network
    target : array (..., B, T)
        Checked targets.
    """
    loss = network.loss
    outputs = network.out_features or target.shape[-1]
    sample = np.zeros((1, outputs), network.dtype)
    if not loss.classifies:
        plain = network.dtype.kind == "f" and target.shape[-2] > 1
        return [R2()] if plain and _predicts(loss, sample) == target.shape[-1] else []
    one_each = loss.classes(sample).ndim == 1
    if not one_each or outputs > MOST_CLASSES:
        return [Accuracy()]
    return [Accuracy(), _BaselineAccuracy(max(outputs, 2))]


def _predicts(loss: Loss, outputs: Array) -> int:
    """Return the number of targets that a loss predicts from outputs; 0 if it predicts none."""
    try:
        return int(loss.numbers(outputs).shape[-1])
    except TypeError:  # such as the levels of Quantile without the median
        return 0


def baselines(network: Network, validation: Batch | None) -> dict[str, str]:
    """Return what to show in parentheses after validation values, computed before training."""
    if validation is None or network.unfitted():
        return {}
    _, target, weights = validation
    if target.ndim > 2 or (weights is not None and weights.ndim > 2) or target.size > MOST_NUMBERS:
        return {}
    target, loss = network.cast_target(target), network.loss
    w = np.ones((len(target), 1)) if weights is None else weights.astype(np.float64)
    if not loss.classifies:
        value = _loss_of_mean(network, target, w)
        return {} if value is None else {"val_loss": f" (mean: {value:.4g})"}
    classes = loss.true_classes(target)
    if classes.ndim > 1:  # several labels per sample
        return {}
    counts = np.bincount(classes, w[:, 0])
    return {"val_accuracy": f" (largest class: {counts.max() / counts.sum():.4g})"}


def _loss_of_mean(network: Network, target: Array, weights: Array) -> float | None:
    """Return the loss of predicting the mean target; None if the outputs have another meaning."""
    if type(network.loss).numbers is not Loss.numbers or network.out_features != target.shape[-1]:
        return None
    mean = (weights * target).sum(axis=0) / weights.sum()
    constant = np.broadcast_to(mean, target.shape).astype(target.dtype)
    with np.errstate(all="ignore"):
        return float(network.loss.reader().forward(constant, target, weights.astype(target.dtype)))
