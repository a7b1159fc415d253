"""Interpretation of outputs and targets for metrics: numbers, classes, labels, probabilities."""

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
    """Return predicted numbers `(..., B, T)` and their targets, which are at least float64.

    Differences of the two then have that precision: in float32 or float16, their squares may be 0
    or infinite.

    Raises
    ------
    TypeError
        If the loss predicts classes, or the width differs from that of the target.
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
    return numbers, target.astype(np.result_type(target, np.float64), copy=False)


def has_labels(prediction: Array, loss: Loss) -> bool:
    """Return whether each output is a separate label; otherwise a sample has one class."""
    return loss.classes(prediction).ndim == prediction.ndim


def unless_nan(values: Array, prediction: Array) -> Array:
    """Return values of samples, `(..., B)` or `(..., B, C)`; NaN if one of its outputs is NaN.

    A comparison with NaN is False, so a class would be found where there is none.
    """
    lost = np.isnan(prediction).any(axis=-1, keepdims=values.ndim == prediction.ndim)
    return np.where(lost, np.nan, values) if lost.any() else values


def memberships(prediction: Array, target: Array, loss: Loss) -> tuple[Array, Array]:
    """Return booleans `(..., B, C)`: the predicted and the true classes of each sample.

    One output represents two classes; each label is a column.
    """
    predicted, true = loss.classes(prediction), loss.true_classes(target)
    if predicted.ndim == prediction.ndim:
        return predicted > 0, true > 0
    columns = np.arange(max(prediction.shape[-1], 2))
    return predicted[..., None] == columns, true[..., None] == columns


def class_probabilities(metric: Metric, prediction: Array, loss: Loss) -> Array:
    """Return class probabilities, `(..., B, C)` in float64; two columns for a single output.

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
            f"{type(metric).__name__} expects one class per sample, got {prediction.shape[-1]} "
            f"separate labels from {loss!r}; evaluate each label separately"
        )
