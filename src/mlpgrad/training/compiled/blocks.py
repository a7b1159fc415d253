"""Kernels for matrix products: blocks of sums in registers, sums along rows, and transposing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from mlpgrad.training.compiled.functions import fma
from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.values import Index, Value, lanes_for
from mlpgrad.training.compiled.writing import Code

FIRST_LEVEL = 1 << 15
"""Bytes that stay in the first-level cache."""
SIDE = 32
"""The bytes in a side of a square that is transposed."""


class Blocks:
    """c = a b in blocks of rows x vectors of sums kept in registers; b has contiguous rows.

    Attributes
    ----------
    beside : callable
        Writes code beside each product, given its place in the sum.
    """

    def __init__(self, code: Code, a: Operand, b: Operand, c: Operand) -> None:
        self.code, self.a, self.b, self.c = code, a, b, c
        self.beside: Callable[[Index], None] = lambda step: None
        (self.m, self.k), self.n = a.shape, b.shape[1]
        self.lanes = min(code.lanes(c.size, self.m * self.n), lanes_for(self.n))

    def write(self) -> None:
        """Write the product in panels of columns; all but the last have full vectors."""
        columns = -(-self.n // self.lanes)
        rows, vectors = self._choice(columns)
        whole = self.n // self.lanes // vectors
        self.code.each(whole, lambda j: self.panel(j * vectors, vectors, rows))
        if columns > whole * vectors:
            self.panel(whole * vectors, columns - whole * vectors, rows)

    def _choice(self, columns: int) -> tuple[int, int]:
        """Return the block size with the fewest cycles among those that fit into the registers."""
        counts = range(1, min(columns, 6) + 1), range(1, min(self.m, 16) + 1)
        choices = [(r, v) for v, r in itertools.product(*counts) if r * v + v < self.code.registers]
        # a b that does not stay in the first-level cache is read from the second
        missing = self.k * self.n * self.c.size > FIRST_LEVEL

        def cost(rows: int, vectors: int) -> float:
            total = lines = 0.0
            for r, high in ((rows, self.m // rows), (self.m % rows, 1)):
                for v, wide in ((vectors, columns // vectors), (columns % vectors, 1)):
                    # two multiplications or two reads per cycle
                    cycles = max(r * v / 2, (r + v) / 2, 5) + missing * (4 + v)
                    if r and v and wide:
                        total += high * wide * (self.k * cycles + 20 + r * v)
                        lines += 12 * r + 7 * r * v
            # to compile ten thousand lines takes about as long as what a training must save
            return total + lines * max(total, self.code.cycles) / 10_000

        return min(choices, key=lambda choice: cost(*choice))

    def panel(self, j: Index, vectors: int, rows: int) -> None:
        """Write the code for all rows of some columns."""
        used = [self.lanes] * vectors
        if isinstance(j, int):
            used[-1] = min(self.lanes, self.n - (j + vectors - 1) * self.lanes)
        self.code.strips(self.m, rows, lambda i, high: self._block(i, j * self.lanes, high, used))

    def _block(self, i: Index, j: Index, rows: int, used: Sequence[int]) -> None:
        """Write the sums of one block over all of k, and their stores."""
        code, lanes, size = self.code, self.lanes, self.c.size
        sums = self.sums(i, j, rows, used, self.k)
        # an address known before would take a register in the loop
        c = code.part(self.c, i, j)
        for place, total in enumerate(sums):
            p, q = divmod(place, len(used))
            if p and not q:
                c = code.part(c, 1)  # the next row
            code.store(code.at(c, 0, q * lanes), total, used[q], size)

    def sums(self, i: Index, j: Index, rows: int, used: Sequence[int], k: Index) -> Sequence[Value]:
        """Write the sums of k products in one block."""
        code, lanes = self.code, self.lanes
        across, down = code.part(self.b, 0, j), code.part(self.a, i)

        def add(step: Index, sums: Sequence[Value]) -> list[Value]:
            right = code.base(code.part(across, step))
            left = code.base(code.part(down, 0, step))
            factors = [
                code.read(right, (0, q * lanes), lanes, count) for q, count in enumerate(used)
            ]
            self.beside(step)
            new: list[Value] = []
            for p in range(rows):
                one = code.read(left, (p,)).splat(lanes)
                new += [fma(one, factor, sums[len(new) + q]) for q, factor in enumerate(factors)]
            return new

        zeros = [code.number(0, self.c.kind, lanes)] * (rows * len(used))
        return code.loop(k, add, zeros, unrolled=4)


def row_sums(code: Code, a: Operand, b: Operand, c: Operand) -> None:
    """c_ij = sum_k a_ik b_ik for all j, along the rows of a and b, in vectors of partial sums."""
    (m, k), n = a.shape, math.prod(c.shape[1:])
    # the lanes beyond the end of a row are 0 in memory, but not in a constant
    constant = a.value is not None is not b.value
    lanes = 1 if constant else min(code.lanes(c.size, m * k), lanes_for(k))
    whole, rest = divmod(k, lanes)

    def block(i: Index, rows: int) -> None:
        """Write the sums of several rows at once, which do not depend on one another."""
        x, y, z = (code.part(operand, i) for operand in (a, b, c))

        def add(start: Index, used: int, sums: Sequence[Value]) -> list[Value]:
            same = None if y.strides[0] else code.read(y, (0, start), lanes, used)
            new = []
            for p, total in enumerate(sums):
                one = code.read(x, (p, start), lanes, used)
                other = same or code.read(y, (p, start), lanes, used)
                new.append(total + one if b.value == 1 else fma(one, other, total))
            return new

        sums: Sequence[Value] = [code.number(-0.0, c.kind, lanes)] * rows
        sums = code.loop(whole, lambda s, sums: add(s * lanes, lanes, sums), sums, unrolled=4)
        if rest:
            sums = add(whole * lanes, rest, sums)
        for p, total in enumerate(sums):
            total = total.reduce("fadd", code.number(0, c.kind), flags="reassoc nsz ")
            for j in range(0, n, lanes):
                code.store(code.at(z, p, j), total.splat(min(lanes, n)), min(lanes, n - j), c.size)

    # short rows of a long matrix overlap by themselves
    code.strips(m, min(m, 4 if k // lanes > 4 else 2 if m > 8 else 8), block)


def transpose(code: Code, source: Operand, target: Operand, rows: Index, columns: int) -> None:
    """Copy a matrix with contiguous columns to one with contiguous rows, in small squares.

    The last squares may overlap others. A number of rows that is not known here is at least the
    side of a square.
    """
    side = SIDE // source.size
    down, across = (min(side, n) if isinstance(n, int) else side for n in (rows, columns))

    def square(start: Value, step: Value, end: Value, line: Value) -> None:
        """Write one square: columns are read, and exchanged in blocks of growing size."""
        lines = [code.number(0, source.kind, side)] * side
        for q in range(across):
            lines[q] = code.load(start + step * q, source.kind, side, down, source.size)
        for width in (1, 2, 4)[: side.bit_length() - 1]:
            low = [p if not p & width else side + p - width for p in range(side)]
            high = [p + width if not p & width else side + p for p in range(side)]
            for q in range(side):
                if not q & width:
                    pair = lines[q], lines[q | width]
                    lines[q], lines[q | width] = (pair[0].shuffle(pair[1], p) for p in (low, high))
        for p in range(down):
            code.store(end + line * p, lines[p], across, source.size)

    def place(i: Index, j: Index) -> None:
        start, end = code.at(source, i, j), code.at(target, i, j)
        name = f"transpose_{source.kind}_{down}_{across}"
        code.call_shared(name, square, start, source.strides[1], end, target.strides[0])

    code.cover(columns, across, lambda j: code.cover(rows, down, lambda i: place(i, j)))
