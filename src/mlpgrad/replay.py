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
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_backward, run_forward, walk
from mlpgrad.penalties import penalise

if TYPE_CHECKING:
    from mlpgrad.model import Sequential
    from mlpgrad.optimizers.base import Optimizer

MANY_STEPS = 200  # recording costs as much as a hundred steps of the smallest network
SMALL_STEP = 1 << 23  # parameters times samples: above, Python's share is below a few per cent

KNOWN = {"tape", "shape", "ndim", "dtype", "size", "real", "T", "mT"}  # of a recorded array
KNOWN |= {"dot", "argmax", "take", "fill", "reshape", "_view"}

Call = tuple[Callable[..., Any], tuple[Any, ...]]


class NotRepeatableError(Exception):
    """A step does what a list of calls cannot repeat."""


class Tape:
    """The calls of a step, in order.

    Each place in memory is one object in them: NumPy sees at once that `multiply(a, b, a)` may be
    done in place where both `a` are the same object, and searches for overlaps else (150 ns).
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._arrays: dict[Any, Array] = {}

    def plain(self, value: Any) -> Any:
        """The array itself, where it is recorded."""
        if not isinstance(value, Recorded):
            return value
        array = np.ndarray.view(value, np.ndarray)
        place = array.ctypes.data, array.shape, array.strides, array.dtype
        return self._arrays.setdefault(place, array)

    def recorded(self, value: Any) -> Any:
        """A view of an array, or of what is in a list, dict or layer, whose calls come here."""
        if isinstance(value, np.ndarray) and value.flags.writeable:
            view = np.ndarray.view(value, Recorded)
            view.tape = self
            return view
        if isinstance(value, dict):
            return {key: self.recorded(v) for key, v in value.items()}
        if isinstance(value, list):
            return [self.recorded(v) for v in value]
        if isinstance(value, np.random.Generator):
            return RecordedGenerator(self, value)
        if isinstance(value, Layer):  # inside another
            return _twin(value, self)
        return Recorded.dot if value is np.ndarray.dot else value

    def make(self, function: Callable[..., Any], args: tuple[Any, ...], result: Any) -> Any:
        """Make a call and write it down; `result` is the array that it writes into, if any."""
        function(*args)
        self.calls.append((function, args))
        return self.recorded(result)


class Recorded(np.ndarray[Any, np.dtype[Any]]):
    """A view whose NumPy calls are made and written on a tape.

    What would look at values, or make a copy that the tape does not see, raises NotRepeatableError.
    """

    tape: Tape

    def __array_finalize__(self, source: Any) -> None:
        if isinstance(source, Recorded):
            self.tape = source.tape

    def __getattribute__(self, name: str) -> Any:
        if name in KNOWN or name.startswith("__"):
            return super().__getattribute__(name)
        raise NotRepeatableError(f"array.{name}")

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (None,), **options: Any
    ) -> Any:
        function: Any = ufunc if method == "__call__" else getattr(ufunc, method)
        args = tuple(self.tape.plain(value) for value in inputs)
        result = self.tape.plain(out[0])
        if result is None:  # a new array: the repetition writes into this one
            result = np.asarray(function(*args, **options))
        if options or method != "__call__" or ufunc in (np.maximum, np.minimum):
            function = functools.partial(function, **options, out=result)
        else:
            args = (*args, result)
        return self.tape.make(function, args, result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.dot and not kwargs:
            return Recorded.dot(*args)
        if function not in (np.copyto, np.put_along_axis) or kwargs:
            raise NotRepeatableError(f"np.{function.__name__}")
        return self.tape.make(function, tuple(self.tape.plain(value) for value in args), None)

    def dot(self, other: Any, out: Any = None) -> Any:
        """The matrix product."""
        # called as `_multiply(ones, delta, out)` as well, where the first is no recorded array
        tape = next(value.tape for value in (self, other, out) if isinstance(value, Recorded))
        a, b = tape.plain(self), tape.plain(other)
        result = np.asarray(a.dot(b)) if out is None else tape.plain(out)
        return tape.make(a.dot, (b, result), result)

    def argmax(self, axis: Any, out: Any, *, keepdims: bool) -> Any:  # type: ignore[override]
        """Places of the largest numbers, into `out`."""
        argmax = functools.partial(self.tape.plain(self).argmax, keepdims=keepdims)
        return self.tape.make(argmax, (axis, self.tape.plain(out)), self.tape.plain(out))

    def take(self, indices: Any, axis: Any, out: Any, mode: Any) -> Any:  # type: ignore[override]
        """Rows by their numbers, into `out`."""
        plain = self.tape.plain
        return self.tape.make(
            plain(self).take, (plain(indices), axis, plain(out), mode), plain(out)
        )

    def fill(self, value: Any) -> None:
        """One value everywhere."""
        self.tape.make(self.tape.plain(self).fill, (self.tape.plain(value),), None)

    def reshape(self, *shape: int) -> Any:  # type: ignore[override]
        """A view in another shape."""
        return self._view(self.tape.plain(self).reshape(*shape), "array.reshape")

    def __getitem__(self, key: Any) -> Any:
        return self._view(self.tape.plain(self)[key], "array[numbers]")

    def _view(self, view: Any, made_by: str) -> Any:
        """A part of this array, recorded; the tape would not see the making of a copy."""
        if not isinstance(view, np.ndarray) or not np.may_share_memory(view, self.tape.plain(self)):
            raise NotRepeatableError(made_by)
        return self.tape.recorded(view)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.tape.make(self.tape.plain(self).__setitem__, (key, self.tape.plain(value)), None)

    def _refuse(self: Any, *_: Any) -> Any:
        raise NotRepeatableError("a look at values")

    __bool__ = __float__ = __int__ = __complex__ = __index__ = _refuse
    __iter__ = __contains__ = __array__ = _refuse  # type: ignore[assignment]


class RecordedGenerator:
    """A generator that draws anew at every repetition."""

    def __init__(self, tape: Tape, generator: np.random.Generator) -> None:
        self.tape, self.generator = tape, generator

    def random(self, size: Any, dtype: Any, out: Any) -> Any:
        """Uniform numbers in [0, 1), into `out`."""
        result = self.tape.plain(out)
        return self.tape.make(self.generator.random, (size, dtype, result), result)

    def __getattr__(self, name: str) -> Any:
        raise NotRepeatableError(f"generator.{name}")


class RepeatedStep:
    """`model._step` for batches of one shape, as recorded calls on copies of the batch."""

    def __init__(self, model: Sequential, x: Array, target: Array, weights: Array | None) -> None:
        self.x, self.target = x.copy(), target.copy()
        self.weights = None if weights is None else weights.copy()
        model._step(self.x, self.target, self.weights)  # makes the buffers
        tape = Tape()
        layers, loss = [_twin(layer, tape) for layer in model.layers], _twin(model.loss, tape)
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

    def agrees(self, model: Sequential) -> bool:
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

    def __init__(self, model: Sequential, optimizer: Optimizer, batch: int) -> None:
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


def worthwhile(model: Sequential, batch: int, steps: int) -> bool:
    """Whether steps are so small and so many that recording them pays."""
    return steps >= MANY_STEPS and model.params.size * batch <= SMALL_STEP


def repeatable(model: Sequential, *others: object) -> bool:
    """Whether layers and penalties say that their calls may be repeated, and other things, too."""
    layers = [layer for _, layer in walk(model.layers)]
    return all(map(_repeatable, (*layers, *model.penalties, *others)))


def _repeatable(thing: object) -> bool:
    """Whether the class says so itself, and this object has no methods of its own."""
    own = vars(type(thing)).get("repeatable", False) is True
    return own and not any(callable(getattr(type(thing), name, None)) for name in vars(thing))


def _twin(thing: Any, tape: Tape) -> Any:
    """A layer or loss on the same memory, whose arrays are recorded."""
    double = object.__new__(type(thing))
    double.__dict__.update({name: tape.recorded(value) for name, value in vars(thing).items()})
    return double
