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
import operator
from contextlib import suppress
from typing import Any

from mlpgrad._core.arrays import Array
from mlpgrad._core.changes import Watched
from mlpgrad._core.options import assignments
from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.prepared import Prepared
from mlpgrad.training.recorded_update import own_names, pairs, recorded_update
from mlpgrad.training.recording import Recording, Trial
from mlpgrad.training.step import LayerStep
from mlpgrad.training.tape import NotRepeatableError

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
            return self.network._step(x, target, weights, self.mean_weight)
        reading = recording.copied
        if recording.large:
            reading = recording.reading(x, target, weights)
        else:
            recording.x[...] = x
            recording.target[...] = target
            if weights is not None:
                recording.weights[...] = weights
        if reading.first._inputs is not reading.inputs or reading.last._delta is not reading.delta:
            reading.show()
        for function, args in reading.prepared:
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
        return [*self.network._parts(), self.optimizer, *self.network.rngs]

    def _forget(self) -> None:
        """Discard the recording, so that the step is recorded again."""
        self.recording: Recording | None = None
        self.updates: list[Any] = []
        self._own: list[Any] = []
        self._update_of: Prepared | None = None
        self._repeats = repeatable(self.network)
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


def repeatable(network: Network, *others: object) -> bool:
    """Return whether layers, loss, penalties and other objects declare their calls repeatable."""
    return all(map(_repeatable, (*network._parts(), *others)))


def _repeatable(thing: object) -> bool:
    """Return whether the class itself declares it, and the object has no methods of its own."""
    own = vars(type(thing)).get("repeatable", False) is True
    return own and not any(callable(getattr(type(thing), name, None)) for name in [*vars(thing)])
