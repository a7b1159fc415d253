"""Operations on rows (argmax and take), and random numbers."""

from __future__ import annotations

import math

from mlpgrad.training.compiled.operands import NotCoveredError, Operand, Operation, collapsed
from mlpgrad.training.compiled.values import Index, lanes_for
from mlpgrad.training.compiled.writing import Code

MOST_COLUMNS = 64
"""The widest row of an argmax, in which a row is one vector."""


def argmax(code: Code, operation: Operation) -> None:
    """Write the index of the largest number of each row; of any number if there is a NaN."""
    (x,), n = operation.reads, operation.reads[0].shape[-1]
    if x.kind[0] != "f" or n > MOST_COLUMNS or x.strides[-1] not in (0, x.size):
        raise NotCoveredError(f"argmax of {n} columns")
    lanes = max(2, lanes_for(n))
    rows, out = as_matrix(x), as_matrix(operation.write)

    def row(i: Index) -> None:
        value = code.load(code.at(rows, i), x.kind, lanes, n, x.size, rest=-math.inf)
        top = value.reduce("fmax", flags="nnan ").splat(lanes)
        bits = code.op(f"bitcast {value.compare('ueq', top)} to i{lanes}", "i8")
        if lanes < 64:
            bits = code.op(f"zext i{lanes} {bits.name} to i64", "i8")
        first = code.call("llvm.cttz.i64", bits, code.number(0, "b1"), kind="i8")
        code.store(code.at(out, i), first)

    code.each(rows.shape[0], row)


def take(code: Code, operation: Operation) -> None:
    """Write rows or columns of a table, taken by index and clipped to the valid range."""
    (table, places), out = operation.reads, operation.write
    if places.kind != "i8" or len(table.shape) != 2 or out.kind != table.kind:
        raise NotCoveredError("take of more than two axes")
    places, out = as_matrix(places), as_matrix(out)
    (count, width), wanted = table.shape, places.shape[0]
    if out.shape != (wanted, width):
        raise NotCoveredError("take into another shape")
    lanes = min(code.width // out.size, lanes_for(width))

    def line(i: Index) -> None:
        number = code.read(places, (i,)).call("smax", 0).call("smin", count - 1)
        source, target = code.part(table, number), code.part(out, i)

        def piece(start: Index, used: int) -> None:
            value = code.read(source, (0, start), lanes_for(used), used)
            code.store(code.at(target, 0, start), value, used, target.strides[1])

        code.strips(width, lanes, piece)

    code.each(wanted, line)


def random(code: Code, operation: Operation) -> None:
    """Uniform numbers in [0, 1) from NumPy's bit generator: `Generator.random`, bit for bit."""
    out = operation.write
    shift, factor = {"f4": (8, 2.0**-24), "f8": (11, 2.0**-53)}[out.kind]
    state, draw = (code.root(root) for root in operation.option)
    bits = "i" + out.kind[1]

    def one(i: Index) -> None:
        drawn = code.op(f"call i{8 * out.size} {draw.name}({state})", bits)
        value = drawn.write("lshr", shift).to(out.kind) * factor
        code.store(code.at(out, i), value)

    code.each(out.shape[0], one)


def as_matrix(operand: Operand) -> Operand:
    """Return an operand with its leading axes joined to one."""
    *lead, width = operand.shape
    axes = [(n, stride) for n, stride in zip(lead, operand.strides, strict=False) if n > 1]
    (count, step), *more = collapsed(axes or [(1, 0)])
    if more:
        raise NotCoveredError("rows with gaps")
    return operand._replace(shape=(count, width), strides=(step, operand.strides[-1]))
