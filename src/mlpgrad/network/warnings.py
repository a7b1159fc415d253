"""Warnings about networks whose structure prevents learning, when they are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mlpgrad._core.training_warning import warn
from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.layers.dropout import Dropout
from mlpgrad.layers.embedding import Embedding
from mlpgrad.layers.normalization import BatchNorm, LayerNorm
from mlpgrad.layers.softmax import Softmax
from mlpgrad.layers.standardize import Standardize
from mlpgrad.losses.base import Loss


def warn_of_structure(layers: Sequence[Layer], loss: Loss) -> None:
    """Warn about each layer that makes learning impossible.

    Parameters
    ----------
    layers : sequence of Layer
        A checked stack of layers.
    loss : Loss
        The loss of the network.
    """
    found = *constant_layers(layers), *_scaled_codes(layers), *_bounded_logits(layers, loss)
    for message in found:
        warn(message)


def constant_layers(layers: Sequence[Layer]) -> Iterator[str]:
    """Warn about layers whose output is the same for every input."""
    width: int | None = None
    for position, layer in walk(layers):
        width = layer.in_features or width
        if isinstance(layer, Softmax) and width == 1:
            yield (
                f"layer {position} {layer!r} gets one number per sample and always gives 1, so "
                "the network cannot learn; for two classes remove it and use the loss "
                "SigmoidCrossEntropy(), or make the layer before it two wide and use "
                "SoftmaxCrossEntropy() without it; for a number just remove it"
            )
        if isinstance(layer, LayerNorm) and width == 1:
            yield (
                f"layer {position} {layer!r} subtracts the mean of a single number from that "
                "number, so its output is always its bias, and the network cannot learn; remove "
                "it, or use BatchNorm(1), which normalizes over the samples"
            )
        width = layer.out_features or width


def _scaled_codes(layers: Sequence[Layer]) -> Iterator[str]:
    """Warn about embeddings whose codes are scaled by a layer before them."""
    before: list[tuple[str, Layer]] = []
    for position, layer in walk(layers):
        if isinstance(layer, Embedding):
            scaling = [f"{p} {other!r}" for p, other in before if _scales(other, layer)]
            if scaling:
                yield (
                    f"layer {position} {layer!r} expects the codes of the data, which layer "
                    f"{scaling[0]} changes: they are then rounded to others, or count as 0; put "
                    "the Embedding first, or scale the other columns alone, by Standardize with "
                    "mean 0 and deviation 1 for the codes"
                )
        before.append((position, layer))


def _scales(layer: Layer, embedding: Embedding) -> bool:
    """Return whether a layer before an embedding scales the columns of its codes."""
    if isinstance(layer, Standardize) and layer.mean is not None and layer.deviation is not None:
        scaled = [*zip(layer.mean, layer.deviation, strict=True)]
        alike = layer.features == embedding.in_features  # no embedding between them
        return alike and any(scaled[column] != (0, 1) for column in embedding.codes)
    return isinstance(layer, (Standardize, BatchNorm, LayerNorm, Dropout))


def _bounded_logits(layers: Sequence[Layer], loss: Loss) -> Iterator[str]:
    """Warn about a bounded activation between the last weights and a loss on logits."""
    told, *_ = bounded_last(layers)
    if told and loss.expects_logits:
        yield (
            f"{told}, but {loss!r} expects unbounded logits: some probabilities cannot be reached; "
            "remove that layer"
        )


def bounded_last(layers: Sequence[Layer]) -> tuple[str, float | None, float | None]:
    """Return what to say of a bounded activation after the last weights, and its limits."""
    position = len(layers) - 1
    while position > 0 and isinstance(layers[position], Dropout):
        position -= 1
    last = layers[position]
    low, high = bounds(last) if isinstance(last, Activation) else (None, None)
    if isinstance(last, Softmax):
        low, high = 0.0, 1.0
    if low is None and high is None:
        return "", low, high
    limits = f"from {low:.3g}" if high is None else f"up to {high:.3g}"
    if low is not None and high is not None:
        limits = f"from {low:.3g} to {high:.3g}"
    return f"layer {position} {last!r} only gives numbers {limits}", low, high


def bounds(activation: Activation) -> tuple[float | None, float | None]:
    """Return the limits of an activation to the left and to the right; None if there is none.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> bounds(mg.ReLU()), bounds(mg.LeakyReLU()), bounds(mg.Tanh())
    ((0.0, None), (None, None), (-1.0, 1.0))
    """
    z = np.array([-1e8, -1e4, 1e4, 1e8])
    a = np.empty_like(z)
    try:
        with np.errstate(all="ignore"):
            activation.apply(z, a)
            near = 0.01 * (1 + np.abs(a))
            left, right = abs(a[0] - a[1]) <= near[1], abs(a[3] - a[2]) <= near[2]
    except Exception:  # user code that needs other arrays, so nothing is known
        return None, None
    ends = sorted(float(end) + 0.0 for end, flat in ((a[0], left), (a[3], right)) if flat)
    if left and right:
        return ends[0], ends[1]
    if not ends:
        return None, None
    other = a[3] if left else a[0]
    return (ends[0], None) if other > ends[0] else (None, ends[0])
