"""Large matrix products: both factors in packed blocks, and tasks for several threads."""

from __future__ import annotations

import functools
from collections.abc import Callable

from mlpgrad.training.compiled.blocks import SIDE, Blocks, transpose
from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.values import Index, Value
from mlpgrad.training.compiled.writing import Code

DEPTH = 512
"""About the most rows of a packed block, so that it stays in the second-level cache."""
MOST_CHUNKS = 64
"""The most chunks of k, so that the last one is not much shorter than the others."""
VECTORS = 2
"""Vectors in a row of a block of b."""


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
        # bytes per column of a packed block, in whole numbers: a block's address is its first
        # column times this
        self.above = -(-depth * row // (width * size)) * size
        self.bytes = width * self.above
        self.packed = Operand(matrix.kind, (depth, width), (row, size), "scratch")

    def at(self, code: Code, first: Index) -> Operand:
        """Return the packed block that begins with a column, a multiple of `width`."""
        at = code.at(self.packed) + first * self.above
        return self.packed._replace(root=at.name)


class Panels:
    """c = a b by the method of Goto and van de Geijn (2008).

    For each chunk of k, tasks first pack one factor; then each task packs a block of the other one,
    and adds its products with all blocks of the first to c. The order of each sum is fixed, so that
    the result does not depend on the number of threads.

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
        self.each = code.share if shared else code.each
        self.chunks = min(-(-self.k // DEPTH), MOST_CHUNKS)
        self.depth, lanes = -(-self.k // self.chunks), code.width // c.size
        strips = -(-m // (code.registers // VECTORS - 2))
        self.a = Factor(a.T, -(-m // strips), self.depth, lanes)
        self.b = Factor(b, VECTORS * lanes, self.depth, lanes)
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
        length = self.code.index(self.k - start).call("smin", self.depth)  # the last is shorter
        return start, length, task % factor.blocks

    def _pack(self, task: Index) -> None:
        """Pack a block of the first factor."""
        factor = self.first
        start, length, number = self._start(task, factor)
        self._parts(number, factor, lambda i, n: self._copy(factor, i, start, length, n, i))

    def _multiply(self, task: Index) -> None:
        """Pack a block of the second factor, and multiply all blocks of the first one by it."""
        code, first, second = self.code, self.first, self.second
        start, length, number = self._start(task, second)

        def multiply(own: Index, used: int) -> None:
            self._copy(second, own, start, length, used, 0)

            def block(i: Index, n: int) -> None:
                before, after = (first.at(code, i), i, n), (second.packed, own, used)
                (left, i, high), (right, j, wide) = (
                    (before, after) if first is self.a else (after, before)
                )
                left = left.T._replace(shape=(high, self.depth))
                right = right._replace(shape=(self.depth, wide))
                ahead = code.at(before[0]) + first.bytes
                self._call(left, right, code.at(self.c, i, j), ahead, length, start)

            code.strips(first.length, first.width, block)

        self._parts(number, second, multiply)

    def _call(
        self, a: Operand, b: Operand, c: Value, ahead: Value, length: Index, start: Index
    ) -> None:
        """Write the call of the kernel for packed blocks of this size."""
        code, (m, n), kind, size = self.code, (a.shape[0], b.shape[1]), self.c.kind, self.c.size

        def kernel(a_at: Value, b_at: Value, c_at: Value, stride: Value, *others: Value) -> None:
            out = Operand(kind, (m, n), (stride, size), c_at.name)
            blocks = Blocks(code, a._replace(root=a_at.name), b._replace(root=b_at.name), out)
            blocks.ahead, blocks.k, blocks.after = others
            blocks.panel(0, -(-n // blocks.lanes), m)

        after = code.number(0, "b1") if isinstance(start, int) else start.compare("ne", 0)
        name = f"block_{kind}_{m}_{n}_{a.strides[1]}"
        places = code.at(a), code.at(b), c
        code.call_shared(name, kernel, *places, self.c.strides[0], ahead, length, after)

    def _parts(self, number: Index, factor: Factor, body: Callable[[Index, int], None]) -> None:
        """Write `body(start, length)` for one block of a factor; the last may be shorter."""
        start, (last, rest) = number * factor.width, divmod(factor.length, factor.width)
        if isinstance(number, int) or not rest or not last:
            body(start, rest or factor.width)
            return
        for how, length in (("ult", factor.width), ("eq", rest)):
            flag = number.compare(how, last)
            self.code.when(flag, functools.partial(body, start, length))

    def _copy(
        self, factor: Factor, first: Index, start: Index, rows: Index, columns: int, to: Index
    ) -> None:
        """Write the call of a function that packs some columns of a factor, from a row on."""
        code, matrix, size = self.code, factor.matrix, factor.matrix.size
        lanes, turned = code.width // size, matrix.strides[1] != size
        # less than a square; 0 if there are more rows, whose number the function is given
        few = rows if isinstance(rows, int) and turned and rows < SIDE // size else 0

        def pack(source: Value, stride: Value, end: Value, count: Value) -> None:
            strides = (size, stride) if turned else (stride, size)
            before = matrix._replace(root=source.name, offset=0, strides=strides)
            after = factor.packed._replace(root=end.name)
            if turned:
                transpose(code, before, after, few or count, columns)
            else:
                code.each(count, lambda i: line(before, after, i))

        def line(before: Operand, after: Operand, i: Index) -> None:
            for at in range(0, columns, lanes):
                value = code.read(before, (i, at), lanes, min(lanes, columns - at))
                code.store(code.at(after, i, at), value, lanes, size)

        name = f"pack_{matrix.kind}_{columns}_{factor.packed.strides[0]}_{turned:d}_{few}"
        source, target = code.at(matrix, start, first), code.at(factor.at(code, to))
        code.call_shared(name, pack, source, matrix.strides[turned], target, rows)
