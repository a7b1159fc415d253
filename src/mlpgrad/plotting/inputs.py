"""What pictures ask of a model and its data: expected / got / fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network import boundary

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


def samples(model: Network, x: Any) -> Array:
    """Samples that all networks share, `(n, I)`."""
    return boundary.inputs(x, model.in_features, (), model.dtype)


def samples_of_width(model: Network, x: Any, width: int, picture: str, fix: str) -> Array:
    """Samples of a model with `width` inputs, one for each axis of the picture."""
    if model.in_features not in (None, width):
        inputs = f"{width} input{'s' if width > 1 else ''}"
        raise ValueError(f"{picture} expects a model with {inputs}, got {model.in_features}; {fix}")
    return boundary.inputs(x, width, (), model.dtype)


def one_network(model: Network, picture: str) -> None:
    """Refuse an ensemble."""
    if model.ensemble_size is not None:
        raise ValueError(
            f"{picture} expects one network, got an ensemble of {model.ensemble_size}; "
            f"use model.member(0)"
        )


def classifier(model: Network, picture: str, fix: str) -> None:
    """Refuse a model whose loss does not put each sample into one class."""
    if not model.loss.classifies:
        raise TypeError(
            f"{picture} expects a model that classifies, got {model.loss!r}, which is for "
            f"numbers; {fix}"
        )
    outputs = np.zeros((1, model.out_features or 1), model.dtype)
    if model.loss.classes(outputs).ndim > 1:
        raise ValueError(
            f"{picture} expects one class a sample, got {outputs.size} yes-or-no labels from "
            f"{model.loss!r}; use SoftmaxCrossEntropy for classes that exclude each other"
        )


def class_probabilities(model: Network, x: Array) -> Array:
    """P(class k) for each sample, `(..., n, K)`; certainty where the loss has no probabilities."""
    prediction = model.predict(x)
    try:
        probabilities = model.loss.probabilities(prediction)
    except TypeError:  # Hinge: classes without probabilities
        probabilities = model.loss.classes(prediction)[..., None].astype(float)
    if probabilities.shape[-1] == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=-1)
    return probabilities


def grid(x: Array, resolution: int, margin: float = 0.15) -> tuple[list[Array], Array]:
    """Points around samples `(n, I)`: each feature's coordinates, and all points as rows.

    Examples
    --------
    >>> grid(np.array([[0.0, 0.0], [1.0, 10.0]]), 2, margin=0)[1].tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 10.0], [1.0, 10.0]]
    """
    if not isinstance(resolution, (int, np.integer)) or resolution < 2:
        raise ValueError(f"resolution expects an int >= 2, got {resolution!r}; 200 is usual")
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    margins = margin * np.where(high > low, high - low, 1.0)
    coordinates = list(np.linspace(low - margins, high + margins, resolution).T)
    points = np.stack([part.ravel() for part in np.meshgrid(*coordinates)], axis=-1)
    return coordinates, points
