"""Checks of the argument of `Layer.forward`, made if the shape has changed."""

from __future__ import annotations

from typing import Any

from mlpgrad._core.arrays import Shape


def check_shape(layer: Any, shape: Shape) -> None:
    """Raise ValueError unless the layer has parameters, and a batch of this shape suits it."""
    if "_bound" not in vars(layer) and layer.parameters() | layer.statistics():
        raise ValueError(
            f"{layer!r} has no parameters before it belongs to a model; put it into one: "
            f"mg.Sequential([{layer!r}], loss=...)"
        )
    features, lead = layer.in_features, layer._lead
    wrong = len(shape) < 2 or shape[:-2] not in ((), lead)
    if wrong or 0 in shape or (features is not None and shape[-1] != features):
        width = "I" if features is None else features
        raise ValueError(
            f"{layer!r}.forward expects x of shape {_shown((*lead, 'B', width))}, got {shape}; "
            f"one row for each sample"
        )


def _shown(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
