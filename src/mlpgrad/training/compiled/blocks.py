"""Kernels for matrix products: blocks of sums in registers, sums along rows, and transposing."""

from __future__ import annotations

from collections.abc import Sequence

from mlpgrad._core.memory import LINE
from mlpgrad.training.compiled.functions import fma
from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.values import Index, Value, lanes_for, select
from mlpgrad.training.compiled.writing import Code


class Blocks:
    """c = a b in blocks of rows x vectors of sums kept in registers; b has contiguous rows.

    Attributes
    ----------
    k : int or Value
        The number of products in a sum.
    after : Value or None
        A flag that is set if the products are added to c; None if they never are.
    ahead : tuple of Operand and int, or None
        A factor whose rows are prefetched, one for each product, from some bytes further on.
    """

    def __init__(self, code: Code, a: Operand, b: Operand, c: Operand) -> None:
        self.code, self.a, self.b, self.c = code, a, b, c
        self.m, self.n = a.shape[0], b.shape[1]
        self.k: Index = a.shape[1]
        self.after: Value | None = None
        self.ahead: tuple[Operand, int] | None = None
        self.lanes = min(code.lanes(c.size, self.m * self.n), lanes_for(self.n))

    def write(self) -> None:
        """Write the product in panels of columns; all but the last have full vectors."""
        columns = -(-self.n // self.lanes)
        rows, vectors = self._choice(columns)
        whole = self.n // self.lanes // vectors if columns > vectors else 0
        if whole:
            self.code.loop(whole, lambda j, _: self.panel(j * vectors, vectors, rows))
        if columns > whole * vectors:
            self.panel(whole * vectors, columns - whole * vectors, rows)

    def _choice(self, columns: int) -> tuple[int, int]:
        """Return the block size with the fewest cycles among those that fit into the registers."""
        choices = [
            (rows, vectors)
            for vectors in range(1, min(columns, 6) + 1)
            for rows in range(1, min(self.m, 14) + 1)
            if rows * vectors + vectors + 1 <= self.code.registers
        ]

        def cost(rows: int, vectors: int) -> float:
            total = 0.0
            for r, high in ((rows, self.m // rows), (self.m % rows, 1)):
                for v, wide in ((vectors, columns // vectors), (columns % vectors, 1)):
                    if r and v:  # two multiplications, two reads or five instructions per cycle
                        cycles = max(r * v / 2, (r + v) / 2, (r + v + r * v + 2) / 5, 4.5)
                        total += high * wide * (self.a.shape[1] * cycles + 12 + r * v)
            return total

        return min(choices, key=lambda choice: cost(*choice))

    def panel(self, j: Index, vectors: int, rows: int) -> None:
        """Write the code for all rows of some columns."""
        used = [self.lanes] * vectors
        if isinstance(j, int):
            used[-1] = min(self.lanes, self.n - (j + vectors - 1) * self.lanes)
        self.code.strips(self.m, rows, lambda i, high: self._block(i, j * self.lanes, high, used))

    def _block(self, i: Index, j: Index, rows: int, used: Sequence[int]) -> None:
        """Write the sums of one block over all of k, and their stores."""
        code, lanes, kind = self.code, self.lanes, self.c.kind
        across, down = code.part(self.b, 0, j), code.part(self.a, i)
        spots = [(p, q) for p in range(rows) for q in range(len(used))]
        if self.after is not None:
            first = code.part(self.c, i, j)
            for p, q in spots:
                code.prefetch(code.at(first, p, q * lanes), writes=1, level=1)

        def add(step: Index, sums: Sequence[Value]) -> list[Value]:
            factors = [
                code.read(across, (step, q * lanes), lanes, count) for q, count in enumerate(used)
            ]
            new: list[Value] = []
            self._fetch_ahead(step)
            for p in range(rows):
                one = code.read(down, (p, step)).splat(lanes)
                new += [fma(one, factor, sums[len(new) + q]) for q, factor in enumerate(factors)]
            return new

        zeros = [code.number(0, kind, lanes)] * len(spots)
        sums = code.loop(self.k, add, zeros, unrolled=4)
        first = code.part(self.c, i, j)  # addresses known before would take registers in the loop
        for (p, q), total in zip(spots, sums, strict=True):
            at = code.at(first, p, q * lanes)
            if self.after is not None:
                before = code.load(at, kind, lanes, used[q], self.c.size)
                total += select(self.after.splat(lanes), before, zeros[0])
            code.store(at, total, used[q], self.c.size)

    def _fetch_ahead(self, step: Index) -> None:
        """Write the prefetch of a row of the next block."""
        if self.ahead is None:
            return
        factor, further = self.ahead
        for line in range(0, factor.strides[0], LINE):
            self.code.prefetch(self.code.at(factor, step) + (further + line), level=2)


def row_sums(code: Code, a: Operand, b: Operand, c: Operand) -> None:
    """c_i = sum_k a_ik b_ik, along the rows of a and b, with vectors of partial sums."""
    m, k = a.shape
    lanes = min(code.lanes(c.size, m * k), lanes_for(k))
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
            zero = code.number(0, c.kind)
            code.store(code.at(z, p), total.reduce("fadd", zero, flags="reassoc nsz "))

    code.strips(m, min(m, 8 if k // lanes <= 4 else 4), block)


def transpose(code: Code, source: Operand, target: Operand, rows: Index, columns: int) -> None:
    """Copy a matrix with contiguous columns to one with contiguous rows, in small squares.

    A number of rows that is not known here is at least the side of a square.
    """
    size, kind = source.size, source.kind
    side = 32 // size

    def square(i: Index, j: Index, down: int, across: int) -> None:
        """Write one square: columns are read, and exchanged in blocks of growing size."""
        start, end = code.part(source, i, j), code.part(target, i, j)
        lines = [code.number(0, kind, side)] * side
        for q in range(across):
            lines[q] = code.load(code.at(start, 0, q), kind, side, down, size)
        step = 1
        while step < side:
            low = [p if not p & step else side + p - step for p in range(side)]
            high = [p + step if not p & step else side + p for p in range(side)]
            for q in range(side):
                if not q & step:
                    pair = lines[q], lines[q | step]
                    lines[q], lines[q | step] = (pair[0].shuffle(pair[1], p) for p in (low, high))
            step *= 2
        for p in range(down):
            code.store(code.at(end, p), lines[p], across, size)

    def column(j: Index, wide: int) -> None:
        if isinstance(rows, int):
            code.strips(rows, side, lambda i, high: square(i, j, high, wide))
            return
        code.loop(rows.write("udiv", side), lambda i, _: square(i * side, j, side, wide))
        square(rows - side, j, side, wide)  # overlaps the one before

    code.strips(columns, side, column)
