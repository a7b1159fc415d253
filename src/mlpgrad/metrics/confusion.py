"""Metrics of the confusion matrix: precision, recall and their harmonic mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array, weighted
from mlpgrad.metrics.base import Metric, weighted_mean
from mlpgrad.metrics.outputs import has_labels, memberships, unless_nan

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss

AVERAGES = ("auto", "macro", "micro", "weighted")


class _ConfusionMetric(Metric):
    """A quotient of counts: samples with a class, samples predicted to have it, and both.

    For two classes it is the quotient for class 1; for more classes or labels, an average.

    Parameters
    ----------
    average : {"auto", "macro", "micro", "weighted"}
        "macro" is the mean over the classes that occur (in targets or predictions), "micro" the
        quotient of the summed counts, "weighted" the mean weighted by class frequencies. "auto" is
        class 1 for two classes, and "macro" otherwise. All but "auto" are part of `name`.
    """

    larger_is_better = True

    def __init__(self, average: str = "auto") -> None:
        kind = type(self)
        if not isinstance(average, str) or average not in AVERAGES:
            expected = ", ".join(map(repr, AVERAGES))
            raise ValueError(f"{kind.__name__}: average expects {expected}, got {shown(average)}")
        self.average = average
        if average != "auto":
            self.name = f"{kind.name}_{average}"

    def quotient(self, hits: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        """Return numerator and denominator for each class, `(..., C)`."""
        raise NotImplementedError

    def start(self) -> _Counts:
        return _Counts(self)


class _Counts:
    """Weighted counts for each class, `(..., C)`, of true positives, predictions and targets."""

    def __init__(self, metric: _ConfusionMetric) -> None:
        self.metric, self.labels = metric, False
        self.hits: Any = 0.0
        self.predicted: Any = 0.0
        self.true: Any = 0.0

    def add(self, prediction: Array, target: Array, weights: Array | None, loss: Loss) -> None:
        self.labels = has_labels(prediction, loss)
        predicted, true = memberships(prediction, target, loss)
        self.hits = self.hits + _count(unless_nan(predicted & true, prediction), weights)
        self.predicted = self.predicted + _count(unless_nan(predicted, prediction), weights)
        self.true = self.true + _count(true, weights)

    def result(self) -> Any:
        counts = np.broadcast_arrays(self.hits, self.predicted, self.true)
        average = self.metric.average
        if average == "micro":
            return _divide(*self.metric.quotient(*(c.sum(axis=-1) for c in counts)))
        scores = _divide(*self.metric.quotient(*counts))
        if average == "auto" and not self.labels and scores.shape[-1] == 2:
            return scores[..., 1]
        _, predicted, true = counts
        shares = true if average == "weighted" else (predicted + true > 0) | self.labels
        return weighted_mean((scores * shares).sum(axis=-1), shares.sum(axis=-1))


def _count(members: Array, weights: Array | None) -> Array:
    """Return the number of samples of each class, `(..., C)`, of `(..., B, C)`."""
    counted = members if weights is None else weighted(members, weights)
    return np.asarray(np.add.reduce(counted, axis=-2, dtype=np.float64))


def _divide(numerator: Array, denominator: Array) -> Array:
    """Divide; 0 where the denominator is 0."""
    return np.asarray(numerator / np.where(denominator > 0, denominator, 1.0))


class Precision(_ConfusionMetric):
    """true positives / predicted positives, the fraction of positive predictions that are correct

    It is 0 if no sample is predicted to be positive, as in scikit-learn's `precision_score`.

    Parameters
    ----------
    average : {"auto", "macro", "micro", "weighted"}
        "macro" is the mean over the classes that occur (in targets or predictions), "micro" the
        quotient of the summed counts, "weighted" the mean weighted by class frequencies. "auto",
        the default, is class 1 for two classes, and "macro" for more classes and for labels. All
        but "auto" are part of the name: `precision_macro`.

    Raises
    ------
    ValueError
        If `average` is not one of these.
    TypeError
        If the loss does not define classes.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.SigmoidCrossEntropy())
    >>> logits = np.array([[2.0], [1.0], [-1.0], [3.0]])
    >>> round(model.evaluate(logits, [1, 0, 1, 1], metrics=[mg.Precision()])["precision"], 4)
    0.6667
    """

    name = "precision"

    def quotient(self, hits: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        return hits, predicted


class Recall(_ConfusionMetric):
    """true positives / positives, the fraction of positive samples that are found

    It is 0 if no sample is positive, as in scikit-learn's `recall_score`.

    Parameters
    ----------
    average : {"auto", "macro", "micro", "weighted"}
        "macro" is the mean over the classes that occur (in targets or predictions), "micro" the
        quotient of the summed counts, "weighted" the mean weighted by class frequencies. "auto",
        the default, is class 1 for two classes, and "macro" for more classes and for labels. All
        but "auto" are part of the name: `recall_macro`.

    Raises
    ------
    ValueError
        If `average` is not one of these.
    TypeError
        If the loss does not define classes.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.SigmoidCrossEntropy())
    >>> logits = np.array([[2.0], [1.0], [-1.0], [-3.0]])
    >>> model.evaluate(logits, [1, 0, 1, 0], metrics=[mg.Recall()])["recall"]
    0.5
    """

    name = "recall"

    def quotient(self, hits: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        return hits, true


class F1(_ConfusionMetric):
    """2 true positives / (predicted positives + positives), harmonic mean of precision and recall

    It is 0 if no sample is positive or predicted to be, as in scikit-learn's `f1_score`. Van
    Rijsbergen 1979, "Information retrieval", chapter 7.

    Parameters
    ----------
    average : {"auto", "macro", "micro", "weighted"}
        "macro" is the mean over the classes that occur (in targets or predictions), "micro" the
        quotient of the summed counts, "weighted" the mean weighted by class frequencies. "auto",
        the default, is class 1 for two classes, and "macro" for more classes and for labels. All
        but "auto" are part of the name: `f1_macro`.

    Raises
    ------
    ValueError
        If `average` is not one of these.
    TypeError
        If the loss does not define classes.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.SoftmaxCrossEntropy())
    >>> model.evaluate(np.eye(3), [0, 1, 1], metrics=[mg.F1(), mg.F1("micro")])["f1_micro"]
    0.6666666666666666
    """

    name = "f1"

    def quotient(self, hits: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        return 2 * hits, predicted + true
