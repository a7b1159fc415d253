"""The loop over batches: step, check of the loss, copy of the weights, update."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from mlpgrad.training.compiled.blocks import row_sums
from mlpgrad.training.compiled.operands import Operand, Operation, Tapes
from mlpgrad.training.compiled.values import Index, Value, select
from mlpgrad.training.compiled.writing import FIXED, Code
from mlpgrad.training.divergence import COPY_PERIOD, FAR_ABOVE, SMOOTHING

SIGNATURE = "void @train(ptr %rows, i64 %members, i64 %batches, i64 %before)"
ROW = ("table", "data", "order", "numbers", "losses", "sane", "copies")
"""The pointers of a member: to its table of pointers, the addresses of the data, the indices of the
rows of all batches (0: all batches have the rows of the call before), the scalars of each step, the
losses, the state of `keep`, and the addresses of the copies of the weights."""
SHARED = 1 << 16
"""Bytes of a batch from which several threads gather its rows."""


def write_train(code: Code, tapes: Tapes[Operation, Operand], processor: str) -> None:
    """Write `train`, which makes the steps of some members, one after the other.

    A member's steps end after the first loss that is not finite; its weights are then those with
    which that loss was computed. `before` is the number of earlier steps.
    """

    def member(m: Index) -> None:
        row = code.given("rows") + m * (8 * len(ROW))
        table = code.load(row, "p8")
        code.store(table + 8 * FIXED.index("row"), row)
        code.do(f"call void @epoch({table}, i64 %batches, i64 %before)")

    def train() -> None:
        with subnormal_as_zero(code, processor):
            code.each(code.given("members", "n8"), member)

    head = "internal void @keep(ptr %table, double %loss, ptr %sane, ptr %copies)"
    code.function(head, lambda: _keep(code, tapes), rare=True)
    head = "internal void @epoch(ptr %table, i64 %batches, i64 %before)"
    code.function(head, lambda: _epoch(code, tapes))
    code.function(SIGNATURE, train, rare=True)


def _epoch(code: Code, tapes: Tapes[Operation, Operand]) -> None:
    """Write the loop over the batches of one member."""
    before, batches = code.given("before", "n8"), code.given("batches", "n8")
    numbers, losses, sane, copies = _pointers(code, *ROW[3:])
    rows, count = tapes.data[0].shape[0], len(tapes.scalars)
    new = code.load(code.root("row") + 8 * ROW.index("order"), "n8").compare("ne", 0)

    def batch(b: Index) -> None:
        code.when(new, lambda: _gather(code, tapes, b * rows))
        code.do("call void @step(ptr %table)")
        loss = code.read(tapes.kept[0], ()).to("f8")
        code.store(losses + b * 8, loss)
        code.branch((loss * 0).compare("oeq", 0), "end")
        due = ((before + b) % COPY_PERIOD).compare("eq", 0)
        keep = f"call void @keep(ptr %table, {loss}, {sane}, {copies})"
        code.when(due, lambda: code.do(keep))
        for k, scalar in enumerate(tapes.scalars):
            number = code.load(numbers + (b * count + k) * scalar.size, scalar.kind)
            code.store(code.at(scalar), number)
        code.do("call void @update(ptr %table)")

    code.each(batches, batch)


def _gather(code: Code, tapes: Tapes[Operation, Operand], first: Index) -> None:
    """Write the copies of a batch's rows, given the first place in the order."""
    widths = [math.prod(buffer.shape[1:]) * buffer.size for buffer in tapes.data]
    rows = tapes.data[0].shape[0]

    def copy(at: Index) -> None:
        order, data = _pointers(code, "order", "data")
        r, number = at % rows, code.load(order + at * 8, "n8")
        for k, (buffer, width) in enumerate(zip(tapes.data, widths, strict=True)):
            source = code.load(data + 8 * k, "p8")
            code.copy(code.at(buffer) + r * width, source + number * width, width)

    each = code.share if code.tasks and rows * sum(widths) >= SHARED else code.each
    each(rows, copy, first)


def _pointers(code: Code, *names: str) -> list[Value]:
    """Return pointers of the member."""
    return [code.load(code.root("row") + 8 * ROW.index(name), "p8") for name in names]


def _keep(code: Code, tapes: Tapes[Operation, Operand]) -> None:
    """Write `LastSane.keep`: copy the weights if the loss and the gradient are sane.

    `sane` points to mean, lowest, bound and known.
    """
    loss, sane, copies = code.given("loss", "f8"), code.given("sane"), code.given("copies")
    grads, *weights = tapes.flats
    row = grads._replace(shape=(1, *grads.shape), strides=(0, grads.size))
    squares = code.room(grads.kind, 1, 1)

    def copy() -> None:
        for k, flat in enumerate(weights):
            target = code.load(copies + 8 * k, "p8")
            code.copy(target, code.at(flat), flat.shape[0] * flat.size)
        code.store(sane + 24, code.number(1, "f8"))

    row_sums(code, row, row, squares)
    finite = (code.read(squares, ()) * 0).compare("oeq", 0)
    mean, lowest, bound = (code.load(sane + 8 * k, "f8") for k in range(3))
    code.when(finite.write("and", loss.compare("ole", bound)), copy)
    mean = select(mean.compare("uno", mean), loss, mean + (loss - mean) * SMOOTHING)
    lowest = lowest.call("minnum", mean)
    bound = lowest + lowest.call("fabs") * FAR_ABOVE
    for k, value in enumerate((mean, lowest, bound)):
        code.store(sane + 8 * k, value)


@contextmanager
def subnormal_as_zero(code: Code, processor: str) -> Iterator[None]:
    """Treat subnormal numbers as 0 in the code that is written, and restore the mode afterwards.

    An operation on a subnormal number takes a hundred cycles.

    Parameters
    ----------
    processor : str
        x86, arm, or empty, which changes nothing.
    """
    if not processor:
        yield
        return
    x86, at = processor == "x86", code.op("alloca i32", "p8")
    if x86:
        code.run("llvm.x86.sse.stmxcsr", at)
        old = code.load(at, "i4")
    else:
        old = code.call("llvm.aarch64.get.fpcr", kind="i8")

    def assign(mode: Value) -> None:
        if x86:
            code.store(at, mode)
            code.run("llvm.x86.sse.ldmxcsr", at)
        else:
            code.run("llvm.aarch64.set.fpcr", mode)

    assign(old.write("or", 0x8040 if x86 else 1 << 24))
    yield
    assign(old)
