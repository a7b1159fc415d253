"""Groups of element-wise operations as loops over vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlpgrad.training.compiled.functions import COMPARISONS, Functions
from mlpgrad.training.compiled.fusing import Group
from mlpgrad.training.compiled.operands import (
    FUNCTION,
    NotCoveredError,
    Operand,
    Operation,
    Place,
    place,
)
from mlpgrad.training.compiled.writing import Code, Index, lanes_for, splatted, vector_of

AT_ONCE = 8  # vectors of a short loop over outer axes, which is unrolled

INTEGER = {"add": "add", "subtract": "sub", "multiply": "mul"}
"""LLVM's instructions for integers."""


class Lanes(NamedTuple):
    """The elements that one pass of the body handles: `used` of `lanes`, starting at `start`."""

    indices: Sequence[Index]
    start: Index
    lanes: int
    used: int


class Elementwise:
    """The code of a group of operations.

    Parameters
    ----------
    code : Code
    group : Group
    read_later : sequence of Operand
        Operands that are read from memory later; only these are stored.
    """

    def __init__(self, code: Code, group: Group, read_later: Sequence[Operand]) -> None:
        self.code, self.operations = code, group.operations
        self.accesses: dict[Place, Operand] = {}
        self.last_write: dict[Place, int] = {}
        for number, operation in enumerate(self.operations):
            for operand in (*operation.reads, operation.write):
                if operand.value is None:
                    self.accesses[place(operand, operation)] = operand
            self.last_write[place(operation.write, operation)] = number
        self.stored = {
            key for key in self.last_write if any(map(self.accesses[key].overlaps, read_later))
        }
        strides = {key: key[1] or (0,) for key in self.accesses}
        (*self.outer, self.inner), self.strides = collapsed(group.shape or (1,), strides)
        operands = [o for one in self.operations for o in (*one.reads, one.write)]
        widest = max(o.itemsize for o in operands if o.kind != "b1")
        self.lanes = code.lanes(widest, math.prod(group.shape))

    def write(self) -> None:
        """Write the loops, unless their results are never read."""
        if self.stored:
            self._axis(0, [])

    def _axis(self, depth: int, indices: list[Index]) -> None:
        """Write the loop over an outer axis, and those inside it."""
        if depth == len(self.outer):
            self._row(indices)
            return
        vectors = math.prod(self.outer[depth:]) * -(-self.inner // self.lanes)
        if vectors <= AT_ONCE:
            for i in range(self.outer[depth]):
                self._axis(depth + 1, [*indices, i])
            return
        self.code.loop(self.outer[depth], lambda i, _: self._axis(depth + 1, [*indices, i]))

    def _row(self, indices: list[Index]) -> None:
        """Write the loop over the innermost axis: whole vectors, several at once, and the rest."""
        lanes, (whole, rest) = self.lanes, divmod(self.inner, self.lanes)
        heavy = any(operation.kind in FUNCTION for operation in self.operations)
        together = 1 if heavy else max(1, min(4, 12 // len(self.operations)))
        first = 0
        if whole > 4:
            first = whole // together * together

            def some(i: Index, _: object) -> None:
                for k in range(together):
                    at = self.code.plus(self.code.times(i, lanes * together), k * lanes)
                    self._body(Lanes(indices, at, lanes, lanes))

            self.code.loop(whole // together, some)
        for k in range(first, whole):
            self._body(Lanes(indices, k * lanes, lanes, lanes))
        if rest:
            self._body(Lanes(indices, whole * lanes, lanes_for(rest), rest))

    def _body(self, at: Lanes) -> None:
        """Write all operations on some elements: read what is exposed, store what is read later."""
        values: dict[Place, str] = {}
        for number, operation in enumerate(self.operations):
            args = [self._read(r, operation, values, at) for r in operation.reads]
            key = place(operation.write, operation)
            values[key] = self._apply(operation, args, at.lanes)
            if key in self.stored and self.last_write[key] == number:
                self._store(key, values[key], at)

    def _pointer(self, key: Place, at: Lanes) -> str:
        operand, strides = self.accesses[key], self.strides[key]
        pairs = [*zip(at.indices, strides[:-1], strict=True), (at.start, strides[-1])]
        return self.code.pointer(operand.root, operand.offset, pairs)

    def _read(
        self, operand: Operand, operation: Operation, values: dict[Place, str], at: Lanes
    ) -> str:
        """Return a vector: a constant, the result of an earlier operation, or one from memory."""
        kind = operand.kind
        if operand.value is not None:
            if kind == "b1":
                flag = f"i1 {int(operand.value)}"
                return "<" + ", ".join([flag] * at.lanes) + ">"
            return splatted(operand.value, kind, at.lanes)
        key = place(operand, operation)
        if key not in values:
            stride = self.strides[key][-1]
            value = self.code.load(self._pointer(key, at), kind, at.lanes, at.used, stride)
            if kind == "b1":
                value = self.code.op(f"icmp ne <{at.lanes} x i8> {value}, zeroinitializer")
            values[key] = value
        return values[key]

    def _store(self, key: Place, value: str, at: Lanes) -> None:
        kind, stride = self.accesses[key].kind, self.strides[key][-1]
        if kind == "b1":
            value = self.code.op(f"zext <{at.lanes} x i1> {value} to <{at.lanes} x i8>")
        if stride == 0 and self.inner > 1:
            raise NotCoveredError("a broadcast output")
        self.code.store(self._pointer(key, at), value, kind, at.lanes, at.used, stride)

    def _apply(self, operation: Operation, args: list[str], lanes: int) -> str:
        """Write the instruction of one operation on vectors."""
        kinds = [read.kind for read in operation.reads]
        out = operation.write.kind
        if operation.kind == "copy":
            return self._converted(args[0], kinds[0], out, lanes)
        if operation.kind == "masked":
            mask, value, before = args
            value = self._converted(value, kinds[1], out, lanes)
            return Functions(self.code, out, lanes).select(mask, value, before)
        kind = max((k for k in kinds if k in ("f4", "f8")), default="")  # the wider, as in NumPy
        if {*kinds, out} == {"i8"} and operation.kind in INTEGER:
            vector = vector_of("i8", lanes)
            return self.code.op(f"{INTEGER[operation.kind]} {vector} {args[0]}, {args[1]}")
        if not kind:
            raise NotCoveredError(f"{operation.kind} of {kinds}")
        args = [self._converted(a, k, kind, lanes) for a, k in zip(args, kinds, strict=True)]
        value = Functions(self.code, kind, lanes).apply(operation.kind, *args)
        if operation.kind in COMPARISONS:
            return value if out == "b1" else self._converted(value, "b1", out, lanes)
        return self._converted(value, kind, out, lanes)

    def _converted(self, value: str, kind: str, out: str, lanes: int) -> str:
        """Convert numbers of one type to another."""
        if kind == out:
            return value
        if kind in ("f4", "f8") and out in ("f4", "f8"):
            types = vector_of(kind, lanes), vector_of(out, lanes)
            name = "fpext" if out == "f8" else "fptrunc"
            return self.code.op(f"{name} {types[0]} {value} to {types[1]}")
        if out not in ("f4", "f8"):
            raise NotCoveredError(f"{kind} to {out}")
        if kind == "b1":
            one, zero = (splatted(number, out, lanes) for number in (1, 0))
            return Functions(self.code, out, lanes).select(value, one, zero)
        return self.code.op(f"sitofp <{lanes} x i64> {value} to {vector_of(out, lanes)}")


def collapsed(
    shape: Sequence[int], strides: Mapping[Place, Sequence[int]]
) -> tuple[list[int], dict[Place, list[int]]]:
    """Merge neighbouring axes that are contiguous in all operands."""
    dims = [shape[-1]]
    fewer = {key: [per[-1]] for key, per in strides.items()}
    for axis in range(len(shape) - 2, -1, -1):
        if all(per[axis] == fewer[key][0] * dims[0] for key, per in strides.items()):
            dims[0] *= shape[axis]
            continue
        dims.insert(0, shape[axis])
        for key, per in strides.items():
            fewer[key].insert(0, per[axis])
    return dims, fewer
