"""A step of training as a list of NumPy calls: recorded once, then made without the Python around.

In a network of a few dozen units half of a step's time goes into Python: methods, attributes,
look-ups. All buffers of a step are made once, so that every batch of one shape leads to the same
NumPy calls on the same arrays; `fit` writes them down and repeats them.

Three things keep it right. Only classes that say so are recorded (`repeatable = True` in the class
itself, so that a subclass has to say it again). The arrays they are recorded with refuse whatever
would depend on values. And before it is used, the repetition must give the same loss, gradients and
statistics, bit for bit, as the layers on other data with other parameters. Else `fit` calls the
layers as ever; so do `backpropagate` and the gradient checker, always.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.chain import run_backward, run_forward, walk
from mlpgrad.penalties import penalise
from mlpgrad.training.tape import Call, NotRepeatableError, Tape, twin

if TYPE_CHECKING:
    from mlpgrad.network.network import Network
    from mlpgrad.optimizers.base import Optimizer

MANY_STEPS = 200  # recording costs as much as a hundred steps of the smallest network
SMALL_STEP = 1 << 23  # parameters times samples: above, Python's share is below a few per cent


class RepeatedStep:
    """`model._step` for batches of one shape, as recorded calls on copies of the batch."""

    def __init__(self, model: Network, x: Array, target: Array, weights: Array | None) -> None:
        self.x, self.target = x.copy(), target.copy()
        self.weights = None if weights is None else weights.copy()
        model._step(self.x, self.target, self.weights)  # makes the buffers
        tape = Tape()
        layers, loss = [twin(layer, tape) for layer in model.layers], twin(model.loss, tape)
        output = run_forward(layers, tape.recorded(self.x))
        value = loss.forward(output, tape.recorded(self.target), tape.recorded(self.weights))
        run_backward(layers, loss.backward())
        acting = [(p, *map(tape.recorded, arrays)) for p, *arrays in model._penalised]
        self.value = tape.plain(penalise(value, acting, tape.recorded(model._slopes)))
        self.calls = tape.calls
        self.shown = [(a, a._inputs, a._outputs, a._delta) for _, a in walk(model.layers)]

    def __call__(self, x: Array, target: Array, weights: Array | None) -> Any:
        """The loss; the gradient is in `model.grads`."""
        self.x[...] = x
        self.target[...] = target
        if self.weights is not None:
            self.weights[...] = weights
        for function, args in self.calls:
            function(*args)
        return self.value

    def show(self) -> None:
        """Let the layers show this step's arrays: another shape's may have come between."""
        for layer, inputs, outputs, delta in self.shown:
            layer._inputs, layer._outputs, layer._delta = inputs, outputs, delta

    def agrees(self, model: Network) -> bool:
        """Whether it does as the layers, bit for bit, on other data and with other parameters."""
        x, target = self.x[..., ::-1, :] * self.x.dtype.type(0.75), self.target[..., ::-1, :].copy()
        weights = None if self.weights is None else self.weights[..., ::-1, :] * x.dtype.type(0.5)
        params, state = model.params.copy(), model.state.copy()
        model.params = params * params.dtype.type(0.875) + params.dtype.type(0.0625)
        try:
            model.grads.fill(np.nan)
            with model.same_randomness():
                value = self(x, target, weights).copy()
            found = value, model.grads.copy(), model.state.copy()
            model.state = state
            again = model._step(x, target, weights), model.grads, model.state  # same buffers
            return all(map(functools.partial(np.array_equal, equal_nan=True), found, again))
        finally:
            model.params = params


class Replay:
    """The steps of one `fit`, repeated where that is possible: `step` and `update`."""

    def __init__(self, model: Network, optimizer: Optimizer, batch: int) -> None:
        self.model, self.optimizer, self.batch = model, optimizer, batch
        self.forget()

    def forget(self) -> None:
        """Record anew."""
        self.repeats_step = repeatable(self.model, self.model.loss)
        self.repeats_update = _repeatable(self.optimizer)
        self.recorded: RepeatedStep | None = None
        self.blocks: list[list[Array]] | None = None  # that the recorded updates are for
        self.updates: list[Call] = []
        self.showing = False
        self.made_for = self._description()

    def refresh(self) -> None:
        """After code of the user has run: record anew if it has changed an option."""
        if self._description() != self.made_for:
            self.forget()

    def _description(self) -> tuple[Any, ...]:
        model = self.model
        parts = [*(layer for _, layer in walk(model.layers)), model.loss, *model.penalties]
        return tuple((id(part), repr(part)) for part in (*parts, self.optimizer))

    def step(self, x: Array, target: Array, weights: Array | None) -> Any:
        """As `model._step`."""
        if not self.repeats_step or x.shape[-2] != self.batch:
            self.showing = False
            return self.model._step(x, target, weights)
        if self.recorded is None and not self._record(x, target, weights):
            return self.model._step(x, target, weights)
        assert self.recorded is not None
        if not self.showing:
            self.recorded.show()
            self.showing = True
        return self.recorded(x, target, weights)

    def _record(self, x: Array, target: Array, weights: Array | None) -> bool:
        """Whether this step can be repeated; if not, it is not tried again."""
        state = self.model.state.copy()
        with suppress(NotRepeatableError), self.model.same_randomness():
            step = RepeatedStep(self.model, x, target, weights)
            if step.agrees(self.model):
                self.recorded = step
        self.model.state = state
        self.repeats_step = self.recorded is not None
        return self.repeats_step

    def update(self, params: Array, grads: Array) -> None:
        """As `optimizer.step`."""
        optimizer = self.optimizer
        if not self.repeats_update:
            optimizer.step(params, grads)
            return
        optimizer.begin_step(params, grads)
        if optimizer._blocks is self.blocks:
            for function, args in self.updates:
                function(*args)
        else:
            tape = Tape()
            for block in optimizer._blocks:
                optimizer.update(*map(tape.recorded, block))
            self.blocks, self.updates = optimizer._blocks, tape.calls
        if optimizer._bounded:
            optimizer.bound_weights()


def worthwhile(model: Network, batch: int, steps: int) -> bool:
    """Whether steps are so small and so many that recording them pays."""
    return steps >= MANY_STEPS and model.params.size * batch <= SMALL_STEP


def repeatable(model: Network, *others: object) -> bool:
    """Whether layers and penalties say that their calls may be repeated, and other things, too."""
    layers = [layer for _, layer in walk(model.layers)]
    return all(map(_repeatable, (*layers, *model.penalties, *others)))


def _repeatable(thing: object) -> bool:
    """Whether the class says so itself, and this object has no methods of its own."""
    own = vars(type(thing)).get("repeatable", False) is True
    return own and not any(callable(getattr(type(thing), name, None)) for name in vars(thing))
