"""Large matrix products: both factors in packed blocks, and tasks for several threads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from mlpgrad._core.memory import LINE
from mlpgrad.training.compiled.blocks import Blocks, transpose
from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.values import Index, Value, select
from mlpgrad.training.compiled.writing import Code
from mlpgrad.training.threads import THREADS

DEPTH = 512
"""About the most rows of a packed block, so that it stays in the second-level cache."""
MOST_CHUNKS = 64
"""The most chunks of k, so that the last one is not much shorter than the others."""
STREAMED = 1 << 19
"""Bytes of the first factor that may be read, from beyond the second-level cache, for one block of
the other factor. Longer ones are read for several blocks at once, which have at most as many bytes
and stay in that cache."""


class Part(NamedTuple):
    """Some columns of a factor: those of a packed block."""

    first: Index
    columns: int
    after: Index
    """Where the part before ends, which may have the first columns, too."""


class Factor:
    """A factor, packed into blocks of some rows of a, or of some columns of b.

    Parameters
    ----------
    code : Code
    matrix : Operand (k, length)
        b, or a transposed.
    width : int
        The columns of a block.
    depth : int
        The rows of a block.
    even : bool
        Whether all blocks have as many columns, so that the last one may overlap the one before.
    """

    def __init__(self, code: Code, matrix: Operand, width: int, depth: int, *, even: bool) -> None:
        self.code, self.matrix, self.width, self.even = code, matrix, width, even
        self.length, size = matrix.shape[1], matrix.size
        self.blocks = -(-self.length // width)
        row = -(-width * size // code.width) * code.width  # begins with a vector
        self.bytes = depth * row
        self.packed = Operand(matrix.kind, (depth, width), (row, size), "scratch")

    def block(self, place: Index) -> Operand:
        """Return a packed block."""
        return self.packed._replace(root=(self.code.at(self.packed) + place * self.bytes).name)

    def part(self, number: Index, body: Callable[[Part], None]) -> None:
        """Write `body` for the columns of a block."""
        first, (last, rest) = number * self.width, divmod(self.length, self.width)
        if self.even or not rest:
            inside = self.code.index(first).call("smin", self.length - self.width)
            body(Part(inside, self.width, first))
        else:
            for how, columns in ("ult", self.width), ("eq", rest):
                flag = self.code.index(number).compare(how, last)
                self.code.when(flag, functools.partial(body, Part(first, columns, first)))

    def pack(self, number: Index, start: Index, rows: Index, place: Index) -> None:
        """Write the call of a function that packs a block, from a row of the matrix on."""
        code, matrix, size = self.code, self.matrix, self.matrix.size
        target, turned = self.block(place), matrix.strides[1] != size

        def write(columns: int, source: Value, stride: Value, end: Value, count: Value) -> None:
            strides = (size, stride) if turned else (stride, size)
            before = matrix._replace(root=source.name, offset=0, strides=strides)
            after, lanes = target._replace(root=end.name), code.width // size

            def line(i: Index) -> None:
                for at in range(0, columns, lanes):
                    value = code.read(before, (i, at), lanes, min(lanes, columns - at))
                    code.store(code.at(after, i, at), value, lanes, size)

            if turned:
                transpose(code, before, after, count, columns)
            else:
                code.each(count, line)

        def call(part: Part) -> None:
            name = f"pack_{matrix.kind}_{part.columns}_{target.strides[0]}_{turned:d}"
            source, stride = code.at(matrix, start, part.first), matrix.strides[turned]
            body = functools.partial(write, part.columns)
            code.call_shared(name, body, source, stride, code.at(target), rows)

        self.part(number, call)


class Panels:
    """c = a b by the method of Goto and van de Geijn (2008).

    For each chunk of k, tasks first pack one factor; then each task packs some blocks of the other
    one, and adds their products with all blocks of the first to c. The order of each sum is fixed,
    so that the result does not depend on the number of threads.

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
        self.code, self.c, (m, self.k), n = code, c, a.shape, b.shape[1]
        self.each = code.share if shared else code.each
        self.depth = -(-self.k // min(-(-self.k // DEPTH), MOST_CHUNKS))
        most = code.registers * 7 // 16 - 1  # 13 of 32, with which powers of two are nearly covered
        rows, columns = -(-m // -(-m // most)), min(2 * code.width // c.size, n)
        self.a = Factor(code, a.T, rows, self.depth, even=True)
        self.b = Factor(code, b, columns, self.depth, even=False)
        # the smaller factor is the first
        self.first, self.second = (self.b, self.a) if m >= n else (self.a, self.b)
        self.second.packed = self.second.packed._replace(root="%own" if shared else "own")
        whole, blocks = self.first.blocks * self.first.bytes, self.second.blocks
        # about how many blocks a task multiplies at once, if every thread has as many tasks
        many = max(1, min(whole // STREAMED, STREAMED // self.second.bytes))
        self.together = -(-blocks // (-(-blocks // (THREADS * many)) * THREADS))
        self.tasks = -(-blocks // self.together)
        code.scratch = max(code.scratch, whole)
        code.own = max(code.own, self.together * self.second.bytes)

    def write(self) -> None:
        """Write the product, chunk after chunk."""

        def chunk(s: Index) -> None:
            for tasks, write in ((self.first.blocks, self._pack), (self.tasks, self._multiply)):
                self.each(tasks, write, s * tasks)

        self.code.each(-(-self.k // self.depth), chunk)

    def _start(self, task: Index, tasks: int) -> tuple[Index, Index, Index]:
        """Return the first k of a task's chunk, the chunk's length, and the task's number in it."""
        start = task // tasks * self.depth
        return start, self._length(self.depth, self.k, start), task % tasks

    def _length(self, most: int, whole: int, start: Index) -> Index:
        """Return the length of the part that begins at `start`; the last one may be shorter."""
        return self.code.index(whole - start).call("smin", most) if whole % most else most

    def _pack(self, task: Index) -> None:
        """Pack a block of the first factor."""
        start, length, number = self._start(task, self.first.blocks)
        self.first.pack(number, start, length, number)

    def _multiply(self, task: Index) -> None:
        """Pack some blocks of the second factor; multiply all blocks of the first one by them."""
        code, first, second = self.code, self.first, self.second
        start, length, number = self._start(task, self.tasks)
        begin = number * self.together
        count = self._length(self.together, second.blocks, begin)

        def pair(i: Index, t: Index) -> None:
            blocks = first.block(i), second.block(t)
            ahead, order = code.at(blocks[0]) + first.bytes, 1 if first is self.a else -1

            def product(*parts: Part) -> None:
                (a, b), (rows, columns) = blocks[::order], parts[::order]
                a = a.T._replace(shape=(rows.columns, self.depth))
                b = b._replace(shape=(self.depth, columns.columns))
                c = code.at(self.c, rows.first, columns.first)
                self._call(a, b, c, ahead, length, start, rows.after - rows.first)

            first.part(i, lambda x: second.part(begin + t, lambda y: product(x, y)))

        code.each(count, lambda t: second.pack(begin + t, start, length, t))
        code.each(first.blocks, lambda i: code.each(count, lambda t: pair(i, t)))

    def _call(self, a: Operand, b: Operand, c: Value, *others: Index) -> None:
        """Write the call of the kernel for packed blocks of this size."""
        code, (m, n), size = self.code, (a.shape[0], b.shape[1]), self.c.size

        def kernel(a_at: Value, b_at: Value, c_at: Value, stride: Value, *others: Value) -> None:
            out = self.c._replace(shape=(m, n), strides=(stride, size), root=c_at.name, offset=0)
            blocks = Blocks(code, a._replace(root=a_at.name), b._replace(root=b_at.name), out)
            _kernel(blocks, *others)

        name = f"block_{self.c.kind}_{m}_{n}_{a.strides[1]}_{b.strides[0]}"
        code.call_shared(name, kernel, code.at(a), code.at(b), c, self.c.strides[0], *others)


def _kernel(blocks: Blocks, ahead: Value, k: Value, start: Value, seen: Value) -> None:
    """Write the product of two packed blocks.

    Parameters
    ----------
    ahead : Value
        An address from which on as many bytes are prefetched as are read of b.
    k : Value
        The number of products in a sum.
    start : Value
        The number of earlier products in each sum, which is in c; nothing is if it is 0.
    seen : Value
        The number of rows that are not stored.
    """
    code, b, c, lanes = blocks.code, blocks.b, blocks.c, blocks.lanes
    (m, n), size, row = c.shape, c.size, b.strides[0]
    used = [min(lanes, n - j) for j in range(0, n, lanes)]
    spare = code.op(f"alloca [{m * len(used) * lanes * size} x i8], align {LINE}", "p8")
    after = start.compare("ne", 0).splat(lanes)
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
            more = select(after, before, before.like(0))
            total = code.read(sums_at, (p, j), lanes, lanes) + more
            code.store(code.at(c, p, j), total, count, size)

    blocks.beside = fetch
    code.each(m, fetch_sums)
    for place, total in enumerate(blocks.sums(0, 0, m, used, k)):
        p, q = divmod(place, len(used))
        code.store(code.at(sums_at, p, q * lanes), total, lanes, size)
    code.each(m - seen, store, seen)
