"""The flat arrays of a network: every parameter has a slot, and every layer has views."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array, Shape, Views
from mlpgrad._core.calls import NotCalled
from mlpgrad._core.described import Described, suggesting, unknown
from mlpgrad._core.memory import aligned
from mlpgrad.initializers import Initializer
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import link, walk
from mlpgrad.network.target_scaling import TargetScaling


class Slot(NamedTuple):
    """The position of a named array of a layer in a flat array of the model."""

    name: str
    """Unique in the model: `layers[2].weights`."""
    kind: str
    """Its name in the layer: `weights`."""
    layer: Any
    """The layer; for statistics also the network's `TargetScaling`."""
    start: int
    stop: int
    shape: Shape
    """The shape for one network, without the ensemble axis."""
    initializer: Initializer

    def view(self, flat: Array) -> Array:
        """Return this slot's part of a flat array `(..., P)`, in its shape."""
        return flat[..., self.start : self.stop].reshape(flat.shape[:-1] + self.shape)


class Layers(tuple[Layer, ...]):
    """The layers of a model, which are fixed."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError, which says what to write in place of a list's methods."""
            raise AttributeError(unknown(type(self), name))


class Slots(NotCalled, list[Slot]):
    """The slots of one flat array, in order."""

    plan: Any = None  # kept by `derivatives/plan.py`

    def by_layer(self) -> dict[int, list[Slot]]:
        """Return the slots of each layer that has parameters, by the id of the layer."""
        found: dict[int, list[Slot]] = {}
        for slot in self:
            found.setdefault(id(slot.layer), []).append(slot)
        return found

    def extend_by(
        self, place: str, owner: Any, described: Mapping[str, tuple[Shape, Initializer]]
    ) -> None:
        """Append a slot for each array that the owner describes."""
        for kind, (shape, initializer) in described.items():
            start = self[-1].stop if self else 0
            stop = start + math.prod(map(int, shape))  # exact for any size
            self.append(Slot(f"{place}.{kind}", kind, owner, start, stop, shape, initializer))


def lay_out(
    layers: Sequence[Layer], target_scaling: TargetScaling | None = None
) -> tuple[Slots, Slots]:
    """Return the slots of all parameters and of all statistics."""
    parameters, statistics = Slots(), Slots()
    for position, layer in walk(layers):
        parameters.extend_by(f"layers[{position}]", layer, layer.parameters())
        statistics.extend_by(f"layers[{position}]", layer, layer.statistics())
    if target_scaling is not None:
        statistics.extend_by("target", target_scaling, target_scaling.statistics())
    return parameters, statistics


def bind(
    layers: Sequence[Layer],
    slots: tuple[Slots, Slots],
    flats: tuple[Array, Array, Array],
    rngs: Sequence[np.random.Generator],
    target_scaling: TargetScaling | None = None,
) -> None:
    """Give every layer its views of the flat `params`, `grads` and `state`."""
    params, grads, state = flats
    of_params, of_state = (kept.by_layer() for kept in slots)

    def views(flat: Array, kept: dict[int, list[Slot]], owner: Any) -> Views:
        own = kept.get(id(owner), [])
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
    if target_scaling is not None:
        target_scaling.bind(views(state, of_state, target_scaling))


NARROWER = "make the layers narrower or the ensemble smaller"


def check_memory(nbytes: int, what: str, fix: str = NARROWER) -> None:
    """Raise ValueError if arrays would need more memory than the machine has."""
    names = getattr(os, "sysconf_names", {})  # not available on Windows
    present = 1 << 46
    if "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
        present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if nbytes > present:
        raise ValueError(
            f"{what} are too large: they need {nbytes / 2**30:,.0f} GiB, and this machine has "
            f"{present / 2**30:,.0f} GiB; {fix}"
        )


def initialize(slots: Sequence[Slot], flat: Array, rngs: Sequence[np.random.Generator]) -> None:
    """Draw initial values, each network with its own generator."""
    networks: Any = flat if flat.ndim == 2 else flat[None]
    for network, rng in zip(networks, rngs, strict=True):
        for slot in slots:
            of_mlpgrad = type(slot.initializer).__name__.startswith("_")
            name = slot.name if of_mlpgrad else f"{slot.initializer!r} for {slot.name}"
            arguments.copy_into(slot.view(network), slot.initializer(rng, slot.shape), name)


class Storage(Described):
    """The flat arrays of a network, and its layers, which have views of them."""

    layers: Sequence[Layer]
    dtype: np.dtype[Any]
    ensemble_size: int | None
    rngs: list[np.random.Generator]
    parameters: Slots
    statistics: Slots
    _target_scaling: TargetScaling | None = None

    def __new__(cls, *layers: Any, **options: Any) -> Any:
        """Raise an error for layers that are not in a list, before the arguments are counted."""
        if any(isinstance(layer, Layer) for layer in layers):
            shown = ", ".join(map(repr, layers))
            raise TypeError(
                f"{cls.__name__} expects its layers in a list; write {cls.__name__}([{shown}], ...)"
            )
        return super().__new__(cls, *layers, **options)

    @property
    def lead(self) -> tuple[int, ...]:
        """`()` for one network, `(E,)` for an ensemble."""
        return () if self.ensemble_size is None else (self.ensemble_size,)

    @property
    def in_features(self) -> int | None:
        """Width of the input, or None if any width is accepted."""
        # called by every `predict`; a generator would take twice the time
        for layer in self.layers:
            if layer.in_features is not None:
                return layer.in_features
        return None

    @property
    def out_features(self) -> int | None:
        """Width of the output, or None if it equals that of the input, which may be any."""
        widths = (layer.out_features or layer.in_features for layer in reversed(self.layers))
        return next((n for n in widths if n is not None), None)

    def _bind(self, flats: tuple[Array, Array, Array] | None = None) -> None:
        """Lay out the flat arrays, if there are none, and give each layer its views of them."""
        link(self.layers)
        self.parameters, self.statistics = slots = self._laid_out()
        if flats is None:
            sizes = [kept[-1].stop if kept else 0 for kept in (slots[0], *slots)]
            nbytes = sum(sizes) * math.prod(self.lead) * self.dtype.itemsize
            check_memory(nbytes, f"{sizes[0]:,} parameters and their gradients")
            params, grads, state = (aligned((*self.lead, n), self.dtype) for n in sizes)
            flats = params, grads, state
        self._params, self._grads, self._state = flats
        bind(self.layers, slots, flats, self.rngs, self._target_scaling)

    def _laid_out(self) -> tuple[Slots, Slots]:
        """Return the slots of all parameters, and of all statistics."""
        return lay_out(self.layers, self._target_scaling)

    @property
    def params(self) -> Array:
        """All parameters, `(P,)` or `(E, P)`; assigning copies the values into the array."""
        return self._params

    @params.setter
    def params(self, values: Any) -> None:
        with self._writing():
            arguments.copy_into(self._params, values, "params")

    @property
    def grads(self) -> Array:
        """The gradient of the last `backpropagate`, in the shape of `params`."""
        return self._grads

    @grads.setter
    def grads(self, values: Any) -> None:
        arguments.copy_into(self._grads, values, "grads")

    @property
    def state(self) -> Array:
        """Values other than parameters, such as running means: `(S,)` or `(E, S)`."""
        return self._state

    @state.setter
    def state(self, values: Any) -> None:
        with self._writing():
            arguments.copy_into(self._state, values, "state")

    # implemented by `Threaded`

    def _writing(self) -> Any:
        """Return a context in which no other thread reads weights."""
        raise NotImplementedError

    def _weights(self) -> tuple[Array, Array]:
        """Return copies of the parameters and statistics at one point in time."""
        raise NotImplementedError

    # weights by name

    @suggesting
    def get_weights(self) -> dict[str, Array]:
        """Return copies of all parameters and statistics, by name such as `layers[0].weights`."""
        params, state = self._weights()
        arrays = {slot.name: slot.view(params).copy() for slot in self.parameters}
        return arrays | {slot.name: slot.view(state).copy() for slot in self.statistics}

    @suggesting
    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Set parameters and statistics by name, as returned by `get_weights`; all are required."""
        slots = {slot.name: slot.view(self._params) for slot in self.parameters}
        slots |= {slot.name: slot.view(self._state) for slot in self.statistics}
        if not isinstance(weights, Mapping):
            raise TypeError(
                f"weights expects a dict as get_weights() gives it, got {arguments.shown(weights)}"
            )
        if weights.keys() != slots.keys():
            odd = sorted(map(str, weights.keys() ^ slots.keys()))
            raise ValueError(f"weights expects the names of get_weights(); differing: {odd}")
        kinds = "biuf" + self.dtype.kind
        arrays = {name: arguments.numbers(v, name, kinds) for name, v in weights.items()}
        for name, array in arrays.items():
            if array.shape != slots[name].shape:
                raise ValueError(f"{name} expects shape {slots[name].shape}, got {array.shape}")
            arrays[name] = arguments.cast(array, self.dtype, name)
        with self._writing():
            for name, array in arrays.items():
                slots[name][...] = array
