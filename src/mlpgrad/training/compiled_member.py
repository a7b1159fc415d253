"""The step and update of one member, recorded on private copies, and the tables of all members."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, part_of
from mlpgrad._core.cached import Cached
from mlpgrad._core.memory import aligned_copy, owner, view_in
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.prepared import VIEWS
from mlpgrad.training.compiled.operands import NotCoveredError, Tapes
from mlpgrad.training.compiled.program import Program
from mlpgrad.training.compiled_check import agrees
from mlpgrad.training.norms import written_out
from mlpgrad.training.recorded_update import copied, own_names, pairs, recorded_update
from mlpgrad.training.recording import Trial
from mlpgrad.training.rows import Batch
from mlpgrad.training.tape import NotRepeatableError


class Member:
    """A member of an ensemble, or a single network, whose step and update are recorded.

    Attributes
    ----------
    trial : Trial
        The recorded step, on a private copy.
    tapes : Tapes
    """

    def __init__(self, network: Network, optimizer: Optimizer, batch: Batch, mean: Any) -> None:
        self.network, self.optimizer = network, optimizer
        self.several = network.ensemble_size is not None
        own = network.member(0) if self.several else network.copy()
        self.rule = rule_of(optimizer, self.several)
        try:
            self.trial = trial = _trial(own, batch, mean)
            update = self._recorded_update(own)
        except NotRepeatableError as error:
            raise NotCoveredError(f"a step that cannot be recorded ({error})") from error
        for array, live in self.moved():
            if owner(array) is not array or not live.flags.carray:
                raise NotCoveredError("parameters or a state in a part of another array")
        met = [thing for call in trial.calls for thing in (*call.inputs, call.output)]
        arrays = [array for array in (trial.x, trial.target, *met) if isinstance(array, np.ndarray)]
        self._private = {id(owner(array)) for array in arrays}
        shown = [] if self.several else [a for seen in trial.seen for a in seen if a is not None]
        self.tapes = Tapes(
            trial.calls,
            update,
            data=[array for array in (trial.x, trial.target, trial.weights) if array is not None],
            scalars=[*self.rule._scalars, self.rule._prepared.kept],
            flats=[flat for flat in (own.grads, own.params, own.state) if flat.size],
            kept=[np.asarray(trial.value), *(array for array, _ in self._states()), *shown],
        )

    def _recorded_update(self, own: Network) -> Any:
        """Return the calls of an update of the private copy."""
        self._own_names = own_names(self.rule)
        if self.several and self._own_names:
            raise NotCoveredError("an optimizer with arrays outside its state, for an ensemble")
        arrays = [own.params, *(array for array, _ in self._states())]

        def reset() -> None:
            for array in (*arrays, own.grads):
                array.fill(0.75)
            own.grads[::2] = -0.5

        vars(self.rule)["_block"] = own.params.size  # one loop, whatever it updates
        self.rule.advance(own.params, own.grads)
        return recorded_update(self.rule, self.rule._prepared, arrays, reset)

    def program(self, helpers: int) -> Program:
        """Return the compiled step, after one that equals NumPy's, on values of medium size."""
        (own, live), x = self.moved()[0], self.trial.x
        own[...] = 0.875 * (live[0] if self.several else live) + 0.0625  # which is no minimum
        x /= np.abs(x).max() or 1
        step, update = (list(written_out(calls)) for calls in self.tapes[:2])
        program = Program(self.tapes._replace(step=step, update=update), helpers)
        if not agrees(program, self.tapes):
            program.close()
            raise NotCoveredError("a step that differs from NumPy's as machine code")
        return program

    def moved(self) -> list[tuple[Array, Array]]:
        """Return the arrays of the private copy with those of the network and its optimizer."""
        own, network, names = self.trial.network, self.network, ("_params", "_grads", "_state")
        return [*((getattr(own, name), getattr(network, name)) for name in names), *self._states()]

    def _states(self) -> Iterator[tuple[Array, Array]]:
        """Yield the arrays of the rule with those of the optimizer, in its state and outside."""
        for name, array in self.rule.state.items():
            yield array, self.optimizer.state.get(name, array)  # a callback may reset it
        for name in self._own_names:
            yield from pairs(vars(self.rule)[name], vars(self.optimizer).get(name))

    def place(self, index: int, buffers: dict[int, Array]) -> Callable[[Any], Any]:
        """Map what was recorded to a member's own parameters, state and generator.

        Parameters
        ----------
        index : int
            Index of the member.
        buffers : dict
            The thread's copies of all other arrays, by the id of the original; filled as needed.
            The layers of a single network then show these.
        """
        row = index if self.several else ...
        self._buffers = buffers
        moved: dict[int, Any] = {id(own): live[row] for own, live in self.moved()}
        moved[id(self.trial.network.rngs[0])] = self.network.rngs[index]

        def place(thing: Any) -> Any:
            key = id(thing)
            if key not in moved and key not in buffers:
                # an optimizer may have arrays of its own, which the user sees
                copied = self.several or key in self._private
                buffers[key] = aligned_copy(thing) if copied else thing
            return moved[key] if key in moved else buffers[key]

        return place

    def show(self, network: Network) -> None:
        """Let the layers hold the last step; those of an ensemble hold its last batch."""
        for (_, layer), arrays in zip(walk(network.layers), self._seen, strict=True):
            layer._inputs, layer._outputs, layer._delta = arrays

    @Cached
    def _seen(self) -> list[tuple[Array | None, ...]]:
        """The inputs, outputs and deltas of each layer, in the buffers of the compiled step."""
        return [tuple(map(self._placed, arrays)) for arrays in self.trial.seen]

    def _placed(self, array: Array | None) -> Array | None:
        """Return the array that the compiled step uses instead of one of the recorded step."""
        if array is None or self.several:  # each thread has its own
            return None
        buffer = self._buffers.get(id(owner(array)))
        return array if buffer is None else view_in(buffer, array)


def _trial(own: Network, batch: Batch, mean: Any) -> Trial:
    """Return the recorded step of a private copy, whose replay equals its layers."""
    x, target, weights = (part_of(0, array) for array in batch)
    mean = np.reshape(mean, (1, 1)) if np.ndim(mean) else mean
    trial = Trial(own, x, target, weights, mean)
    if not own.params.size:
        raise NotCoveredError("a network without parameters")
    if not trial.agrees():
        raise NotCoveredError("a step whose replay differs")
    return trial


def rule_of(optimizer: Optimizer, several: bool) -> Optimizer:
    """Return the optimizer of one member, on copies of its arrays."""
    rule = optimizer.share(0) if several else copy.copy(optimizer)
    vars(rule).update(copied({k: v for k, v in vars(rule).items() if k not in VIEWS}))
    rule._forget_views()
    return rule
