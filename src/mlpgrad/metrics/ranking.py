"""Ranking metrics: whether positive samples are ranked above negative ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.metrics.base import Metric
from mlpgrad.metrics.outputs import class_probabilities, has_labels, memberships

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss


class AUC(Metric):
    """P(score of a positive > score of a negative) + P(equal) / 2, the area under the ROC curve

    It is exact, with weights and ties: the rank statistic of Mann and Whitney (Hanley and McNeil
    1982, "The meaning and use of the area under a receiver operating characteristic curve"). With
    several classes (each against the rest) or several labels, it is the mean over those that have
    both positives and negatives, and NaN if none has. It corresponds to scikit-learn's
    `roc_auc_score` (`multi_class="ovr"`).

    It keeps one score per sample and class until the end of the pass through the data.

    Raises
    ------
    TypeError
        If the loss does not define classes, or probabilities for more than two classes.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.SigmoidCrossEntropy())
    >>> logits = np.array([[1.0], [2.0], [2.0], [3.0]])
    >>> model.evaluate(logits, [0, 0, 1, 1], metrics=[mg.AUC()])["auc"]
    0.875
    """

    name = "auc"
    larger_is_better = True

    def start(self) -> _Scores:
        return _Scores(self)


class _Scores:
    """The scores `(..., B, S)` of every batch, with truths and weights."""

    def __init__(self, metric: AUC) -> None:
        self.metric = metric
        self.batches: list[tuple[Array, Array, Array]] = []

    def add(self, prediction: Array, target: Array, weights: Array | None, loss: Loss) -> None:
        _, true = memberships(prediction, target, loss)
        if prediction.shape[-1] == 1 or has_labels(prediction, loss):
            scores = prediction.copy()  # only the order matters, and logits have the same order
        else:
            scores = class_probabilities(self.metric, prediction, loss)
        if not has_labels(prediction, loss) and true.shape[-1] == 2:
            scores, true = scores[..., -1:], true[..., -1:]
        whole = np.ones((true.shape[-2], 1)) if weights is None else weights
        weighted: Array = whole.astype(np.float64)  # a copy
        self.batches.append((scores, true, weighted))

    def result(self) -> Any:
        scores, true, weights = (
            np.concatenate(arrays, axis=-2) for arrays in zip(*self.batches, strict=True)
        )
        shape = scores.shape
        areas = np.empty((*shape[:-2], shape[-1]))
        true, weights = np.broadcast_to(true, shape), np.broadcast_to(weights, shape)
        for place in np.ndindex(areas.shape):
            column = np.s_[(*place[:-1], slice(None), place[-1])]
            areas[place] = _area(scores[column], true[column], weights[column])
        lost = (np.isnan(scores) & (weights != 0)).any(axis=(-2, -1))
        known = ~np.isnan(areas)
        count = known.sum(axis=-1)
        total = np.where(known, areas, 0.0).sum(axis=-1)
        return np.where((count > 0) & ~lost, total / np.maximum(count, 1), np.nan)


def _area(scores: Array, positive: Array, weights: Array) -> float:
    """Return the AUC of one score, `(n,)` each; NaN without positives or negatives."""
    distinct, rank = np.unique(scores, return_inverse=True)
    positives = np.bincount(rank, weights * positive, len(distinct))
    negatives = np.bincount(rank, weights * ~positive, len(distinct))
    pairs = positives.sum() * negatives.sum()
    if not pairs > 0:
        return np.nan
    below = np.cumsum(negatives) - negatives
    return float(positives @ (below + negatives / 2) / pairs)
