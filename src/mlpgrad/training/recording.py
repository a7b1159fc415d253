"""A recorded step: its calls on a private copy, then on a network and the arrays of its batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_backward, run_forward, walk
from mlpgrad.network.network import Network
from mlpgrad.penalties import penalise
from mlpgrad.training.tape import Call, Tape, replay, twin

LARGE = 1 << 16
"""Bytes of an input that is read in place; a smaller one is copied faster than it is changed."""
IN_PLACE = 8
"""The most batches that are read in place: `fit` gathers large ones in as many arrays."""

Seen = list[tuple[Layer, tuple[Any, ...]]]
"""Layers, with the inputs, outputs and delta that each refers to."""


class Trial:
    """A recorded step of a private copy of the network, for batches of one shape."""

    def __init__(
        self,
        network: Network,
        x: Array,
        target: Array,
        weights: Array | None,
        mean_weight: Any = 1.0,
    ) -> None:
        self.network, self.mean_weight = network, mean_weight
        self.x, self.target = x.copy(), target.copy()
        self.weights = None if weights is None else weights.copy()
        self.shapes = x.shape, target.shape, None if weights is None else weights.shape
        network._step(self.x, self.target, self.weights, mean_weight)  # makes the buffers
        self.seen = [(a._inputs, a._outputs, a._delta) for _, a in walk(network.layers)]
        tape = Tape()
        layers, loss = [twin(layer, tape) for layer in network.layers], twin(network.loss, tape)
        given = tape.recorded(self.weights)
        output = run_forward(layers, tape.recorded(self.x), given)
        value = loss._direct_forward(output, tape.recorded(self.target), given, mean_weight)
        run_backward(layers, loss._direct_backward())
        acting = [(p, *map(tape.recorded, arrays)) for p, *arrays in network._penalised]
        self.value = tape.plain(penalise(value, acting, tape.recorded(network._slopes)))
        self.calls = tape.calls

    def agrees(self) -> bool:
        """Return whether the calls equal the layers bit for bit, on other data and parameters."""
        network = self.network
        # so that a layer whose output depends on the number of calls differs from the recording
        network._step(self.x, self.target, self.weights, self.mean_weight)
        x, target = self.x[..., ::-1, :] * self.x.dtype.type(0.75), self.target[..., ::-1, :].copy()
        weights = None if self.weights is None else self.weights[..., ::-1, :] * x.dtype.type(0.5)
        network.params = network.params * x.dtype.type(0.875) + x.dtype.type(0.0625)
        state = network.state.copy()
        network.grads.fill(np.nan)
        for buffer, values in ((self.x, x), (self.target, target), (self.weights, weights)):
            if buffer is not None:
                buffer[...] = values
        with network.same_randomness():
            replay(self.calls)
        found = self.value.copy(), network.grads.copy(), network.state.copy()
        network.state = state
        value = network._step(x, target, weights, self.mean_weight)
        again = value, network.grads, network.state  # in the same buffers
        return all(map(functools.partial(np.array_equal, equal_nan=True), found, again))


class Reading:
    """The calls on the arrays of a batch, and what the layers then refer to.

    Attributes
    ----------
    first, last : Layer
    inputs, delta : array
        Those of the first and of the last layer. No other step has both of them, so that they tell
        whether the layers refer to this one.
    """

    def __init__(self, batch: Sequence[Any], prepared: list[Any], seen: Seen) -> None:
        self.batch, self.prepared, self._seen = batch, prepared, seen  # the arrays keep their ids
        (self.first, (self.inputs, *_)), (self.last, (*_, self.delta)) = seen[0], seen[-1]

    def show(self) -> None:
        """Let the layers refer to these arrays; those of another step are in place."""
        for layer, arrays in self._seen:
            layer._inputs, layer._outputs, layer._delta = arrays


class Recording:
    """The calls of a trial, moved to the parameters, statistics and generators of a network.

    The calls have arrays of their own, into which a batch is copied. Large batches are read in
    place, which takes a list of calls for each: `fit` gathers all of them in the same few arrays.

    Attributes
    ----------
    copied : Reading
        The calls on the arrays into which batches are copied.
    large : bool
        Whether batches are read in place.
    """

    def __init__(self, trial: Trial, network: Network) -> None:
        self._own: tuple[Any, ...] = trial.x, trial.target, trial.weights
        self.x, self.target = trial.x, trial.target
        self.weights: Any = trial.weights
        self.shapes: Any = trial.shapes
        self.value = trial.value
        names = ("_params", "_grads", "_state")
        flats = [(getattr(trial.network, name), getattr(network, name)) for name in names]
        place = mover(flats, zip(trial.network.rngs, network.rngs, strict=True))
        self.calls: list[Call] = [call.moved(place) for call in trial.calls]
        layers = [layer for _, layer in walk(network.layers)]
        self._seen: Seen = list(zip(layers, trial.seen, strict=True))
        self._reads = [
            number
            for number, call in enumerate(self.calls)
            if self._contains(*call.inputs, call.output)
        ]
        prepared = [call.prepared() for call in self.calls]
        self.copied = Reading(self._own, prepared, self._seen)
        self.large = trial.x.nbytes >= LARGE
        self._in_place: dict[tuple[int, ...], Reading] = {}

    def retire(self) -> None:
        """Make this recording match no batch any more."""
        self.shapes = None

    def reading(self, *batch: Any) -> Reading:
        """Return the calls on a batch where it is, or on its copy if there are too many others."""
        key = tuple(map(id, batch))
        found = self._in_place.get(key)
        if found is not None:
            return found
        pairs = [
            (own, given) for own, given in zip(self._own, batch, strict=True) if own is not None
        ]
        if len(self._in_place) < IN_PLACE and all(_alike(*pair) for pair in pairs):
            found = self._in_place[key] = self._moved(batch, pairs)
            return found
        for own, given in pairs:
            own[...] = given
        return self.copied

    def _moved(self, batch: tuple[Any, ...], pairs: list[tuple[Array, Array]]) -> Reading:
        """Return the calls on the arrays of a batch."""
        place, prepared = mover(pairs), [*self.copied.prepared]
        for number in self._reads:
            prepared[number] = self.calls[number].moved(place).prepared()
        seen: Seen = [(layer, tuple(map(place, arrays))) for layer, arrays in self._seen]
        return Reading(batch, prepared, seen)

    def _contains(self, *values: Any) -> bool:
        """Return whether the arrays into which a batch is copied contain one of the values."""
        arrays = [value for value in values if isinstance(value, np.ndarray)]
        own = [array for array in self._own if array is not None]
        return any(np.may_share_memory(array, other) for array in arrays for other in own)


def mover(
    flats: Sequence[tuple[Array, Array]], generators: Iterable[tuple[Any, Any]] = ()
) -> Callable[[Any], Any]:
    """Return a function that maps a part of one array to the same part of another.

    A place in memory remains one object: see `Tape`. Other arrays are not changed.

    Parameters
    ----------
    flats : sequence of pairs of arrays
        Arrays, each with the one that takes its place.
    generators : iterable of pairs
        Random generators, likewise.
    """
    others = {id(a): b for a, b in generators}
    moved: dict[int, Any] = {}

    def place(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return others.get(id(value), value)
        if id(value) not in moved:
            moved[id(value)] = value, _moved(value, flats)  # the original keeps its id
        return moved[id(value)][1]

    return place


def _moved(view: Array, flats: Sequence[tuple[Array, Array]]) -> Array:
    """Return the same part of the second array if the view is a part of the first."""
    for flat, other in flats:
        if np.may_share_memory(view, flat):
            if view.shape == flat.shape and view.strides == flat.strides:
                return other
            offset = view.ctypes.data - flat.ctypes.data
            return np.ndarray(view.shape, view.dtype, other, offset, view.strides)
    return view


def _alike(array: Array, other: Array) -> bool:
    """Return whether two arrays of the same shape have their numbers in the same places."""
    axes = zip(array.shape, array.strides, other.strides, strict=True)
    return array.dtype == other.dtype and all(n == 1 or a == b for n, a, b in axes)
