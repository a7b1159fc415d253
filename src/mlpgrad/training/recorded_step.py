"""A step of training as a list of NumPy calls, recorded once and then replayed.

In a network of a few dozen units, half of the time of a step is spent in Python on method calls
and attribute look-ups. All buffers of a step are allocated once, so that every batch of the same
shape leads to the same NumPy calls on the same arrays; `fit` records these calls and replays them.

Three rules keep this correct. Only classes that declare it are recorded (`repeatable = True` in
the class itself, so that a subclass must declare it again). The arrays used for recording refuse
every operation that depends on values. Before it is used, the replay must give the same loss,
gradients and statistics, bit for bit, as the layers on other data with other parameters. All of
this happens on a private copy of the network, whose calls are then moved to the live parameters.
Otherwise `fit` calls the layers; `backpropagate` and the gradient checker always do.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.changes import Watched
from mlpgrad._core.options import assignments
from mlpgrad.layers.chain import run_backward, run_forward, walk
from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.prepared import Prepared
from mlpgrad.penalties import penalise
from mlpgrad.training.recorded_update import own_names, pairs, recorded_update
from mlpgrad.training.step import LayerStep
from mlpgrad.training.tape import Call, NotRepeatableError, Tape, twin

MANY_STEPS = 200  # recording costs as much as a hundred steps of the smallest network
SMALL_STEP = 1 << 23  # parameters times samples; above it, Python takes only a few per cent


class RecordedStep:
    """A step that replays recorded calls if possible, and else calls layers and optimizer."""

    mean_weight: Any = 1.0

    def __init__(self, network: Network, optimizer: Optimizer) -> None:
        self.network, self.optimizer = network, optimizer
        self.plain = LayerStep(network, optimizer)
        self._forget()

    @classmethod
    def serves(
        cls, network: Network, optimizer: Optimizer, batch_size: int | None, steps: int | None
    ) -> bool:
        """Return whether there are many small steps, so that the time spent in Python matters."""
        many = steps is None or steps >= MANY_STEPS
        return many and network.params.size * (batch_size or 1) <= SMALL_STEP

    def gradient(self, x: Array, target: Array, weights: Array | None) -> Any:
        """Write the gradient on a batch into `network.grads`, and return the loss."""
        recording = self.recording
        if recording is None:
            recording = self._record(x, target, weights)
        shapes = x.shape, target.shape, None if weights is None else weights.shape
        if recording is None or recording.shapes != shapes:
            self._shown = False
            return self.network._step(x, target, weights, self.mean_weight)
        if not self._shown:
            self._shown = True
            recording.show()
        recording.x[...] = x
        recording.target[...] = target
        if weights is not None:
            recording.weights[...] = weights
        for function, args in recording.prepared:
            function(*args)
        return recording.value

    def update(self) -> None:
        """Update the parameters from the gradient."""
        optimizer = self.optimizer
        if not self._repeats_update:
            self.plain.update()
            return
        optimizer._direct_advance(self.network.params, self.network.grads)
        if optimizer._prepared is not self._update_of:
            self._record_update()
            return
        for function, args in self.updates:
            function(*args)

    def refresh(self) -> None:
        """Record again if an option, a layer, a penalty or a generator has changed."""
        self._shown = False  # the user's code may have made other steps since
        if self._noticed or self._watched.changed(self._things()) or self._replaced():
            self._forget()

    def _replaced(self) -> bool:
        """Return whether the optimizer's own arrays are others than in the recorded update."""
        if not self._own:
            return False
        try:
            now = self._own_arrays()
        except NotRepeatableError:
            return True
        return len(now) != len(self._own) or not all(map(operator.is_, now, self._own))

    def _notice(self, thing: Any) -> None:
        """Call the layers until the end of the epoch, since an option was assigned."""
        if thing is not self.optimizer:  # which is recorded again itself
            self._repeats, self._noticed = False, True
            if self.recording is not None:
                self.recording.retire()

    def _things(self) -> list[Any]:
        """Return all objects on whose options the calls depend."""
        network = self.network
        layers = [layer for _, layer in walk(network.layers)]
        return [*layers, network.loss, *network.penalties, self.optimizer, *network.rngs]

    def _forget(self) -> None:
        """Discard the recording, so that the step is recorded again."""
        self.recording: Recording | None = None
        self.updates: list[Any] = []
        self._own: list[Any] = []
        self._shown = False
        self._update_of: Prepared | None = None
        self._repeats = repeatable(self.network, self.network.loss)
        self._repeats_update = _repeatable(self.optimizer)
        self._noticed = False
        things = self._things()
        self._watched = Watched(things)
        for thing in (self.network, *things[: -len(self.network.rngs)]):
            assignments.listen(thing, self)

    def _record(self, x: Array, target: Array, weights: Array | None) -> Recording | None:
        """Record the step if it can be replayed; otherwise do not try again."""
        if self._repeats:
            with suppress(NotRepeatableError):
                trial = Trial(self.network.copy(), x, target, weights, self.mean_weight)
                if trial.agrees():
                    self.recording = Recording(trial, self.network)
        self._repeats = self.recording is not None
        return self.recording

    def _record_update(self) -> None:
        """Make the update, and record it if it is the same calls at every step."""
        optimizer, self._update_of = self.optimizer, self.optimizer._prepared
        try:
            self._own = self._own_arrays()
            arrays = [self.network._params, *optimizer.state.values(), *self._own]
            written = [*arrays, self.network._grads]
            before = [array.copy() for array in written]

            def reset() -> None:
                for array, values in zip(written, before, strict=True):
                    array[...] = values

            try:
                calls = recorded_update(copy.copy(optimizer), self._update_of, arrays, reset)
            finally:
                reset()
            self.updates = [call.prepared() for call in calls]
        except NotRepeatableError:  # the optimizer is called each time
            self._repeats_update = False
        optimizer._direct_apply(self._update_of)

    def _own_arrays(self) -> list[Any]:
        """Return the arrays that the optimizer keeps outside its state."""
        kept = vars(self.optimizer)
        return [a for name in own_names(self.optimizer) for a, _ in pairs(kept[name], kept[name])]


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
            for call in self.calls:
                function, args = call.prepared()
                function(*args)
        found = self.value.copy(), network.grads.copy(), network.state.copy()
        network.state = state
        value = network._step(x, target, weights, self.mean_weight)
        again = value, network.grads, network.state  # in the same buffers
        return all(map(functools.partial(np.array_equal, equal_nan=True), found, again))


class Recording:
    """The calls of a trial, moved to the parameters, statistics and generators of a network."""

    def __init__(self, trial: Trial, network: Network) -> None:
        self.x, self.target = trial.x, trial.target
        self.weights: Any = trial.weights
        self.shapes: Any = trial.shapes
        self.value = trial.value
        place = mover(trial.network, network)
        self.calls: list[Call] = [call.moved(place) for call in trial.calls]
        self.prepared = [call.prepared() for call in self.calls]
        self._layers = [layer for _, layer in walk(network.layers)]
        self._seen = trial.seen

    def retire(self) -> None:
        """Make this recording match no batch any more."""
        self.shapes = None

    def show(self) -> None:
        """Let the layers refer to this step's arrays; those of another shape may be in place."""
        for layer, seen in zip(self._layers, self._seen, strict=True):
            layer._inputs, layer._outputs, layer._delta = seen


def mover(source: Network, network: Network) -> Callable[[Any], Any]:
    """Return a function that maps a view of one network's flat arrays to that of another's.

    A place in memory remains one object: see `Tape`. Other arrays are not changed.
    """
    names = ("_params", "_grads", "_state")
    flats = [(getattr(source, name), getattr(network, name)) for name in names]
    others = {id(a): b for a, b in zip(source.rngs, network.rngs, strict=True)}
    moved: dict[int, Any] = {}

    def place(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return others.get(id(value), value)
        if id(value) not in moved:
            moved[id(value)] = value, _moved(value, flats)  # the original keeps its id
        return moved[id(value)][1]

    return place


def _moved(view: Array, flats: list[tuple[Array, Array]]) -> Array:
    """Return the same part of the second flat array if the view is part of the first."""
    for flat, other in flats:
        if np.may_share_memory(view, flat):
            offset = view.ctypes.data - flat.ctypes.data
            return np.ndarray(view.shape, view.dtype, other, offset, view.strides)
    return view


def repeatable(network: Network, *others: object) -> bool:
    """Return whether layers, penalties and other objects declare their calls repeatable."""
    layers = [layer for _, layer in walk(network.layers)]
    return all(map(_repeatable, (*layers, *network.penalties, *others)))


def _repeatable(thing: object) -> bool:
    """Return whether the class itself declares it, and the object has no methods of its own."""
    own = vars(type(thing)).get("repeatable", False) is True
    return own and not any(callable(getattr(type(thing), name, None)) for name in vars(thing))
