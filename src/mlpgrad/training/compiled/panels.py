"""Large matrix products: packed panels of b times strips of a, in tasks for several threads."""

from __future__ import annotations

import functools
from collections.abc import Callable

from mlpgrad.training.compiled.blocks import Blocks, transpose
from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.values import Index
from mlpgrad.training.compiled.writing import Code

DEPTH = 256
"""About the number of rows of a packed panel, so that it stays in the first-level cache."""
MOST_CHUNKS = 64
"""The most chunks of k, so that the last one is not much shorter than the others."""
VECTORS = 2
"""Vectors in a row of a panel."""


class Panels:
    """c = a b by the method of Goto and van de Geijn (2008).

    For each chunk of k, tasks first pack the strips of a; then each task packs a panel of b and
    adds its products with all strips to c. The order of each sum is fixed, so that the result does
    not depend on the number of threads.

    Parameters
    ----------
    code : Code
    a, b, c : Operand
        Not constant; c has contiguous rows, a and b have contiguous rows or columns.
    shared : bool
        Whether several threads share the tasks; not inside a loop.
    """

    def __init__(self, code: Code, a: Operand, b: Operand, c: Operand, *, shared: bool) -> None:
        self.code, self.a, self.b, self.c = code, a, b, c
        self.each = code.share if shared else code.each
        (self.m, self.k), self.n, size = a.shape, b.shape[1], c.size
        lanes = code.width // size
        self.chunks = min(-(-self.k // DEPTH), MOST_CHUNKS)
        self.depth, self.wide = -(-self.k // self.chunks), VECTORS * lanes
        self.rows = max(1, min(self.m, code.registers // VECTORS - 2))
        self.strips, self.panels = -(-self.m // self.rows), -(-self.n // self.wide)
        across = -(-self.rows // lanes) * code.width
        # bytes of a strip for each of its rows, in whole numbers
        self.above = -(-self.depth * across // (self.rows * size)) * size
        shape, strides = (self.m, self.depth), (size, across)
        self.packed = Operand(c.kind, shape, strides, "scratch")
        shape, strides = (self.depth, self.wide), (self.wide * size, size)
        self.panel = Operand(c.kind, shape, strides, "%own" if shared else "own")
        code.scratch = max(code.scratch, self.strips * self.rows * self.above)
        code.own = max(code.own, self.depth * self.wide * size)

    def write(self) -> None:
        """Write the product, chunk after chunk."""

        def chunk(s: Index, _: object) -> None:
            self.each(s * self.strips, self.strips, self._pack)
            self.each(s * self.panels, self.panels, self._multiply)

        self.code.loop(self.chunks, chunk)

    def _start(self, task: Index, count: int) -> tuple[Index, Index, Index]:
        """Return the first k of a task's chunk, the chunk's length, and the task's number in it."""
        if self.chunks == 1 or isinstance(task, int):
            return 0, self.k, task
        start, length = self.code.cut(task.write("udiv", count), self.depth, self.k)
        return start, length, task.write("urem", count)

    def _pack(self, task: Index) -> None:
        """Pack a strip of a, column after column."""
        start, length, i = self._start(task, self.strips)
        source = self.code.part(self.a, i * self.rows, start).T
        target = self._strip(i * self.rows).T
        self._parts(i, self.m, self.rows, lambda n: self._copy(source, target, length, n))

    def _strip(self, row: Index) -> Operand:
        """Return the packed strip that begins with a row of a."""
        at = self.code.at(self.packed) + row * self.above
        return self.packed._replace(root=at.name)

    def _multiply(self, task: Index) -> None:
        """Pack a panel of b, and add its products with all strips of a to c."""
        code, (start, length, j) = self.code, self._start(task, self.panels)
        first = j * self.wide
        b, c = code.part(self.b, start, first), code.part(self.c, 0, first)
        after = None if isinstance(start, int) else start.compare("ne", 0)

        def multiply(used: int) -> None:
            self._copy(b, self.panel, length, used)
            right = self.panel._replace(shape=(self.depth, used))
            blocks = Blocks(code, self.packed, right, c)
            blocks.k, blocks.after, blocks.strip = length, after, self._strip
            blocks.panel(0, -(-used // blocks.lanes), self.rows)

        self._parts(j, self.n, self.wide, multiply)

    def _parts(self, number: Index, total: int, size: int, body: Callable[[int], None]) -> None:
        """Write `body(length)` for one of the parts, of which the last may be shorter."""
        last, rest = divmod(total, size)
        if isinstance(number, int) or not rest or not last:
            body(rest or size)
            return
        for how, length in (("ult", size), ("eq", rest)):
            self.code.when(number.compare(how, last), functools.partial(body, length))

    def _copy(self, source: Operand, target: Operand, rows: Index, columns: int) -> None:
        """Copy some columns of a matrix with contiguous rows or columns to contiguous rows."""
        code, size = self.code, source.size
        if source.strides[1] != size:
            transpose(code, source, target, rows, columns)
            return
        lanes = code.width // size

        def line(i: Index, _: object) -> None:
            for first in range(0, columns, lanes):
                value = code.read(source, (i, first), lanes, min(lanes, columns - first))
                code.store(code.at(target, i, first), value, lanes, size)

        code.loop(rows, line)
