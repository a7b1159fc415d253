"""Groups of element-wise operations as loops over vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mlpgrad.training.compiled.functions import ARITHMETIC, FUNCTIONS
from mlpgrad.training.compiled.fusing import Group
from mlpgrad.training.compiled.operands import NotCoveredError, Operand, Operation, Place, collapsed
from mlpgrad.training.compiled.values import Index, Value, lanes_for, select
from mlpgrad.training.compiled.writing import Code

Accesses = Mapping[Place, Operand]

AT_ONCE = 8  # vectors of a short loop over outer axes, which is unrolled
SHARED = 1 << 16
"""Number of operations on elements from which several threads share a loop."""
TASK = 1 << 13
"""Number of elements in a task."""


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
        every = [(o, one.place(o)) for one in self.operations for o in (*one.reads, one.write)]
        last = {one.place(one.write): one for one in self.operations}
        operands = {key: operand for operand, key in every if operand.value is None}
        self.stored = {
            key: one for key, one in last.items() if any(map(one.write.overlaps, read_later))
        }
        exposed = set(group.exposed())
        used = {key for operand, key in every if operand in exposed} | set(self.stored)
        axes = zip(group.shape or (1,), *(key[2] or (0,) for key in operands), strict=True)
        (*self.outer, self.inner), *strides = zip(*collapsed(list(axes)), strict=True)
        pairs = zip(operands.items(), strides, strict=True)
        self.accesses = {
            key: operand._replace(strides=s) for (key, operand), s in pairs if key in used
        }
        widest = max(operand.size for operand, _ in every)
        elements = math.prod(group.shape)
        self.lanes = code.lanes(widest, elements)
        self.shared = code.shared and elements >= max(TASK, SHARED / len(self.operations))
        # of three square roots at once, one is computed beside the others
        roots = any(operation.kind == "sqrt" for operation in self.operations)
        self.together = 3 if roots and not self.shared else 1

    def write(self) -> None:
        """Write the loops, unless their results are never read."""
        if not self.stored:
            return
        if self.shared:
            self._share()
        else:
            self.code.nest(self.outer, self._row, AT_ONCE // -(-self.inner // self.lanes))

    def _share(self) -> None:
        """Write the loops as tasks: some passes of the outermost loop, or some elements."""
        code, (length, *inside) = self.code, (*self.outer, self.inner)
        tasks = -(-length * math.prod(inside) // TASK)
        size = max(1, length // tasks) if self.outer else TASK
        whole, rest = divmod(length, size)

        def part(first: Index, count: int) -> None:
            if self.outer:
                code.each(count, lambda i: code.nest(inside[:-1], self._row, 0, i), first)
            else:
                self._span(self.accesses, first, count)

        code.share(whole, lambda t: part(t * size, size))
        if rest:
            part(whole * size, rest)

    def _row(self, *indices: Index) -> None:
        """Write the loop over the innermost axis."""
        parts = {key: self.code.part(one, *indices) for key, one in self.accesses.items()}
        inner = {key: one._replace(strides=one.strides[-1:]) for key, one in parts.items()}
        self._span(inner, 0, self.inner)

    def _span(self, accesses: Accesses, first: Index, count: int) -> None:
        """Write the loop over a part of it: whole vectors, several at once, and the rest."""
        lanes, (whole, rest) = self.lanes, divmod(count, self.lanes)

        def some(i: Index, count: int) -> None:
            for k in range(count):
                self._body(accesses, first + (i + k) * lanes, lanes, lanes)

        self.code.strips(whole, self.together if whole > 4 else 4, some)
        if rest:
            self._body(accesses, first + whole * lanes, lanes_for(rest), rest)

    def _body(self, accesses: Accesses, at: Index, lanes: int, used: int) -> None:
        """Write all operations on some elements: read what is exposed, store what is read later."""
        values: dict[Place, Value] = {}

        def read(operand: Operand, key: Place) -> Value:
            """Return a constant, the result of an earlier operation, or a vector from memory."""
            if operand.value is not None:
                return self.code.read(operand, (), lanes)
            if key not in values:
                values[key] = self.code.read(accesses[key], (at,), lanes, used)
            return values[key]

        for operation in self.operations:
            args = [read(operand, operation.place(operand)) for operand in operation.reads]
            key = operation.place(operation.write)
            values[key] = applied(operation, args)
            if self.stored.get(key) is operation:
                access = accesses[key]
                if access.strides == (0,) and self.inner > 1:
                    raise NotCoveredError("a broadcast output")
                self.code.store(self.code.at(access, at), values[key], used, *access.strides)


def applied(operation: Operation, args: Sequence[Value]) -> Value:
    """Write the instructions of one operation on vectors."""
    name, out, kinds = operation.kind, operation.write.kind, [arg.kind for arg in args]
    if name == "copy":
        return args[0].to(out)
    if name == "masked":
        return select(args[0], args[1].to(out), args[2])
    kind = max((k for k in kinds if k[0] == "f"), default="")  # the wider, as in NumPy
    if {*kinds, out} == {"i8"} and name in ARITHMETIC:
        kind = "i8"
    if not kind or name not in FUNCTIONS:
        raise NotCoveredError(f"{name} of {kinds}")
    return FUNCTIONS[name](*(arg.to(kind) for arg in args)).to(out)
