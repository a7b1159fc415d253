"""Large matrix products: both factors in packed blocks, and tasks for several threads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from mlpgrad._core.memory import LINE
from mlpgrad.training.compiled.blocks import SIDE, Blocks, transpose
from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.values import Index, Value, select
from mlpgrad.training.compiled.writing import Code

DEPTH = 512
"""About the most rows of a packed block, so that it stays in the second-level cache."""
MOST_CHUNKS = 64
"""The most chunks of k, so that the last one is not much shorter than the others."""
VECTORS = 2
"""Vectors in a row of a block of b."""


class Part(NamedTuple):
    """Some columns of a factor: those of a packed block."""

    first: Index
    columns: int
    seen: Index
    """How many of the first columns the part before has, too."""


class Factor:
    """A factor, packed into blocks of some rows of a, or of some columns of b.

    Parameters
    ----------
    matrix : Operand (k, length)
        b, or a transposed.
    width : int
        The columns of a block.
    depth : int
        The rows of a block.
    lanes : int
        Numbers in a vector; a row of a block begins with a vector.
    """

    def __init__(self, matrix: Operand, width: int, depth: int, lanes: int) -> None:
        self.matrix, self.width = matrix, width
        self.length, size = matrix.shape[1], matrix.size
        self.blocks = -(-self.length // width)
        row = -(-width // lanes) * lanes * size
        self.bytes = depth * row
        self.packed = Operand(matrix.kind, (depth, width), (row, size), "scratch")

    def block(self, code: Code, number: Index) -> Operand:
        """Return a packed block."""
        return self.packed._replace(root=(code.at(self.packed) + number * self.bytes).name)


class Panels:
    """c = a b by the method of Goto and van de Geijn (2008).

    For each chunk of k, tasks first pack one factor; then each task packs a block of the other one,
    and adds its products with all blocks of the first to c. The order of each sum is fixed, so that
    the result does not depend on the number of threads.

    All blocks of a have as many rows, so that one kernel suffices: the last one overlaps the one
    before, whose rows it does not store again.

    Parameters
    ----------
    code : Code
    a, b, c : Operand
        Not constant; c has contiguous rows, a and b have contiguous rows or columns.
    shared : bool
        Whether several threads share the tasks; not inside a loop.
    """

    def __init__(self, code: Code, a: Operand, b: Operand, c: Operand, *, shared: bool) -> None:
        self.code, self.c, (m, self.k) = code, c, a.shape
        self.each = functools.partial(code.share, calls=True) if shared else code.each
        self.chunks = min(-(-self.k // DEPTH), MOST_CHUNKS)
        self.depth, lanes = -(-self.k // self.chunks), code.width // c.size
        most = code.registers * 7 // 16 - 1  # 13 of 32, with which powers of two are nearly covered
        blocks = -(-m // most)
        self.a = Factor(a.T, -(-m // blocks), self.depth, lanes)
        self.b = Factor(b, min(VECTORS * lanes, b.shape[1]), self.depth, lanes)
        # the smaller factor is the first
        self.first, self.second = (self.b, self.a) if m >= self.b.length else (self.a, self.b)
        self.second.packed = self.second.packed._replace(root="%own" if shared else "own")
        code.scratch = max(code.scratch, self.first.blocks * self.first.bytes)
        code.own = max(code.own, self.second.bytes)

    def write(self) -> None:
        """Write the product, chunk after chunk."""

        def chunk(s: Index) -> None:
            for factor, task in ((self.first, self._pack), (self.second, self._multiply)):
                self.each(factor.blocks, task, s * factor.blocks)

        self.code.each(self.chunks, chunk)

    def _start(self, task: Index, factor: Factor) -> tuple[Index, Index, Index]:
        """Return the first k of a task's chunk, the chunk's length, and the task's number in it."""
        if self.chunks == 1:
            return 0, self.k, task
        start = task // factor.blocks * self.depth
        length: Index = self.depth
        if self.k % self.depth:  # the last is shorter
            length = self.code.index(self.k - start).call("smin", self.depth)
        return start, length, task % factor.blocks

    def _pack(self, task: Index) -> None:
        """Pack a block of the first factor."""
        start, length, number = self._start(task, self.first)
        block = self.first.block(self.code, number)
        self._part(
            number, self.first, lambda one: self._copy(self.first, one, start, length, block)
        )

    def _multiply(self, task: Index) -> None:
        """Pack a block of the second factor, and multiply all blocks of the first one by it."""
        code, first, second = self.code, self.first, self.second
        start, length, number = self._start(task, second)
        after = code.number(0, "b1") if isinstance(start, int) else start.compare("ne", 0)

        def multiply(own: Part) -> None:
            self._copy(second, own, start, length, second.packed)
            code.each(
                first.blocks,
                lambda i: self._part(i, first, lambda one: pair(first.block(code, i), one, own)),
            )

        def pair(block: Operand, part: Part, own: Part) -> None:
            pairs = (block, part), (second.packed, own)
            (a, rows), (b, columns) = pairs if first is self.a else pairs[::-1]
            a = a.T._replace(shape=(rows.columns, self.depth))
            b = b._replace(shape=(self.depth, columns.columns))
            c, ahead = code.at(self.c, rows.first, columns.first), code.at(block) + first.bytes
            self._call(a, b, c, ahead, length, after, rows.seen)

        self._part(number, second, multiply)

    def _part(self, number: Index, factor: Factor, body: Callable[[Part], None]) -> None:
        """Write `body` for one part of a factor; the last one of b may have fewer columns."""
        first, (last, rest) = number * factor.width, divmod(factor.length, factor.width)
        if rest and factor is self.b:
            for how, columns in (("ult", factor.width), ("eq", rest)):
                flag = self.code.index(number).compare(how, last)
                self.code.when(flag, functools.partial(body, Part(first, columns, 0)))
        elif rest:
            inside = self.code.index(first).call("smin", factor.length - factor.width)
            body(Part(inside, factor.width, first - inside))
        else:
            body(Part(first, factor.width, 0))

    def _call(self, a: Operand, b: Operand, c: Value, *others: Index) -> None:
        """Write the call of the kernel for packed blocks of this size."""
        code, (m, n), size = self.code, (a.shape[0], b.shape[1]), self.c.size

        def kernel(a_at: Value, b_at: Value, c_at: Value, stride: Value, *others: Value) -> None:
            out = self.c._replace(shape=(m, n), strides=(stride, size), root=c_at.name, offset=0)
            blocks = Blocks(code, a._replace(root=a_at.name), b._replace(root=b_at.name), out)
            _kernel(blocks, *others)

        name = f"block_{self.c.kind}_{m}_{n}_{a.strides[1]}_{b.strides[0]}"
        code.call_shared(name, kernel, code.at(a), code.at(b), c, self.c.strides[0], *others)

    def _copy(self, factor: Factor, part: Part, start: Index, rows: Index, target: Operand) -> None:
        """Write the call of a function that packs a part of a factor, from a row on."""
        code, matrix, columns = self.code, factor.matrix, part.columns
        size, turned = matrix.size, matrix.strides[1] != matrix.size
        lanes = code.width // size
        # less than a square; 0 if there are more rows, whose number the function is given
        few = rows if isinstance(rows, int) and turned and rows < SIDE // size else 0

        def pack(source: Value, stride: Value, end: Value, count: Value) -> None:
            strides = (size, stride) if turned else (stride, size)
            before = matrix._replace(root=source.name, offset=0, strides=strides)
            after = target._replace(root=end.name)
            if turned:
                transpose(code, before, after, few or count, columns)
            else:
                code.each(count, lambda i: line(before, after, i))

        def line(before: Operand, after: Operand, i: Index) -> None:
            for at in range(0, columns, lanes):
                value = code.read(before, (i, at), lanes, min(lanes, columns - at))
                code.store(code.at(after, i, at), value, lanes, size)

        name = f"pack_{matrix.kind}_{columns}_{target.strides[0]}_{turned:d}_{few}"
        source, stride = code.at(matrix, start, part.first), matrix.strides[turned]
        code.call_shared(name, pack, source, stride, code.at(target), rows)


def _kernel(blocks: Blocks, ahead: Value, k: Value, after: Value, seen: Value) -> None:
    """Write the product of two packed blocks.

    Parameters
    ----------
    ahead : Value
        An address from which on as many bytes are prefetched as are read of b.
    k : Value
        The number of products in a sum.
    after : Value
        A flag that is set if the products are added to c.
    seen : Value
        The number of rows that are not stored.
    """
    code, b, c, lanes = blocks.code, blocks.b, blocks.c, blocks.lanes
    (m, n), size, row = c.shape, c.size, b.strides[0]
    used = [min(lanes, n - j) for j in range(0, n, lanes)]
    spare = code.op(f"alloca [{m * len(used) * lanes * size} x i8], align {LINE}", "p8")
    sums_at = Operand(c.kind, c.shape, (len(used) * lanes * size, size), spare.name)

    def fetch(k: Index) -> None:
        for line in range(0, row, LINE):
            code.prefetch(ahead + k * row + line, level=2)

    def fetch_sums(p: Index) -> None:
        for j in range(0, n, lanes):
            code.prefetch(code.at(c, p, j), writes=1, level=1)

    def store(p: Index) -> None:
        for j, count in zip(range(0, n, lanes), used, strict=True):
            before = code.read(c, (p, j), lanes, count)
            more = select(after.splat(lanes), before, before.like(0))
            total = code.read(sums_at, (p, j), lanes, lanes) + more
            code.store(code.at(c, p, j), total, count, size)

    code.each(m, fetch_sums)
    for place, total in enumerate(blocks.sums(0, 0, m, used, k, fetch)):
        p, q = divmod(place, len(used))
        code.store(code.at(sums_at, p, q * lanes), total, lanes, size)
    code.each(m - seen, store, seen)
