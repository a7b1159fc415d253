"""The tape as data: each call with the memory that it reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.training.compiled.norms import written_out
from mlpgrad.training.tape import Call

ELEMENTWISE = {"add", "subtract", "multiply", "divide", "negative", "sqrt", "reciprocal", "rint"}
ELEMENTWISE |= {"square", "maximum", "minimum", "absolute", "fabs", "copysign", "sign"}
ELEMENTWISE |= {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}
ELEMENTWISE |= {"copy", "masked"}
FUNCTION = {"exp", "expm1", "log", "log1p", "ndtr", "tanh"}
ELEMENTWISE |= FUNCTION

KINDS = ("f4", "f8", "i8", "b1")
"""The types of numbers that can be read: float32, float64, int64 and bool."""


Place = tuple[int, tuple[int, ...]]
"""An address, and the strides of the axes that are longer than 1."""


class NotCoveredError(Exception):
    """The call cannot be compiled, so the step is made by NumPy."""


class Operand:
    """An array of the tape: a part of one of the buffers, or a constant.

    Attributes
    ----------
    shape, strides
        The shape and the strides of the array; the stride of an axis of length 1 is 0.
    kind : str
        One of KINDS.
    value : number or None
        The number in a constant, which is a read-only array filled with one number.
    root, offset : int
        The number of the buffer in `Roots`, and the offset in bytes.
    low, high : int
        The range of addresses.
    """

    def __init__(self, array: Array, roots: Roots) -> None:
        self.shape = array.shape
        self.kind = array.dtype.str[1:]
        if self.kind not in KINDS:
            raise NotCoveredError(f"numbers of type {array.dtype}")
        if not array.size or min(array.strides, default=0) < 0:
            raise NotCoveredError("an array that is empty or has negative strides")
        pairs = zip(array.shape, array.strides, strict=True)
        self.strides = tuple(0 if n == 1 else s for n, s in pairs)
        self.itemsize = array.itemsize
        self.low, self.high = np.lib.array_utils.byte_bounds(array)
        self.value: Any = None
        self.root: int | str = -1
        self.offset = 0
        if not array.flags.writeable and (array == array.flat[0]).all():
            self.value = array.flat[0].item()
        else:
            self.root, self.offset = roots.place_of(array)

    def spread(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the strides in a loop over `shape`, with NumPy's broadcasting."""
        extra = len(shape) - len(self.shape)
        if any(n not in (1, m) for n, m in zip(self.shape, shape[extra:], strict=True)):
            raise NotCoveredError("a shape that cannot be broadcast")
        own = [0] * extra + list(self.strides)
        return tuple(0 if m == 1 else s for s, m in zip(own, shape, strict=True))

    def overlaps(self, other: Operand) -> bool:
        """Return whether the two may share a byte."""
        constant = self.value is not None or other.value is not None
        return not constant and self.low < other.high and other.low < self.high


def address(array: Array) -> int:
    """Return the address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def addresses(array: Array, count: int, *, shared: bool = False) -> Array:
    """Return the addresses of the first `count` parts along axis 0, or of all that they share."""
    return address(array) + np.arange(count) * (0 if shared else array.strides[0])


class Roots:
    """The buffers in the order of their first use, as in the table of pointers."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self.generators: list[np.random.Generator] = []
        self._numbers: dict[int, int] = {}

    def place_of(self, array: Array) -> tuple[int, int]:
        """Return the number of the buffer that an array belongs to, and its offset in bytes."""
        owner = array
        # skips the recorded views of a buffer, which refuse attribute access
        while isinstance(base := object.__getattribute__(owner, "base"), np.ndarray):
            owner = base
        start = address(owner)
        if start not in self._numbers:
            self._numbers[start] = len(self.arrays)
            self.arrays.append(owner)
        offset = address(array) - start
        if offset < 0 or np.lib.array_utils.byte_bounds(array)[1] > start + owner.nbytes:
            raise NotCoveredError("an array outside its buffer")
        return self._numbers[start], offset

    def number_of(self, generator: np.random.Generator) -> int:
        """Return the number of a random generator."""
        if generator not in self.generators:
            self.generators.append(generator)
        return self.generators.index(generator)


def place(operand: Operand, operation: Operation) -> Place:
    """Return a key for the positions of the elements in an operation's loop."""
    shape = operation.write.shape
    strides = operand.spread(shape)
    first = operand.low if operand.value is None else -1
    return first, tuple(s for s, n in zip(strides, shape, strict=True) if n != 1)


class Operation(NamedTuple):
    """One call: its kind, the operands that it reads, and the one that it writes."""

    kind: str
    reads: list[Operand]
    write: Operand
    option: Any = None

    @property
    def elementwise(self) -> bool:
        return self.kind in ELEMENTWISE


def read(calls: Sequence[Call], roots: Roots) -> list[Operation]:
    """Return the calls of a tape as operations."""
    operations = [Reader(roots).read(call) for call in written_out(calls)]
    for operation in operations:
        _check_in_place(operation)
    return operations


def _check_in_place(operation: Operation) -> None:
    """Raise NotCoveredError for a call that overwrites other parts of its input: NumPy copies."""
    write = operation.write
    for operand in operation.reads:
        if operand.overlaps(write) and not (operation.elementwise and _same(operand, operation)):
            raise NotCoveredError(f"{operation.kind} into a part of what it reads")


def _same(operand: Operand, operation: Operation) -> bool:
    return place(operand, operation) == place(operation.write, operation)


class Reader:
    """Convert recorded calls to operations; raise NotCoveredError for an unsupported call."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots

    def read(self, call: Call) -> Operation:
        """Return the operation of a call."""
        name = call.name.replace(".", "_").strip("_")
        reader = getattr(self, f"_{name}", None)
        if reader is not None:
            return reader(call)  # type: ignore[no-any-return]
        if name not in ELEMENTWISE or call.options:
            raise NotCoveredError(f"{call.name} {call.options or ''}".strip())
        first = next(a.dtype for a in call.inputs if isinstance(a, np.ndarray) and a.dtype != bool)
        return Operation(name, [self._one(a, first) for a in call.inputs], self._out(call))

    def _one(self, value: Any, dtype: Any = None) -> Operand:
        """Return an operand; a number becomes a constant."""
        if not isinstance(value, np.ndarray):
            value = np.array(value, dtype)
            value.flags.writeable = False
        return Operand(value, self.roots)

    def _out(self, call: Call) -> Operand:
        output = call.inputs[0] if call.output is None else call.output
        return Operand(output, self.roots)

    def _copy(self, target: Array, source: Any, mask: Any = None) -> Operation:
        value, write = self._one(source, target.dtype), self._one(target)
        if mask is None or mask is True:
            return Operation("copy", [value], write)
        return Operation("masked", [self._one(mask), value, write], write)

    def _copyto(self, call: Call) -> Operation:
        target, source, *rest = call.inputs  # (casting, where) follow
        return self._copy(target, source, rest[1] if len(rest) > 1 else None)

    def _setitem(self, call: Call) -> Operation:
        target, key, value = call.inputs
        part = target[key]
        if not isinstance(part, np.ndarray) or not np.may_share_memory(part, target):
            raise NotCoveredError(f"an assignment to {key!r}")
        return self._copy(part, value)

    def _fill(self, call: Call) -> Operation:
        return self._copy(*call.inputs)

    def _dot(self, call: Call) -> Operation:
        return Operation(call.name, [self._one(a) for a in call.inputs], self._out(call))

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
        return Operation("dot", [self._one(factor) for factor in factors], self._one(out))

    def _argmax(self, call: Call) -> Operation:
        x, axis = call.inputs
        if axis not in (-1, x.ndim - 1) or not call.options.get("keepdims"):
            raise NotCoveredError(f"argmax along axis {axis}")
        return Operation("argmax", [self._one(x)], self._out(call))

    def _take(self, call: Call) -> Operation:
        table, places, axis, mode = call.inputs
        if axis is None and table.flags.c_contiguous:  # by indices into the flattened array
            table, axis = table.reshape(-1, 1), 0
        if mode != "clip" or axis not in (0, -1):
            raise NotCoveredError(f"take along axis {axis}")
        return Operation("take", [self._one(table), self._one(places)], self._out(call), axis)

    def _random(self, call: Call) -> Operation:
        generator, size, _ = call.inputs
        if size is not None or call.output is None or not call.output.flags.c_contiguous:
            raise NotCoveredError("random numbers with a size")
        number = self.roots.number_of(generator)
        return Operation("random", [], self._out(call), number)
