"""Scaling of a network's targets for training, and back to the units of the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array, Shape, Views, row
from mlpgrad.initializers import Initializer, Zeros
from mlpgrad.losses.base import Loss

KINDS = (None, "standard")


class TargetScaling:
    """t <- (t - mean) / deviation of each target, and the inverse for predictions.

    Mean and standard deviation are in the network's `state`, with a row for each member of an
    ensemble. A float32 has seven digits, too few for 1e9 +- 1, so the mean is stored as the sum of
    two numbers, and both directions are computed in float64, or in the network's dtype if that is
    wider.

    Parameters
    ----------
    features : int
        Number of targets.
    """

    state: Views = Views()

    def __init__(self, features: int) -> None:
        self.features = features

    def statistics(self) -> dict[str, tuple[Shape, Initializer]]:
        """Return shape and initializer of the values in `state`; zeros until it is fitted."""
        names = ("mean", "mean_remainder", "deviation")
        return {name: ((self.features,), Zeros()) for name in names}

    def bind(self, state: Views) -> None:
        """Take views of the network's `state`."""
        self.state = state

    def is_fitted(self) -> bool:
        """Whether it has mean and deviation."""
        return bool(self.state.deviation.all())

    def take(self, mean: Array, deviation: Array) -> None:
        """Store mean and standard deviation, `(T,)` or `(..., T)` in float64.

        Raises
        ------
        ValueError
            If a deviation is too small for the network's dtype.
        """
        state, dtype = self.state, self.state.deviation.dtype
        if (deviation.astype(dtype) == 0).any():
            raise ValueError(
                f"target_scaling expects targets whose deviation {dtype} can hold, got "
                f"{deviation.min()}; rescale y, or make the model with dtype='float64'"
            )
        state.mean[...] = mean
        state.mean_remainder[...] = mean - state.mean
        state.deviation[...] = deviation

    def scaled(self, target: Array) -> Array:
        """Return targets `(..., B, T)` in scaled units."""
        mean, deviation = self.mean_and_deviation()
        return np.asarray((target - mean) / deviation)

    def target(self, scaled: Array) -> Array:
        """The inverse of `scaled`."""
        mean, deviation = self.mean_and_deviation()
        return np.asarray(scaled * deviation + mean)

    def prediction(self, outputs: Array, loss: Loss) -> Array:
        """Return the network's outputs in the units of the data, as the loss interprets them."""
        return loss.rescaled(outputs, *self.mean_and_deviation())

    def units(self, outputs: int, loss: Loss) -> Array:
        """Return one scaled unit of each output in the units of the data, `(..., 1, O)`."""
        _, deviation = self.mean_and_deviation()
        none = np.zeros_like(deviation)  # a large mean would leave few digits of a difference
        zeros, ones = np.zeros((1, outputs)), np.ones((1, outputs))
        return loss.rescaled(ones, none, deviation) - loss.rescaled(zeros, none, deviation)

    def as_first_member(self, outputs: Array, loss: Loss) -> Array:
        """Return the outputs of all members in the scaled units of the first."""
        mean, deviation = self.of_first_member().mean_and_deviation()
        return loss.rescaled(self.prediction(outputs, loss), -mean / deviation, 1 / deviation)

    def of_first_member(self) -> TargetScaling:
        """Return the scaling of the first network of an ensemble."""
        first = TargetScaling(self.features)
        first.bind(Views(None, **{name: array[0] for name, array in vars(self.state).items()}))
        return first

    def variance(self, scaled: Array) -> Array:
        """Return variances of targets `(..., T)` from those in scaled units."""
        return np.asarray(scaled * np.square(self.mean_and_deviation()[1]))

    def scaled_variance(self, variance: Array) -> Array:
        """The inverse of `variance`."""
        return np.asarray(variance / np.square(self.mean_and_deviation()[1]))

    def log_units(self) -> Array:
        """Return the sum of the logarithms of the deviations, `()` or `(E,)`.

        A log density of targets in their own units is smaller by this than that of scaled ones.
        """
        return np.asarray(np.log(self.state.deviation.astype(np.float64)).sum(axis=-1))

    def mean_and_deviation(self) -> tuple[Array, Array]:
        """Return mean and standard deviation as rows; a single row if all members agree."""
        state = self.state
        precise = np.result_type(state.mean, np.float64)
        mean = state.mean.astype(precise) + state.mean_remainder
        deviation = state.deviation.astype(precise)
        if mean.ndim == 2 and not self.differs():
            return mean[:1], deviation[:1]
        return row(mean), row(deviation)

    def differs(self) -> bool:
        """Return whether the members of an ensemble have different scalings."""
        return any((a != a[:1]).any() for a in vars(self.state).values() if a.ndim == 2)


def checked_kind(kind: Any) -> str | None:
    """Return the option `target_scaling`; raise ValueError if it is invalid."""
    if kind is None or (isinstance(kind, str) and kind in KINDS):
        return kind
    raise ValueError(f'target_scaling expects None or "standard", got {shown(kind)}')


def scaling_for(kind: str | None, loss: Loss, out_features: int | None) -> TargetScaling | None:
    """Return the target scaling of a network, or None.

    Raises
    ------
    ValueError
        If the targets of this loss cannot be scaled.
    """
    if kind is None:
        return None
    reason = ""
    if loss.classifies:
        reason = "whose targets are classes"
    elif loss.expects_logits or loss.expects_probabilities:
        reason = "whose targets are probabilities"
    elif loss.fixed_unit:
        reason = "whose targets are counts or have another unit that cannot be changed"
    elif out_features is None:
        raise ValueError("target_scaling expects a network whose last width is known; add a Dense")
    if reason:
        raise ValueError(
            f"target_scaling={kind!r} expects a loss on numbers of any unit, got {loss!r}, "
            f"{reason}; leave target_scaling out"
        )
    assert out_features is not None
    features = loss.target_features(out_features)
    if features != out_features and type(loss).rescaled is Loss.rescaled:
        raise ValueError(
            f"target_scaling={kind!r} expects a loss that can give its {out_features} outputs in "
            f"the unit of {features} targets, got {loss!r}; override its method rescaled"
        )
    return TargetScaling(features)
