"""The tape as data: each call with the memory that it reads and writes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.memory import address, owner
from mlpgrad.training.tape import Call

C = TypeVar("C")
A = TypeVar("A")

KINDS = ("f4", "f8", "i8", "b1")
"""The types of numbers that can be read: float32, float64, int64 and bool."""

Place = tuple[int | str, int, tuple[int, ...]]
"""A buffer, an offset, and the strides of the axes that are longer than 1."""


class NotCoveredError(Exception):
    """The call cannot be compiled, so the step is made by NumPy."""


class Operand(NamedTuple):
    """An array of the tape: a part of one of the buffers, or a constant.

    Attributes
    ----------
    kind : str
        One of KINDS; its digit is the size of a number.
    shape, strides
        The shape and the strides of the array; the stride of an axis of length 1 is 0. The strides
        of a parameter of a function may be values in the code.
    root : int or str
        The number of the buffer in `Reader.entries`, or the name of another address in the code.
    offset, end : int
        The range of bytes in the buffer.
    value : number or None
        The number in a constant, which is a read-only array filled with one number.
    """

    kind: str
    shape: tuple[int, ...]
    strides: tuple[Any, ...]
    root: int | str
    offset: int = 0
    end: int = 0
    value: Any = None

    @property
    def size(self) -> int:
        return int(self.kind[1])

    @property
    def T(self) -> Operand:  # noqa: N802  # NumPy's name
        return self._replace(shape=self.shape[::-1], strides=self.strides[::-1])

    def spread(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the strides in a loop over `shape`, to which NumPy has broadcast this one."""
        extra = len(shape) - len(self.shape)  # an assignment leaves out leading axes of length 1
        return (0,) * extra + self.strides[max(0, -extra) :]

    def overlaps(self, other: Operand) -> bool:
        """Return whether the two may share a byte."""
        within = self.offset < other.end and other.offset < self.end
        return within and self.root == other.root  # a constant has no bytes


def collapsed(axes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Merge neighbouring axes that are contiguous in all operands.

    An axis is given by its length and its stride in each operand.
    """
    merged = list(axes[-1:])
    for length, *strides in reversed(axes[:-1]):
        inner, *inside = merged[0]
        if strides == [stride * inner for stride in inside]:
            merged[0] = (length * inner, *inside)
        else:
            merged.insert(0, (length, *strides))
    return merged


class Operation(NamedTuple):
    """One call: its kind, the operands that it reads, and the one that it writes."""

    kind: str
    reads: tuple[Operand, ...]
    write: Operand
    option: Any = None
    elementwise: bool = False

    def place(self, operand: Operand) -> Place:
        """Return a key for the positions of an operand's elements in the operation's loop."""
        shape = self.write.shape
        strides = zip(operand.spread(shape), shape, strict=True)
        return operand.root, operand.offset, tuple(s for s, n in strides if n != 1)


class Tapes(NamedTuple, Generic[C, A]):
    """A step and an update to compile: calls and arrays, or operations and operands.

    Parameters
    ----------
    step, update : sequence of Call or Operation
    data : sequence
        The buffers of a batch: inputs, targets, and any weights.
    scalars : sequence
        Arrays that get new values before each update.
    flats : sequence
        The flat gradient, the flat parameters, and any statistics of layers.
    kept : sequence
        The loss, and other arrays that are read after the step.
    """

    step: Sequence[C]
    update: Sequence[C]
    data: Sequence[A]
    scalars: Sequence[A]
    flats: Sequence[A]
    kept: Sequence[A]


class Reader:
    """Convert arrays to operands, and calls to operations; raise NotCoveredError if it cannot.

    Attributes
    ----------
    entries : list
        What the pointers of the table point to, in the order of the first use: pairs of a buffer
        and an empty text, or of a random generator and the name of one of its pointers.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[Any, str]] = []
        self._numbers: dict[Any, int] = {}

    def read(self, tapes: Tapes[Call, Array]) -> Tapes[Operation, Operand]:
        """Return tapes as operations on parts of the buffers."""
        data, scalars, flats, kept = (tuple(map(self.operand, arrays)) for arrays in tapes[2:])
        step, update = (tuple(map(self._operation, calls)) for calls in tapes[:2])
        buffers = [thing for thing, name in self.entries if not name]
        ranges = sorted((address(buffer), buffer.nbytes) for buffer in buffers)
        for (start, size), (following, _) in itertools.pairwise(ranges):
            if start + size > following:  # accesses might be reordered
                raise NotCoveredError("two buffers that share memory")
        return Tapes(step, update, data, scalars, flats, kept)

    # arrays

    def operand(self, array: Any, dtype: Any = None) -> Operand:
        """Return an array, whose range must lie within its buffer, or a number of some type."""
        if not isinstance(array, np.ndarray):
            array = np.array(array, dtype)
            array.flags.writeable = False
        kind, first = array.dtype.str[1:], array.flat[:1]
        if kind not in KINDS:
            raise NotCoveredError(f"numbers of type {array.dtype}")
        if not array.size or min(array.strides, default=0) < 0:
            raise NotCoveredError("an array that is empty or has negative strides")
        pairs = zip(array.shape, array.strides, strict=True)
        strides = tuple(0 if n == 1 else s for n, s in pairs)
        # -0.0 equals 0.0 in comparisons of operands
        if not array.flags.writeable and str(first[0]) != "-0.0" and (array == first).all():
            return Operand(kind, array.shape, strides, -1, value=first[0].item())
        buffer = owner(array)
        start, (low, high) = address(buffer), np.lib.array_utils.byte_bounds(array)
        root = self._number_of(start, buffer)
        if low < start or high > start + self.entries[root][0].nbytes:
            raise NotCoveredError("an array outside its buffer")
        return Operand(kind, array.shape, strides, root, low - start, high - start)

    def _number_of(self, key: Any, thing: Any, name: str = "") -> int:
        """Return the number of an entry, which is new if its key is."""
        if key not in self._numbers:
            self._numbers[key] = len(self.entries)
            self.entries.append((thing, name))
        return self._numbers[key]

    # calls

    def _operation(self, call: Call) -> Operation:
        """Return the operation of a call."""
        reader = getattr(self, f"_{call.name.replace('.', '_').strip('_')}", None)
        if reader is not None:
            made: Operation = reader(call)
        elif isinstance(call.function, np.ufunc) and not call.options:
            made = self._made(call, *call.inputs, elementwise=call.name != "matmul")
        else:
            raise NotCoveredError(f"{call.name} {call.options or ''}".strip())
        for read in made.reads:  # NumPy copies an input if other parts of it are overwritten
            same = made.elementwise and made.place(read) == made.place(made.write)
            if read.overlaps(made.write) and not same:
                raise NotCoveredError(f"{made.kind} into a part of what it reads")
        return made

    def _made(self, call: Call, *reads: Any, **options: Any) -> Operation:
        """Return an operation that reads some of the inputs."""
        dtypes = (a.dtype for a in reads if isinstance(a, np.ndarray) and a.dtype != bool)
        dtype = next(dtypes, None)
        output = call.inputs[0] if call.output is None else call.output
        operands = tuple(self.operand(array, dtype) for array in reads)
        return Operation(call.name, operands, self.operand(output), **options)

    def _copy(self, target: Array, source: Any, mask: Any = None) -> Operation:
        value, write = self.operand(source, target.dtype), self.operand(target)
        if mask is None or mask is True:
            return Operation("copy", (value,), write, elementwise=True)
        return Operation("masked", (self.operand(mask), value, write), write, elementwise=True)

    def _copyto(self, call: Call) -> Operation:
        target, source, *rest = call.inputs  # (casting, where) follow
        return self._copy(target, source, *rest[1:])

    def _setitem(self, call: Call) -> Operation:
        target, key, value = call.inputs
        part = target[key]
        if not isinstance(part, np.ndarray) or not np.may_share_memory(part, target):
            raise NotCoveredError(f"an assignment to {key!r}")
        return self._copy(part, value)

    def _fill(self, call: Call) -> Operation:
        return self._copy(*call.inputs)

    def _dot(self, call: Call) -> Operation:
        """Return a product of matrices, which vectors are seen as."""
        a, b, out = *map(np.asarray, call.inputs), call.output
        if max(a.ndim, b.ndim) > 2 or out is None:
            raise NotCoveredError("dot of more than two axes")
        if a.ndim == 1:
            a, out = a[None], out[None]
        if b.ndim == 1:
            b, out = b[:, None], out[..., None]
        return self._made(call._replace(name="matmul", output=out), a, b)

    def _vecdot(self, call: Call) -> Operation:
        arrays: list[Any] = [*map(np.asarray, call.inputs), call.output]
        a, b, out = (array[None] if arrays[0].ndim == 1 else array for array in arrays)
        return self._made(call._replace(output=out), a, b)

    def _add_reduce(self, call: Call) -> Operation:
        """Return a sum as a product with ones."""
        (x,), out = call.inputs, call.output
        axis, dtype = call.options.get("axis"), call.options.get("dtype")
        last = axis in (-1, x.ndim - 1) or (axis is None and x.ndim == 1)
        if not (last or axis == -2) or dtype not in (None, x.dtype) or out is None:
            raise NotCoveredError(f"add.reduce {call.options}")
        if call.options.get("keepdims"):
            out = out[..., 0] if last else out[..., 0, :]
        ones = np.ones(x.shape[-1 if last else -2], x.dtype)
        ones.flags.writeable = False
        factors = (x, ones) if last else (ones, x)
        return self._dot(call._replace(inputs=factors, output=out))

    def _argmax(self, call: Call) -> Operation:
        x, axis = call.inputs
        if axis not in (-1, x.ndim - 1) or not call.options.get("keepdims"):
            raise NotCoveredError(f"argmax along axis {axis}")
        return self._made(call, x)

    def _take(self, call: Call) -> Operation:
        table, places, axis, mode = call.inputs
        if axis is None and table.flags.c_contiguous:  # by indices into the flattened array
            table, axis = table.reshape(-1, 1), 0
        if mode != "clip" or axis not in (0, -1) or call.output is None:
            raise NotCoveredError(f"take along axis {axis}")
        out = call.output
        if axis == -1:  # columns
            table, out = table.T, out.T
        return self._made(call._replace(output=out), table, np.asarray(places)[..., None])

    def _random(self, call: Call) -> Operation:
        (generator, size, _), out = call.inputs, call.output
        if size is not None or out is None or not out.flags.c_contiguous:
            raise NotCoveredError("random numbers with a size")
        if not hasattr(generator.bit_generator, "ctypes"):
            raise NotCoveredError("a bit generator without pointers")
        names = "state_address", f"next_uint{8 * out.itemsize}"
        roots = tuple(self._number_of((generator, name), generator, name) for name in names)
        return self._made(call._replace(output=out.reshape(-1)), option=roots)
