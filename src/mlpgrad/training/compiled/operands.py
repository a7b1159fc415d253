"""The tape as data: each call with the memory that it reads and writes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.training.compiled.norms import written_out
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
        The shape and the strides of the array; the stride of an axis of length 1 is 0.
    root : int or str
        The number of the buffer in `Roots`, or the name of another address in the code.
    offset, end : int
        The range of bytes in the buffer.
    value : number or None
        The number in a constant, which is a read-only array filled with one number.
    """

    kind: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
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

    def inserted(self, axis: int) -> Operand:
        """Return the same array with one more axis, of length 1."""
        shape, strides = list(self.shape), list(self.strides)
        shape.insert(axis, 1)
        strides.insert(axis, 0)
        return self._replace(shape=tuple(shape), strides=tuple(strides))

    def spread(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the strides in a loop over `shape`, with NumPy's broadcasting."""
        extra = len(shape) - len(self.shape)
        if any(n not in (1, m) for n, m in zip(self.shape, shape[extra:], strict=True)):
            raise NotCoveredError("a shape that cannot be broadcast")
        return (0,) * extra + self.strides

    def overlaps(self, other: Operand) -> bool:
        """Return whether the two may share a byte."""
        within = self.offset < other.end and other.offset < self.end
        return within and self.root == other.root  # a constant has no bytes


def address(array: Array) -> int:
    """Return the address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def addresses(array: Array, count: int, *, shared: bool = False) -> Array:
    """Return the addresses of the first `count` parts along axis 0, or of all that they share."""
    return address(array) + np.arange(count) * (0 if shared else array.strides[0])


class Roots:
    """The buffers in the order of their first use, as in the table of pointers.

    Attributes
    ----------
    entries : list
        Arrays, and pairs of a random generator and the name of one of its pointers.
    """

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number_of(self, key: Any, entry: Any) -> int:
        """Return the number of an entry, which is new if its key is."""
        if key not in self._numbers:
            self._numbers[key] = len(self.entries)
            self.entries.append(entry)
        return self._numbers[key]

    def operand(self, array: Array) -> Operand:
        """Return an array as an operand; its range must lie within its buffer."""
        kind = array.dtype.str[1:]
        if kind not in KINDS:
            raise NotCoveredError(f"numbers of type {array.dtype}")
        if not array.size or min(array.strides, default=0) < 0:
            raise NotCoveredError("an array that is empty or has negative strides")
        pairs = zip(array.shape, array.strides, strict=True)
        strides = tuple(0 if n == 1 else s for n, s in pairs)
        first = array.flat[0]
        # -0.0 equals 0.0 in comparisons of operands
        if not array.flags.writeable and str(first) != "-0.0" and (array == first).all():
            return Operand(kind, array.shape, strides, -1, value=first.item())
        owner = array
        # skips the recorded views of a buffer, which refuse attribute access
        while isinstance(base := object.__getattribute__(owner, "base"), np.ndarray):
            owner = base
        start, (low, high) = address(owner), np.lib.array_utils.byte_bounds(array)
        if low < start or high > start + owner.nbytes:
            raise NotCoveredError("an array outside its buffer")
        root = self.number_of(start, owner)
        return Operand(kind, array.shape, strides, root, low - start, high - start)

    def check_apart(self) -> None:
        """Raise NotCoveredError if two buffers share memory, since accesses might be reordered."""
        arrays = [entry for entry in self.entries if isinstance(entry, np.ndarray)]
        ranges = sorted((address(array), array.nbytes) for array in arrays)
        for (start, size), (following, _) in itertools.pairwise(ranges):
            if start + size > following:
                raise NotCoveredError("two buffers that share memory")


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

    def check_in_place(self) -> None:
        """Raise NotCoveredError if other parts of an input are overwritten: NumPy copies it."""
        for read in self.reads:
            same = self.elementwise and self.place(read) == self.place(self.write)
            if read.overlaps(self.write) and not same:
                raise NotCoveredError(f"{self.kind} into a part of what it reads")


class Tapes(NamedTuple, Generic[C, A]):
    """A step and an update to compile: calls and arrays, or operations and operands.

    Parameters
    ----------
    step, update : sequence of Call or Operation
    data : sequence
        The buffers of a batch: inputs, targets, and any weights.
    value
        The loss.
    scalars : sequence
        Arrays that get new values before each update.
    weights : sequence
        The flat parameters, and any statistics of layers.
    grads
        The flat gradient.
    kept : sequence
        Other arrays that are read after the step.
    """

    step: Sequence[C]
    update: Sequence[C]
    data: Sequence[A]
    value: A
    scalars: Sequence[A]
    weights: Sequence[A]
    grads: A
    kept: Sequence[A]


def described(tapes: Tapes[Call, Array], roots: Roots) -> Tapes[Operation, Operand]:
    """Return tapes as operations on parts of the buffers."""
    one = roots.operand
    value, grads = one(tapes.value), one(tapes.grads)
    lists = (tapes.data, tapes.scalars, tapes.weights, tapes.kept)
    data, scalars, weights, kept = (tuple(map(one, arrays)) for arrays in lists)
    step, update = (read(calls, roots) for calls in (tapes.step, tapes.update))
    roots.check_apart()
    return Tapes(step, update, data, value, scalars, weights, grads, kept)


def read(calls: Sequence[Call], roots: Roots) -> tuple[Operation, ...]:
    """Return the calls of a tape as operations."""
    reader = Reader(roots)
    operations = tuple(reader.read(call) for call in written_out(calls))
    for operation in operations:
        operation.check_in_place()
    return operations


class Reader:
    """Convert recorded calls to operations; raise NotCoveredError for an unsupported call."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots

    def read(self, call: Call) -> Operation:
        """Return the operation of a call."""
        reader = getattr(self, f"_{call.name.replace('.', '_').strip('_')}", None)
        if reader is not None:
            return reader(call)  # type: ignore[no-any-return]
        if not isinstance(call.function, np.ufunc) or call.options:
            raise NotCoveredError(f"{call.name} {call.options or ''}".strip())
        return self._made(call, *call.inputs, elementwise=True)

    def _made(self, call: Call, *reads: Any, **options: Any) -> Operation:
        """Return an operation that reads some of the inputs."""
        dtypes = (a.dtype for a in reads if isinstance(a, np.ndarray) and a.dtype != bool)
        dtype = next(dtypes, None)
        operands = tuple(self._one(a, dtype) for a in reads)
        output = call.inputs[0] if call.output is None else call.output
        return Operation(call.name, operands, self._one(output), **options)

    def _one(self, value: Any, dtype: Any = None) -> Operand:
        """Return an operand; a number becomes a constant."""
        if not isinstance(value, np.ndarray):
            value = np.array(value, dtype)
            value.flags.writeable = False
        return self.roots.operand(value)

    def _copy(self, target: Array, source: Any, mask: Any = None) -> Operation:
        value, write = self._one(source, target.dtype), self._one(target)
        if mask is None or mask is True:
            return Operation("copy", (value,), write, elementwise=True)
        return Operation("masked", (self._one(mask), value, write), write, elementwise=True)

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
        return self._made(call, *call.inputs)

    _matmul = _vecdot = _dot

    def _add_reduce(self, call: Call) -> Operation:
        """Return a sum as a product with ones."""
        (x,), out = call.inputs, call.output
        axis, dtype = call.options.get("axis"), call.options.get("dtype")
        axis = 0 if axis is None and x.ndim == 1 else axis
        if axis not in (-1, -2, x.ndim - 1) or dtype not in (None, x.dtype) or out is None:
            raise NotCoveredError(f"add.reduce {call.options}")
        last = axis in (-1, x.ndim - 1)
        if call.options.get("keepdims"):
            out = out[..., 0] if last else out[..., 0, :]
        ones = np.ones(x.shape[axis], x.dtype)
        ones.flags.writeable = False
        factors = (x, ones) if last else (ones, x)
        return self._made(call._replace(name="dot", output=out), *factors)

    def _argmax(self, call: Call) -> Operation:
        x, axis = call.inputs
        if axis not in (-1, x.ndim - 1) or not call.options.get("keepdims"):
            raise NotCoveredError(f"argmax along axis {axis}")
        return self._made(call, x)

    def _take(self, call: Call) -> Operation:
        table, places, axis, mode = call.inputs
        if axis is None and table.flags.c_contiguous:  # by indices into the flattened array
            table, axis = table.reshape(-1, 1), 0
        if mode != "clip" or axis not in (0, -1):
            raise NotCoveredError(f"take along axis {axis}")
        return self._made(call, table, places, option=axis)

    def _random(self, call: Call) -> Operation:
        generator, size, _ = call.inputs
        if size is not None or call.output is None or not call.output.flags.c_contiguous:
            raise NotCoveredError("random numbers with a size")
        number = "next_uint32" if call.output.dtype == np.float32 else "next_uint64"
        keys = [(generator, name) for name in ("state_address", number)]
        return self._made(call, option=tuple(self.roots.number_of(key, key) for key in keys))
