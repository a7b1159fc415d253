"""From layers to flat arrays: every parameter has its slot, and every layer its views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array, Shape, Views
from mlpgrad.initializers import Initializer
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk


class Slot(NamedTuple):
    """Where one named array of a layer lies in a flat array of the model."""

    name: str
    """Unique in the model: `layers[2].weights`."""
    kind: str
    """Its name in the layer: `weights`."""
    layer: Layer
    start: int
    stop: int
    shape: Shape
    """For one network, without the ensemble axis."""
    initializer: Initializer

    def view(self, flat: Array) -> Array:
        """This slot's part of a flat array `(..., P)`, in its own shape."""
        return flat[..., self.start : self.stop].reshape(flat.shape[:-1] + self.shape)


def lay_out(layers: Sequence[Layer]) -> tuple[list[Slot], list[Slot]]:
    """Slots of all parameters, and of all statistics, one after the other."""
    slots: tuple[list[Slot], list[Slot]] = ([], [])
    for position, layer in walk(layers):
        for kept, described in zip(slots, (layer.parameters(), layer.statistics()), strict=True):
            for kind, (shape, initializer) in described.items():
                start = kept[-1].stop if kept else 0
                stop = start + int(np.prod(shape))
                name = f"layers[{position}].{kind}"
                kept.append(Slot(name, kind, layer, start, stop, shape, initializer))
    return slots


def bind(
    layers: Sequence[Layer],
    slots: tuple[list[Slot], list[Slot]],
    flats: tuple[Array, Array, Array],
    rngs: Sequence[np.random.Generator],
) -> None:
    """Give every layer its views of the flat `params`, `grads` and `state`."""
    params, grads, state = flats
    of_params, of_state = slots

    def views(flat: Array, kept: list[Slot], layer: Layer) -> Views:
        own = [slot for slot in kept if slot.layer is layer]
        start, stop = (own[0].start, own[-1].stop) if own else (0, 0)
        return Views(flat[..., start:stop], **{slot.kind: slot.view(flat) for slot in own})

    for _, layer in walk(layers):
        layer.bind(
            views(params, of_params, layer),
            views(grads, of_params, layer),
            views(state, of_state, layer),
            rngs,
            params.dtype,
            params.shape[:-1],
        )


def initialize(slots: Sequence[Slot], flat: Array, rngs: Sequence[np.random.Generator]) -> None:
    """Draw initial values, each network with its own generator."""
    networks: Any = flat if flat.ndim == 2 else flat[None]
    for network, rng in zip(networks, rngs, strict=True):
        for slot in slots:
            slot.view(network)[...] = slot.initializer(rng, slot.shape)
