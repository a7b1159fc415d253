"""From layers to flat arrays: the chain is checked, laid out, and bound to views."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array, Shape, Views
from mlpgrad.initializers import Initializer
from mlpgrad.layers import Dense, Layer, walk


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


def check_chain(layers: Sequence[Layer], prefix: str = "") -> None:
    """Refuse what is not a row of fresh layers with agreeing widths."""
    if not layers:
        raise ValueError("layers expects at least one layer, got an empty list")
    for layer in layers:
        if not isinstance(layer, Layer):
            fix = f"; write {layer.__name__}(...)" if isinstance(layer, type) else ""
            raise TypeError(f"layers expects layers such as Dense(2, 8), got {layer!r}{fix}")
    seen: dict[int, str] = {}
    for position, layer in walk(layers, prefix):
        if id(layer) in seen:
            raise ValueError(
                f"layer {position} {layer!r} is the same object as layer {seen[id(layer)]}; "
                f"they would share buffers: make a second one"
            )
        if "_bound" in layer.__dict__:
            raise ValueError(
                f"layer {position} {layer!r} belongs to a model already; make a new one, or take "
                f"a copy with copy.deepcopy"
            )
        seen[id(layer)] = position
    width, source = None, "the input"
    for index, layer in enumerate(layers):
        expected = layer.in_features
        for features in (expected, layer.out_features):
            if features is not None and (not isinstance(features, Integral) or features < 1):
                raise ValueError(
                    f"layer {prefix}{index} {layer!r} expects widths that are ints >= 1, "
                    f"got {features!r}"
                )
        if None not in (expected, width) and expected != width:
            raise ValueError(
                f"layer {prefix}{index} {layer!r} expects {expected} features, got {width} from "
                f"{source}; make the sizes match"
            )
        width = layer.out_features or expected or width
        source = f"layer {prefix}{index} {layer!r}"


def link(layers: Sequence[Layer]) -> None:
    """Tell each layer which activation follows it: its initial weights depend on that."""
    from mlpgrad.activations import Activation

    following: Layer | None = None
    for layer in reversed(layers):
        link(layer.children())
        layer._following = following
        if isinstance(layer, Activation):
            following = layer
        elif isinstance(layer, Dense):
            following = None  # what comes after it follows it, not the layers before


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
