"""What the outputs of a network say about the targets: of one network, and of several together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array


class Meaning:
    """The side of a loss that says what outputs mean; a subclass overrides what it knows better.

    Outputs have the shape `(..., B, O)`, targets `(..., B, T)`.
    """

    def numbers(self, prediction: Array) -> Array:
        """What the outputs say the targets are, `(..., B, T)`: for metrics that compare numbers."""
        return prediction

    def rescaled(self, prediction: Array, mean: Array, deviation: Array) -> Array:
        """The outputs for targets t, given those for (t - mean) / deviation.

        Parameters
        ----------
        prediction : array (..., B, O)
        mean, deviation : array (1, T) or (..., 1, T)

        Returns
        -------
        array (..., B, O)
            By default `prediction * deviation + mean`, for outputs that have the target's unit.
        """
        return np.asarray(prediction * deviation + mean)

    def probabilities(self, prediction: Array) -> Array:
        """The probabilities that `predict_proba` returns; TypeError if the loss defines none."""
        raise TypeError(f"{type(self).__name__} defines no probabilities; use predict(x)")

    def classes(self, prediction: Array) -> Array:
        """The predicted classes as indices, `(..., B)`; TypeError if the loss defines none."""
        raise TypeError(f"{type(self).__name__} defines no classes; use predict(x)")

    def true_classes(self, target: Array) -> Array:
        """The classes of a checked target, in the form that `classes` gives them in."""
        raise TypeError(f"{type(self).__name__} defines no classes; its targets are numbers")

    def noise(self, prediction: Array) -> Array | None:
        """The variance of targets around `numbers`, `(..., B, T)`; None if none is predicted."""
        return None

    def averaged(self, predictions: Array) -> Array:
        """The outputs of one network that says what several say on average.

        Parameters
        ----------
        predictions : array (D, ..., B, O)
            The outputs of D networks.

        Returns
        -------
        array (..., B, O)
            By default the mean of the outputs. A loss on logits takes the mean of the
            probabilities instead.
        """
        return np.asarray(predictions.mean(axis=0))

    def moderated(self, prediction: Array, covariance: Array) -> Array:
        """The outputs whose probabilities are the expected ones, where the outputs vary.

        Parameters
        ----------
        prediction : array (..., B, O)
            The outputs on average.
        covariance : array (..., B, O, O)
            The covariance of the outputs of each sample.

        Returns
        -------
        array (..., B, O)
            By default the outputs themselves.
        """
        return prediction

    def interval(self, mean: Array, variance: Array, level: float) -> tuple[Array, Array]:
        """Bounds of the central interval that holds a target with probability `level`.

        Parameters
        ----------
        mean, variance : array (B, T)
            Mean and variance of the target, with all that makes it uncertain.
        level : float
            Between 0 and 1.

        Returns
        -------
        tuple of two arrays (B, T)
            By default those of a normal law.
        """
        from statistics import NormalDist

        half = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(variance)
        return mean - half, mean + half

    def predicted_interval(self, prediction: Array, level: float) -> tuple[Array, Array] | None:
        """Bounds that the outputs themselves predict; None if they predict none."""
        return None

    def log_density(self, prediction: Array, target: Array, variance: Array | None) -> Array:
        """The logarithm of the probability (density) of each sample's target, `(..., B)`.

        Parameters
        ----------
        prediction : array (..., B, O)
        target : array (B, T)
            As `cast` returns it.
        variance : array (..., B, T) or None
            The variance of the targets around `numbers(prediction)`; None for a loss on classes or
            counts.

        Returns
        -------
        array (..., B)
            Summed over the targets of a sample. By default that of a normal law.
        """
        if variance is None:
            raise TypeError(f"{type(self).__name__} predicts no noise, so that no density is known")
        errors = self.numbers(prediction) - target
        terms = np.square(errors) / variance + np.log(2 * math.pi * variance)
        return np.asarray(-0.5 * terms.sum(axis=-1))


def log_mean_exp(values: Array) -> Any:
    """log(mean(exp(values))) over the first axis, without overflow."""
    return np.logaddexp.reduce(values, axis=0) - math.log(len(values))
