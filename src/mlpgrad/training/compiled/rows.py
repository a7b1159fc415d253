"""Operations on rows (argmax and take), and random numbers."""

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

    def take(self, operation: Operation) -> None:
        """Write rows or columns of a table, taken by index and clipped to the valid range."""
        code, axis, out = self.code, operation.option, operation.write
        table, places = operation.reads
        if places.kind != "i8" or len(table.shape) != 2 or out.kind != table.kind:
            raise NotCoveredError("take of more than two axes")
        (count, step), (width, stride) = _across(table, axis)
        (taken, out_step), (wide, out_stride) = _across(out, axis)
        if (taken, wide) != (math.prod(places.shape), width):
            raise NotCoveredError("take into another shape")
        gap = _row_step(places, 0)

        def line(i: Index, _: object) -> None:
            at = code.pointer(places.root, places.offset, [(i, gap)])
            number = code.op(f"load i64, ptr {at}, align 8")
            number = code.call("llvm.smax.i64", "i64", f"i64 {number}", "i64 0")
            number = code.call("llvm.smin.i64", "i64", f"i64 {number}", f"i64 {count - 1}")
            source = code.pointer(table.root, table.offset, [(number, step)])
            target = code.pointer(out.root, out.offset, [(i, out_step)])
            lanes = min(code.width // SIZES[out.kind], lanes_for(width))
            for start in range(0, width, lanes):
                used = min(lanes, width - start)
                shape = out.kind, lanes_for(used)
                value = code.load(code.pointer(source, start * stride), *shape, used, stride)
                code.store(
                    code.pointer(target, start * out_stride), value, *shape, used, out_stride
                )

        code.loop(math.prod(places.shape), line)

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


def _row_step(operand: Operand, inner: int = 1) -> int:
    """Return the bytes from one row to the next, through all axes but the `inner` last ones."""
    axes = list(zip(operand.strides, operand.shape, strict=True))
    steps = [(s, n) for s, n in axes[: len(axes) - inner] if n > 1]
    for (outer, _), (following, n) in itertools.pairwise(steps):
        if outer != following * n:
            raise NotCoveredError("rows with gaps")
    return steps[-1][0] if steps else 0


def _across(operand: Operand, axis: int) -> list[tuple[int, int]]:
    """Return count and stride of the rows (axis 0) or columns, and of the numbers in each."""
    rows = math.prod(operand.shape[:-1]), _row_step(operand)
    return [rows, (operand.shape[-1], operand.strides[-1])][:: 1 if axis == 0 else -1]
