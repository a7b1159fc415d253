"""A tape: the NumPy calls of a step, recorded as data while they are made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.base import Layer

VIEWS = {"real", "T", "mT"}
ATTRIBUTES = {"tape", "shape", "ndim", "dtype", "size", "itemsize"}
ATTRIBUTES |= {"dot", "argmax", "take", "fill", "reshape", "_view"}
"""Attributes of a recorded array that may be used; all others would depend on its values."""

METHODS = {"dot", "argmax", "take", "fill", "__setitem__", "random"}
"""Names of calls that are methods of their first input."""


class NotRepeatableError(Exception):
    """The step does something that a list of calls cannot repeat."""


class Call(NamedTuple):
    """One call as data; `prepared` repeats it on the same arrays.

    The arrays are the step's own buffers. A read-only array never changes: it is a constant.
    """

    name: str
    """Name of a ufunc (`add`, `add.reduce`), a method in METHODS, or a function (`copyto`)."""
    function: Callable[..., Any]
    """The ufunc or function; a method's is unbound."""
    inputs: tuple[Any, ...]
    """Arrays, numbers and indices by position; for a method, its object is the first."""
    output: Array | None
    """The array that is written to, if it is not the first input."""
    options: dict[str, Any]

    def prepared(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return the callable and its positional arguments, in the fastest form for NumPy."""
        function, inputs, out = self.function, self.inputs, self.output
        if self.name in METHODS:
            function, inputs = getattr(inputs[0], self.name), inputs[1:]
        if self.name in ("maximum", "minimum") or "." in self.name:
            return functools.partial(function, **self.options, out=out), inputs
        if self.options:
            function = functools.partial(function, **self.options)
        if self.name == "take":  # (indices, axis, out, mode)
            inputs = (*inputs[:2], out, *inputs[2:])
        elif out is not None:
            inputs = (*inputs, out)
        return function, inputs

    def moved(self, place: Callable[[Any], Any]) -> Call:
        """Return the same call on other arrays, given by `place(array)`."""
        inputs = tuple(map(place, self.inputs))
        return self._replace(inputs=inputs, output=place(self.output))


def replay(calls: Iterable[Call]) -> None:
    """Make the calls again."""
    for call in calls:
        function, args = call.prepared()
        function(*args)


class Tape:
    """The calls of a step, in order.

    Each place in memory is represented by one object: if both `a` in `multiply(a, b, a)` are the
    same object, NumPy sees at once that it may work in place; otherwise it searches for overlaps
    (150 ns).
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._arrays: dict[Any, Array] = {}

    def plain(self, value: Any) -> Any:
        """Return the array under a recorded array."""
        if not isinstance(value, Recorded):
            return value
        return self._one(np.ndarray.view(value, np.ndarray))

    def _one(self, array: Array) -> Array:
        """Return the object that represents a place in memory."""
        place = array.ctypes.data, array.shape, array.strides, array.dtype
        return self._arrays.setdefault(place, array)

    def recorded(self, value: Any) -> Any:
        """Return a recording view of an array, or of the arrays in a list, dict or layer."""
        if isinstance(value, np.ndarray) and value.flags.writeable:
            # a base that is recorded would close a cycle that the garbage collector cannot see:
            # it does not look into plain arrays
            view = np.ndarray.view(self.plain(value), Recorded)
            view.tape = self
            return view
        if isinstance(value, dict):
            return {key: self.recorded(v) for key, v in value.items()}
        if type(value) in (list, tuple):
            return type(value)(map(self.recorded, value))
        if isinstance(value, np.random.Generator):
            return RecordedGenerator(self, value)
        if isinstance(value, Layer):  # a layer inside another
            return twin(value, self)
        return Recorded.dot if value is np.ndarray.dot else value

    def make(
        self,
        name: str,
        function: Callable[..., Any],
        inputs: tuple[Any, ...],
        output: Any = None,
        **options: Any,
    ) -> Any:
        """Make a call and record it; return its recorded output, if any."""
        inputs, output = tuple(map(self.plain, inputs)), self.plain(output)
        if any(map(_holds_recorded, (*inputs, *options.values()))):
            raise NotRepeatableError("an array that a move to other arrays would not find")
        call = Call(name, function, inputs, output, options)
        prepared, args = call.prepared()
        prepared(*args)
        self.calls.append(call)
        return None if output is None else self.recorded(output)


class Recorded(np.ndarray[Any, np.dtype[Any]]):
    """A view whose NumPy calls are made and recorded on a tape.

    An operation that depends on values, or makes an unrecorded copy, raises NotRepeatableError.
    """

    tape: Tape

    def __getattribute__(self, name: str) -> Any:
        if name in VIEWS:
            return self._view(getattr(self.tape.plain(self), name), f"array.{name}")
        if name in ATTRIBUTES or name.startswith("__"):
            return super().__getattribute__(name)
        raise NotRepeatableError(f"array.{name}")

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (None,), **options: Any
    ) -> Any:
        called = method == "__call__"
        function: Any = ufunc if called else getattr(ufunc, method)
        name = ufunc.__name__ if called else f"{ufunc.__name__}.{method}"
        result = out[0]
        if result is None:  # a new array, which the replay writes to
            result = self.tape._one(np.asarray(function(*map(self.tape.plain, inputs), **options)))
        return self.tape.make(name, function, inputs, result, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.dot and not kwargs:
            return Recorded.dot(*args)
        if function not in (np.copyto, np.put_along_axis) or kwargs:
            raise NotRepeatableError(f"np.{function.__name__}")
        return self.tape.make(function.__name__, function, args)

    def dot(self, other: Any, out: Any = None) -> Any:
        """The matrix product."""
        # also called as `_multiply(ones, delta, out)`, where the first is not a recorded array
        tape = next(value.tape for value in (self, other, out) if isinstance(value, Recorded))
        if out is None:
            out = tape._one(np.asarray(tape.plain(self).dot(tape.plain(other))))
        return tape.make("dot", np.ndarray.dot, (self, other), out)

    def argmax(self, axis: Any, out: Any, *, keepdims: bool) -> Any:  # type: ignore[override]
        """Write the indices of the largest elements to `out`."""
        return self.tape.make("argmax", np.ndarray.argmax, (self, axis), out, keepdims=keepdims)

    def take(self, indices: Any, axis: Any, out: Any, mode: Any) -> Any:  # type: ignore[override]
        """Write the rows with the given indices to `out`."""
        return self.tape.make("take", np.ndarray.take, (self, indices, axis, mode), out)

    def fill(self, value: Any) -> None:
        """Fill with one value."""
        self.tape.make("fill", np.ndarray.fill, (self, value))

    def reshape(self, *shape: int) -> Any:  # type: ignore[override]
        """Return a view in another shape."""
        return self._view(self.tape.plain(self).reshape(*shape), "array.reshape")

    def __getitem__(self, key: Any) -> Any:
        return self._view(self.tape.plain(self)[key], "array[numbers]")

    def _view(self, view: Any, made_by: str) -> Any:
        """Return a recorded part of this array; it must be a view: copies are not recorded."""
        if not isinstance(view, np.ndarray) or not np.may_share_memory(view, self.tape.plain(self)):
            raise NotRepeatableError(made_by)
        return self.tape.recorded(view)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.tape.make("__setitem__", np.ndarray.__setitem__, (self, key, value))

    def _refuse(self: Any, *_: Any) -> Any:
        raise NotRepeatableError("a read of values")

    __bool__ = __float__ = __int__ = __complex__ = __index__ = _refuse
    __iter__ = __contains__ = __array__ = _refuse  # type: ignore[assignment]


class RecordedGenerator:
    """A generator that draws new numbers at every replay."""

    def __init__(self, tape: Tape, generator: np.random.Generator) -> None:
        self.tape, self.generator = tape, generator

    def random(self, size: Any, dtype: Any, out: Any) -> Any:
        """Write uniform numbers in [0, 1) to `out`."""
        draw = np.random.Generator.random
        return self.tape.make("random", draw, (self.generator, size, dtype), out)

    def __getattr__(self, name: str) -> Any:
        raise NotRepeatableError(f"generator.{name}")


def _holds_recorded(value: Any) -> bool:
    """Return whether an input, an index or an option has a recorded array in it."""
    if isinstance(value, (list, tuple)):
        return any(map(_holds_recorded, value))
    return isinstance(value, Recorded)


def twin(thing: Any, tape: Tape) -> Any:
    """Return a layer or loss on the same memory whose arrays are recorded."""
    double = object.__new__(type(thing))
    double.__dict__.update({name: tape.recorded(v) for name, v in vars(thing).copy().items()})
    return double
