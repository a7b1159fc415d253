"""Large matrix products: both factors in packed blocks, and tasks for several threads."""

from __future__ import annotations

import functools
from collections.abc import Callable

from mlpgrad.training.compiled.blocks import Blocks, transpose
from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.values import Index
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

        def chunk(s: Index, _: object) -> None:
            for factor, task in ((self.first, self._pack), (self.second, self._multiply)):
                self.each(s * factor.blocks, factor.blocks, task)

        self.code.loop(self.chunks, chunk)

    def _start(self, task: Index, factor: Factor) -> tuple[Index, Index, Index]:
        """Return the first k of a task's chunk, the chunk's length, and the task's number in it."""
        if self.chunks == 1 or isinstance(task, int):
            return 0, self.k, task
        start, length = self.code.cut(task.write("udiv", factor.blocks), self.depth, self.k)
        return start, length, task.write("urem", factor.blocks)

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
                c = code.part(self.c, i, j)._replace(shape=(high, wide))
                blocks = Blocks(code, left, right, c)
                blocks.k, blocks.ahead = length, (before[0], first.bytes)
                blocks.after = None if isinstance(start, int) else start.compare("ne", 0)
                blocks.panel(0, -(-wide // blocks.lanes), high)

            code.strips(first.length, first.width, block)

        self._parts(number, second, multiply)

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
        """Copy some columns of a factor, from a row on, to a packed block."""
        code, size = self.code, factor.matrix.size
        source, target = code.part(factor.matrix, start, first), factor.at(code, to)
        if source.strides[1] != size:
            transpose(code, source, target, rows, columns)
            return
        lanes = code.width // size

        def line(i: Index, _: object) -> None:
            for at in range(0, columns, lanes):
                value = code.read(source, (i, at), lanes, min(lanes, columns - at))
                code.store(code.at(target, i, at), value, lanes, size)

        code.loop(rows, line)
