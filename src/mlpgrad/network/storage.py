"""From layers to flat arrays: every parameter has its slot, and every layer its views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array, Shape, Views
from mlpgrad._core.described import Described
from mlpgrad.initializers import Initializer
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import link, walk


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


class Storage(Described):
    """The flat arrays of a network, and its layers, which are bound to views of them."""

    layers: Sequence[Layer]
    dtype: np.dtype[Any]
    ensemble_size: int | None
    rngs: list[np.random.Generator]
    parameters: list[Slot]
    statistics: list[Slot]

    @property
    def lead(self) -> tuple[int, ...]:
        """`()` for one network, `(E,)` for an ensemble."""
        return () if self.ensemble_size is None else (self.ensemble_size,)

    def _bind(self, flats: tuple[Array, Array, Array] | None = None) -> None:
        """Lay out the flat arrays, if there are none, and give each layer its views of them."""
        link(self.layers)
        self.parameters, self.statistics = slots = lay_out(self.layers)
        if flats is None:
            sizes = [kept[-1].stop if kept else 0 for kept in (slots[0], *slots)]
            params, grads, state = (np.zeros((*self.lead, n), self.dtype) for n in sizes)
            flats = params, grads, state
        self._params, self._grads, self._state = flats
        bind(self.layers, slots, flats, self.rngs)

    @property
    def params(self) -> Array:
        """All parameters, `(P,)` or `(E, P)`; assigning copies the values into the array."""
        return self._params

    @params.setter
    def params(self, values: Any) -> None:
        with self._writing():
            self._params[...] = values

    @property
    def grads(self) -> Array:
        """The gradient of the last `backpropagate`, in the shape of `params`."""
        return self._grads

    @grads.setter
    def grads(self, values: Any) -> None:
        self._grads[...] = values

    @property
    def state(self) -> Array:
        """What the layers keep beside parameters, such as running means: `(S,)` or `(E, S)`."""
        return self._state

    @state.setter
    def state(self, values: Any) -> None:
        with self._writing():
            self._state[...] = values

    def _writing(self) -> Any:
        """A context in which no other thread reads weights."""
        return nullcontext()

    def _weights(self) -> tuple[Array, Array]:
        """Parameters and statistics, to be read at once: of one moment."""
        return self._params, self._state

    def get_weights(self) -> dict[str, Array]:
        """Copies of all parameters and statistics, by name such as `layers[0].weights`."""
        params, state = self._weights()
        arrays = {slot.name: slot.view(params).copy() for slot in self.parameters}
        return arrays | {slot.name: slot.view(state).copy() for slot in self.statistics}

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Copy in arrays by name, as `get_weights` gives them; all names must be there."""
        slots = {slot.name: slot.view(self._params) for slot in self.parameters}
        slots |= {slot.name: slot.view(self._state) for slot in self.statistics}
        if weights.keys() != slots.keys():
            odd = sorted(weights.keys() ^ slots.keys())
            raise ValueError(f"weights expects the names of get_weights(); differing: {odd}")
        arrays = {name: checks.numeric(value, name) for name, value in weights.items()}
        for name, array in arrays.items():
            if array.shape != slots[name].shape:
                raise ValueError(f"{name} expects shape {slots[name].shape}, got {array.shape}")
        with self._writing():
            for name, array in arrays.items():
                slots[name][...] = array
