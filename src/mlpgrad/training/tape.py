"""NumPy calls written down while they are made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.base import Layer

if TYPE_CHECKING:
    pass


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
            return twin(value, self)
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


def twin(thing: Any, tape: Tape) -> Any:
    """A layer or loss on the same memory, whose arrays are recorded."""
    double = object.__new__(type(thing))
    double.__dict__.update({name: tape.recorded(value) for name, value in vars(thing).items()})
    return double
