"""Scalings of a network: of its inputs by the first layer, and of its targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.standardize import Standardize
from mlpgrad.losses.base import Loss
from mlpgrad.network.storage import Storage
from mlpgrad.network.target_scaling import TargetScaling


class Scaled(Storage):
    """The part of a network that converts between the units of the data and scaled units."""

    loss: Loss

    @property
    def input_scaling(self) -> Standardize | None:
        """The first layer, if it scales the inputs."""
        first = self.layers[0]
        return first if isinstance(first, Standardize) else None

    @property
    def scaling_of_targets(self) -> TargetScaling | None:
        """The scaling of the targets, whose values are in `state`."""
        return self._target_scaling

    @property
    def prediction_dtype(self) -> np.dtype[Any]:
        """The real dtype of predictions in the units of the data."""
        real = np.zeros(0, self.dtype).real.dtype
        return real if self._target_scaling is None else np.result_type(real, np.float64)

    def unfitted(self) -> list[Standardize | TargetScaling]:
        """Return the scalings that are not fitted yet."""
        scalings = self.input_scaling, self._target_scaling
        return [s for s in scalings if s is not None and not s.is_fitted()]

    def scales(self) -> bool:
        """Return whether inputs or targets are scaled."""
        return self.input_scaling is not None or self._target_scaling is not None

    def check_fitted(self) -> None:
        """Raise ValueError if a scaling is not fitted yet."""
        for scaling in self.unfitted():
            is_layer = isinstance(scaling, Standardize)
            which = f"layer 0 {scaling!r}" if is_layer else 'target_scaling="standard"'
            fix = ", or give it mean and deviation" if is_layer else ""
            raise ValueError(
                f"{which} has not been fitted to data yet; train with model.fit, or call "
                f"model.fit_scaling(x, y) first{fix}"
            )

    def cast_target(self, target: Array) -> Array:
        """Return some rows of a checked target as the loss takes them, scaled if targets are."""
        if self._target_scaling is not None:
            target = self._target_scaling.scaled(target)
        return self.loss._direct_cast(target, self.dtype)

    def _check_takes_same_targets(self, loss: Loss) -> None:
        """Raise ValueError if a loss needs other targets than those prepared for a running fit."""
        width = self.out_features or 0
        kinds = [(type(one).cast, one.target_features(width)) for one in (self.loss, loss)]
        if kinds[0] != kinds[1]:
            raise ValueError(
                f"model.loss expects a loss with the same targets as {self.loss!r} while a fit "
                f"runs, got {loss!r}; assign it before the fit, or end that fit and begin another"
            )

    def in_own_unit(self, outputs: Array) -> Array:
        """Return the network's outputs in the units of the data."""
        if self._target_scaling is None:
            return outputs
        return self._target_scaling.prediction(outputs, self.loss)

    @property
    def first_scaling(self) -> TargetScaling | None:
        """The scaling of the first member's targets, which is that of an averaged output."""
        return None if self._target_scaling is None else self._target_scaling.of_first_member()

    def in_first_unit(self, outputs: Array) -> Array:
        """Return the outputs of all members in the scaled units of the first, to be averaged."""
        if self._target_scaling is None:
            return outputs
        return self._target_scaling.as_first_member(outputs, self.loss)

    def target_in_own_unit(self, target: Array) -> Array:
        """Convert the result of `cast_target` to the units of the data."""
        return target if self._target_scaling is None else self._target_scaling.target(target)

    def converts_target_to(self, target: Array) -> np.dtype[Any] | None:
        """Return the dtype of `cast_target` if it changes nothing else, or None."""
        if self._target_scaling is not None:
            return None
        return self.loss.converts_to(target, self.dtype)
