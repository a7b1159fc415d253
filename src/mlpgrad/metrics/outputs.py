"""What outputs and targets mean to a metric: numbers, classes, labels or probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlpgrad._core.arrays import Array

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss
    from mlpgrad.metrics.base import Metric


def compared_numbers(
    metric: Metric, prediction: Array, target: Array, loss: Loss
) -> tuple[Array, Array]:
    """Predicted numbers `(..., B, T)` and their targets.

    Raises
    ------
    TypeError
        If the loss predicts classes, or something else of another width than the target.
    """
    name = type(metric).__name__
    if loss.classifies:
        raise TypeError(
            f"{name} expects a loss on numbers, got {loss!r}, whose targets are classes; "
            f"use a metric of classes such as Accuracy or LogLoss"
        )
    numbers = loss.numbers(prediction)
    if numbers.shape[-1] != target.shape[-1]:
        raise TypeError(
            f"{name} expects as many predicted numbers as targets, got {numbers.shape[-1]} and "
            f"{target.shape[-1]} columns from {loss!r}; override its method numbers"
        )
    return numbers, target


def has_labels(prediction: Array, loss: Loss) -> bool:
    """Whether each output answers yes or no by itself; else a sample has one class."""
    return loss.classes(prediction).ndim == prediction.ndim


def memberships(prediction: Array, target: Array, loss: Loss) -> tuple[Array, Array]:
    """Booleans `(..., B, C)`: which classes each sample is predicted to have, and which it has.

    One output stands for two classes; labels are their own columns.
    """
    predicted, true = loss.classes(prediction), loss.true_classes(target)
    if predicted.ndim == prediction.ndim:
        return predicted > 0, true > 0
    columns = np.arange(max(prediction.shape[-1], 2))
    return predicted[..., None] == columns, true[..., None] == columns


def class_probabilities(metric: Metric, prediction: Array, loss: Loss) -> Array:
    """Probabilities of the classes, `(..., B, C)` in float64, also for the two of one output.

    Raises
    ------
    TypeError
        If samples have labels instead of one class.
    """
    one_class_each(metric, prediction, loss)
    probabilities = loss.probabilities(prediction.astype(np.float64))
    if probabilities.shape[-1] == 1:
        return np.concatenate([1 - probabilities, probabilities], axis=-1)
    return probabilities


def one_class_each(metric: Metric, prediction: Array, loss: Loss) -> None:
    """Raise TypeError if samples have labels instead of one class."""
    if has_labels(prediction, loss):
        raise TypeError(
            f"{type(metric).__name__} expects one class a sample, got {prediction.shape[-1]} "
            f"labels, each of its own, from {loss!r}; evaluate each label by itself"
        )
