"""Checks of the model and the data of a picture: expected / got / fix."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.network import boundary
from mlpgrad.network.network import Network
from mlpgrad.uncertainty.law import expected_outputs

LARGEST = 1e100


def a_model(model: Any) -> Network:
    """Return the model; raise TypeError if it is not a model."""
    return arguments.instance(model, "model", Network, "Sequential(layers, loss=loss)")


def samples(model: Network, x: Any) -> Array:
    """The checked samples `(n, I)`, which all members of an ensemble share.

    For a table they are the features of the model's encoder, `(E, n, I)` if the encoder was fitted
    for each member.
    """
    if a_model(model).encoder is not None:
        return model.checked_inputs(x)
    model.check_columns(x)
    return boundary.inputs(x, model.in_features, (), model.dtype)


def samples_of_width(model: Network, x: Any, width: int, picture: str, fix: str) -> Array:
    """The checked samples `(n, width)` of a model that must have `width` inputs."""
    if a_model(model).in_features not in (None, width):
        inputs = f"{width} input{'s' if width > 1 else ''}"
        raise ValueError(f"{picture} expects a model with {inputs}, got {model.in_features}; {fix}")
    if model.encoder is None:
        model.check_columns(x)
        return boundary.inputs(x, width, (), model.dtype)
    features = model.checked_inputs(x)
    if features.ndim == 3:
        raise ValueError(
            f"{picture} expects the same features for all members, got an encoder fitted for each "
            f"of {len(features)} members; pass model.member(0)"
        )
    return features


def targets_of(model: Network, x: Array, y: Any) -> Array:
    """The checked targets of samples that have been checked."""
    return model.checked_targets(y, None, *x.shape[-2:])[0]


def one_network(model: Network, picture: str) -> None:
    """Raise ValueError if the model is an ensemble."""
    if a_model(model).ensemble_size is not None:
        raise ValueError(
            f"{picture} expects one network, got an ensemble of {model.ensemble_size}; "
            f"use model.member(0)"
        )


def classifier(model: Network, picture: str, fix: str) -> None:
    """Raise an error if the loss does not assign each sample to exactly one class."""
    if not model.loss.classifies:
        raise TypeError(
            f"{picture} expects a model that classifies, got {model.loss!r}, which is a "
            f"regression loss; {fix}"
        )
    outputs = np.zeros((1, model.out_features or 1), model.dtype)
    if model.loss.classes(outputs).ndim > 1:
        raise ValueError(
            f"{picture} expects one class per sample, got {outputs.size} binary labels from "
            f"{model.loss!r}; use SoftmaxCrossEntropy for mutually exclusive classes"
        )


def one_target(model: Network, x: Array, y: Any, output: int, picture: str) -> Array:
    """The values `(n,)` of target number `output`; raise an error if there is no such target."""
    if model.loss.classifies:
        raise TypeError(
            f"{picture} expects a model that predicts numbers, got {model.loss!r}, which is a "
            f"classification loss; use decision_boundary or confusion_matrix"
        )
    targets = targets_of(model, x, y)
    got = arguments.shown(output)
    known = arguments.is_integer(output) and 0 <= output < targets.shape[-1]
    if targets.ndim == 3 or not known:
        raise ValueError(
            f"output expects one of the targets 0 to {targets.shape[-1] - 1}, got {got} "
            f"for y of shape {np.shape(y)}; targets are counted from 0"
        )
    return drawable(targets[:, output], "y")


def drawable(values: Array, name: str) -> Array:
    """The values as floats; raise ValueError if one is too large for the axes of a picture."""
    largest = float(np.abs(values).max())
    if largest > LARGEST:
        raise ValueError(f"{name} expects numbers up to {LARGEST:g}, got {largest:g}; rescale it")
    return values.astype(float)


def class_probabilities(model: Network, x: Array) -> Array:
    """P(class k) for each sample, `(..., n, K)`; 0 and 1 if the loss has no probabilities.

    With a Laplace approximation these are the expected probabilities.
    """
    model.check_fitted()
    prediction, _ = expected_outputs(model, x, None)
    try:
        probabilities = model.loss.probabilities(prediction)
    except TypeError:  # Hinge: classes without probabilities
        probabilities = model.loss.classes(prediction)[..., None].astype(float)
    if probabilities.shape[-1] == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=-1)
    return probabilities


def grid(x: Array, resolution: int, margin: float = 0.15) -> tuple[list[Array], Array]:
    """A grid around samples `(n, I)`: the coordinates along each feature, and all points as rows.

    Examples
    --------
    >>> grid(np.array([[0.0, 0.0], [1.0, 10.0]]), 2, margin=0)[1].tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 10.0], [1.0, 10.0]]
    """
    resolution = arguments.count(resolution, "resolution", 2, 10_000, fix="200 is usual")
    x = drawable(x, "x")
    low, high = x.min(axis=0), x.max(axis=0)
    margins = margin * np.where(high - low > 1 / LARGEST, high - low, 1.0)
    coordinates = list(np.linspace(low - margins, high + margins, resolution).T)
    points = np.stack([part.ravel() for part in np.meshgrid(*coordinates)], axis=-1)
    return coordinates, points
