"""Metrics of classification: accuracy, and the log-loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from mlpgrad._core.arguments import is_integer, shown
from mlpgrad._core.arrays import Array
from mlpgrad.metrics.base import Metric
from mlpgrad.metrics.outputs import has_labels, one_class_each, unless_nan

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss

EPSILON = float(np.finfo(np.float64).eps)


class Accuracy(Metric):
    """mean [predicted class = class], the fraction of samples that are classified correctly

    A sample with several labels is correct if all its labels are (the subset accuracy of
    scikit-learn's `accuracy_score`).

    Raises
    ------
    TypeError
        If the loss does not define classes.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.SigmoidCrossEntropy())
    >>> logits = np.array([[2.0], [1.0], [-1.0], [3.0]])
    >>> model.evaluate(logits, [1, 0, 0, 1], metrics=[mg.Accuracy()])["accuracy"]
    0.75
    """

    name = "accuracy"
    larger_is_better = True

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        right: Array = loss.classes(prediction) == loss.true_classes(target)
        right = np.asarray(right.all(axis=-1)) if right.ndim == prediction.ndim else right
        return unless_nan(right, prediction)


class TopK(Metric):
    """mean [class is among the k most probable]; named `top_3_accuracy` for k = 3

    The first of equal outputs is ranked higher, so TopK(1) is Accuracy. It corresponds to
    scikit-learn's `top_k_accuracy_score`, which ranks equal outputs in the opposite order.

    Parameters
    ----------
    k : int
        Number of guesses, from 1 to below the number of classes.

    Raises
    ------
    ValueError
        If k is not in this range.
    TypeError
        If a sample has several labels.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.SoftmaxCrossEntropy())
    >>> logits = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    >>> model.evaluate(logits, [1, 0], metrics=[mg.TopK(2)])["top_2_accuracy"]
    0.5
    """

    larger_is_better = True

    def __init__(self, k: int) -> None:
        if not is_integer(k) or k < 1:
            raise ValueError(f"TopK expects k, an int >= 1, got {shown(k)}; 5 is usual")
        self.k = int(k)
        self.name = f"top_{k}_accuracy"

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        one_class_each(self, prediction, loss)
        classes = max(prediction.shape[-1], 2)
        if self.k >= classes:
            raise ValueError(
                f"TopK expects k below the number of classes, {classes}, got {self.k}: "
                f"every sample would count as correct"
            )
        true = loss.true_classes(target)
        if prediction.shape[-1] == 1:
            return unless_nan(np.asarray(loss.classes(prediction) == true), prediction)
        columns = np.arange(classes)
        true = np.broadcast_to(true, prediction.shape[:-1])[..., None]
        score = np.take_along_axis(prediction, true, axis=-1)
        before = (prediction > score) | ((prediction == score) & (columns < true))
        return unless_nan(np.asarray(before.sum(axis=-1) < self.k), prediction)

    @classmethod
    def example(cls) -> Self:
        return cls(2)


class LogLoss(Metric):
    """Mean of -log p(class): the cross-entropy of the predicted probabilities, in float64.

    For a target that is a row of probabilities t, the value is -sum_k t_k log p_k; for several
    labels it is the mean of -t log p - (1 - t) log(1 - p) over the labels. Probabilities are
    bounded from below by 2.2e-16, as in scikit-learn's `log_loss`. Label smoothing and penalties,
    which are part of the training loss, are not included. Good 1952, "Rational decisions".

    Raises
    ------
    TypeError
        If the loss does not define probabilities.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.SoftmaxCrossEntropy(0.1))
    >>> logits = np.log([[0.25, 0.75], [0.5, 0.5]])
    >>> round(model.evaluate(logits, [0, 1], metrics=[mg.LogLoss()])["log_loss"], 4)
    1.0397
    """

    name = "log_loss"
    larger_is_better = False

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        p = loss.probabilities(prediction.astype(np.float64))
        if p.shape[-1] == 1 or has_labels(prediction, loss):
            yes, no = _log(p), _log(1 - p)
            return np.asarray(-(target * yes + (1 - target) * no).mean(axis=-1))
        if target.shape[-1] == 1:
            labels = np.broadcast_to(target, (*p.shape[:-1], 1))
            return np.asarray(-_log(np.take_along_axis(p, labels, axis=-1))[..., 0])
        return np.asarray(-(target * _log(p)).sum(axis=-1))


def _log(probabilities: Array) -> Array:
    return np.asarray(np.log(np.maximum(probabilities, EPSILON)))
