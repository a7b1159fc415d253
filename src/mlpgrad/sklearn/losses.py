"""The losses of the estimators by name, with scikit-learn's sums and factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, Shape, fitting, ones
from mlpgrad.losses import (
    GaussianNLL,
    HalfSquaredError,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from mlpgrad.losses.base import Loss


class _SummedCrossEntropy(SigmoidCrossEntropy):
    """l = sum_k (log(1 + e^z_k) - t_k z_k), summed over the labels instead of averaged."""

    repeatable = True

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        return super().allocate(shape, dtype) | _sum_over_outputs(shape, dtype)


class _HalfMeanSquaredError(MeanSquaredError):
    """l = 1/(2 O) sum_k (y_k - t_k)^2, with its correct derivative (y_k - t_k) / O.

    scikit-learn's derivative lacks the factor 1/O: its issue 8349.
    """

    repeatable = True

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        kept = super().allocate(shape, dtype)
        halves = np.full(shape[-1], 0.5 * kept["_per_output"])
        return kept | {"_output_weights": halves, "_double": kept["_per_output"]}


class _HalfPoissonDeviance(Poisson):
    """l = sum_k (e^z_k - t_k z_k + t_k log t_k - t_k): 0 where the rate e^z is the target."""

    repeatable = True

    def losses(self, prediction: Array, target: Array) -> Array:
        from scipy.special import xlogy

        least = fitting(self._least, target)
        np.subtract(xlogy(target, target, least), target, least)
        losses = super().losses(prediction, target)
        return np.add(losses, np.add.reduce(least, -1), losses)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        buffers = {"_least": np.empty(shape, dtype)}
        return super().allocate(shape, dtype) | buffers | _sum_over_outputs(shape, dtype)


def _sum_over_outputs(shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the factor that turns a mean over the outputs into a sum."""
    return {
        "_per_output": np.ones((), dtype),
        "_output_weights": ones((shape[-1],), dtype),
    }


OF_NUMBERS: dict[str, type[Loss]] = {
    "squared_error": _HalfMeanSquaredError,
    "poisson": _HalfPoissonDeviance,
    "huber": Huber,
    "absolute_error": MeanAbsoluteError,
    "gaussian_nll": GaussianNLL,
}


def loss_of_numbers(given: str | Loss, targets: int) -> Loss:
    """Return a regressor's loss for a number of targets."""
    if isinstance(given, Loss):
        if given.classifies:
            raise ValueError(
                f"loss expects a loss on numbers such as mlpgrad.Huber(), got {given!r}, whose "
                "targets are classes; use MLPClassifier"
            )
        return given.reader()
    kind = OF_NUMBERS[given]
    loss: Loss = (HalfSquaredError if kind is _HalfMeanSquaredError and targets == 1 else kind)()
    return loss


def loss_of_classes(given: str | Loss, *, softmax: bool, labels: int, smoothing: float) -> Loss:
    """Return a classifier's loss: a softmax over classes, else one logistic output per label."""
    if isinstance(given, Loss):
        if smoothing:
            raise ValueError(
                f"label_smoothing={smoothing} has no effect on a loss that is an object; write "
                f"loss=mlpgrad.SoftmaxCrossEntropy(label_smoothing={smoothing})"
            )
        _check_classes(given, softmax)
        return given.reader()
    several = SoftmaxCrossEntropy if softmax else _SummedCrossEntropy
    kind: Any = SigmoidCrossEntropy if labels == 1 else several
    loss: Loss = kind(label_smoothing=smoothing)
    return loss


def _check_classes(given: Loss, softmax: bool) -> None:
    """Raise ValueError for a loss that is not on the logits of a classifier."""
    wrong = "which is on probabilities" if given.expects_probabilities else ""
    if type(given).classes is Loss.classes:
        wrong = "whose targets are numbers; use MLPRegressor"
    if wrong:
        raise ValueError(
            f"loss expects a loss on logits of classes such as mlpgrad.SigmoidFocal(), got "
            f"{given!r}, {wrong}"
        )
    if softmax == (given.classes(np.zeros((1, 3))).ndim > 1):
        needed = "one of three or more classes such as mlpgrad.SoftmaxFocal()"
        if not softmax:
            needed = "two classes, or for each label of a row, such as mlpgrad.SigmoidFocal()"
        raise ValueError(f"loss expects a loss for {needed}, got {given!r}")


def outputs_for(loss: Loss, targets: int) -> int:
    """Return how many outputs a network needs for a number of targets under a loss."""
    levels = np.size(getattr(loss, "levels", 0))
    for outputs in (targets, 2 * targets, levels * targets):
        try:
            if loss.target_features(outputs) == targets:
                return outputs
        except ValueError:  # the loss cannot have this many outputs
            continue
    raise ValueError(f"loss expects a loss that takes {targets} targets per row, got {loss!r}")
