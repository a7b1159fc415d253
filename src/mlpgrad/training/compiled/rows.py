"""Operations on rows: argmax and take; and random numbers."""

from __future__ import annotations

import itertools
import math

from mlpgrad.training.compiled.operands import NotCoveredError, Operand, Operation
from mlpgrad.training.compiled.writing import (
    ELEMENTS,
    SIZES,
    Code,
    Index,
    lanes_for,
    literal,
    splatted,
    vector_of,
)

MOST_COLUMNS = 64
"""The widest row of an argmax, in which a row is one vector."""


class Rows:
    """Write the code of operations on rows."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def argmax(self, operation: Operation) -> None:
        """Write the index of the largest number of each row; of any number if there is a NaN."""
        code, x, out = self.code, operation.reads[0], operation.write
        kind, n = x.kind, x.shape[-1]
        size, lanes = SIZES[kind], lanes_for(x.shape[-1])
        if kind not in ("f4", "f8") or n > MOST_COLUMNS or x.strides[-1] not in (0, size):
            raise NotCoveredError(f"argmax of {n} columns")
        step = _row_step(x)
        vector, element = vector_of(kind, lanes), ELEMENTS[kind]
        used = "<" + ", ".join(f"i1 {int(q < n)}" for q in range(lanes)) + ">"
        low = splatted(-math.inf, kind, lanes)

        def row(i: Index, _: object) -> None:
            at = code.pointer(x.root, x.offset, [(i, step)])
            value = code.load(at, kind, lanes, n, size)
            value = code.op(f"select <{lanes} x i1> {used}, {vector} {value}, {vector} {low}")
            reduce = f"llvm.vector.reduce.fmax.v{lanes}f{8 * size}"
            top = code.call(reduce, element, f"{vector} {value}", flags="nnan ")
            top = code.splat(top, kind, lanes)
            flags = code.op(f"fcmp ueq {vector} {value}, {top}")
            place = self._first(flags, lanes)
            target = code.pointer(out.root, out.offset, [(i, _row_step(out))])
            code.do(f"store i64 {place}, ptr {target}, align 8")

        code.loop(math.prod(x.shape[:-1]), row)

    def _first(self, flags: str, lanes: int) -> str:
        """Return the index of the first flag that is set."""
        code = self.code
        bits = code.op(f"bitcast <{lanes} x i1> {flags} to i{lanes}")
        if lanes < 64:
            bits = code.op(f"zext i{lanes} {bits} to i64")
        return code.call("llvm.cttz.i64", "i64", f"i64 {bits}", "i1 0")

    def take_rows(self, operation: Operation) -> None:
        """Write rows of a table, taken by index."""
        table, _ = operation.reads
        width = math.prod(table.shape[1:])
        if table.strides[1:] not in ((SIZES[table.kind],), (0,)) or len(table.shape) != 2:
            raise NotCoveredError("take of a table with gaps")
        self._taken(operation, table.shape[0], table.strides[0], width)

    def take_columns(self, operation: Operation) -> None:
        """Write columns of each row of a table, taken by index, one number at a time."""
        table, places = operation.reads
        out = operation.write
        if len(table.shape) != 2 or len(places.shape) != 1 or len(out.shape) != 2:
            raise NotCoveredError("take of more than two axes")
        code, element, size = self.code, ELEMENTS[table.kind], SIZES[table.kind]

        def row(i: Index, _: object) -> None:
            for q in range(places.shape[0]):
                at = code.pointer(places.root, places.offset, [(q, places.strides[0])])
                number = self._number(at, table.shape[1])
                pairs = [(i, table.strides[0]), (number, table.strides[1])]
                source = code.pointer(table.root, table.offset, pairs)
                value = code.op(f"load {element}, ptr {source}, align {size}")
                pairs = [(i, out.strides[0]), (q, out.strides[1])]
                target = code.pointer(out.root, out.offset, pairs)
                code.do(f"store {element} {value}, ptr {target}, align {size}")

        code.loop(table.shape[0], row)

    def _number(self, at: str, count: int) -> str:
        """Return a row index, clipped to the valid range."""
        number = self.code.op(f"load i64, ptr {at}, align 8")
        number = self.code.call("llvm.smax.i64", "i64", f"i64 {number}", "i64 0")
        return self.code.call("llvm.smin.i64", "i64", f"i64 {number}", f"i64 {count - 1}")

    def _taken(self, operation: Operation, count: int, step: int, width: int) -> None:
        """Copy `width` numbers for each index."""
        code, out = self.code, operation.write
        table, places = operation.reads
        kind, size = table.kind, SIZES[table.kind]
        total = math.prod(places.shape)
        if places.kind != "i8" or math.prod(out.shape) != total * width or out.kind != kind:
            raise NotCoveredError("take into another shape")
        steps = [s for s, n in zip(places.strides, places.shape, strict=True) if n > 1]
        lanes = min(code.width // size, lanes_for(width))

        def row(i: Index, _: object) -> None:
            at = code.pointer(places.root, places.offset, [(i, steps[0] if steps else 0)])
            number = self._number(at, count)
            source = code.pointer(table.root, table.offset, [(number, step)])
            target = code.pointer(out.root, out.offset, [(i, width * size)])
            for start in range(0, width, lanes):
                used = min(lanes, width - start)
                part = lanes_for(used)
                value = code.load(code.pointer(source, start * size), kind, part, used, size)
                code.store(code.pointer(target, start * size), value, kind, part, used, size)

        code.loop(total, row)

    def random(self, operation: Operation) -> None:
        """Uniform numbers in [0, 1) from NumPy's bit generator: `Generator.random`, bit for bit."""
        code, out = self.code, operation.write
        bits, shift, factor = ("i32", 8, 2.0**-24) if out.kind == "f4" else ("i64", 11, 2.0**-53)
        if out.kind not in ("f4", "f8"):
            raise NotCoveredError(f"random numbers of type {out.kind}")
        number, element = operation.option, ELEMENTS[out.kind]
        state = code.op(f"load ptr, ptr %state{number}")
        draw = code.op(f"load ptr, ptr %next{number}_{bits}")

        def one(i: Index, _: object) -> None:
            drawn = code.op(f"call {bits} {draw}(ptr {state})")
            high = code.op(f"lshr {bits} {drawn}, {shift}")
            value = code.op(f"uitofp {bits} {high} to {element}")
            value = code.op(f"fmul {element} {value}, {literal(factor, out.kind)}")
            at = code.pointer(out.root, out.offset, [(i, SIZES[out.kind])])
            code.do(f"store {element} {value}, ptr {at}, align {SIZES[out.kind]}")

        code.loop(math.prod(out.shape), one)


def _row_step(operand: Operand) -> int:
    """Bytes from one row to the next, through all axes but the last."""
    axes = zip(operand.strides[:-1], operand.shape[:-1], strict=True)
    steps = [(s, n) for s, n in axes if n > 1]
    for (outer, _), (inner, n) in itertools.pairwise(steps):
        if outer != inner * n:
            raise NotCoveredError("rows with gaps")
    return steps[-1][0] if steps else 0
