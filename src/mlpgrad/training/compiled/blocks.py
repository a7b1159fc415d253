"""Kernels for matrix products: blocks of sums in registers, sums along rows, and transposing."""

from __future__ import annotations

from collections.abc import Sequence

from mlpgrad.training.compiled.functions import fma
from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.values import Index, Value, lanes_for
from mlpgrad.training.compiled.writing import Code


class Blocks:
    """c = a b in blocks of rows x vectors of sums kept in registers; b has contiguous rows."""

    def __init__(self, code: Code, a: Operand, b: Operand, c: Operand) -> None:
        self.code, self.a, self.b, self.c = code, a, b, c
        (self.m, self.k), self.n = a.shape, b.shape[1]
        self.lanes = min(code.lanes(c.size, self.m * self.n), lanes_for(self.n))

    def write(self) -> None:
        """Write the product in panels of columns; all but the last have full vectors."""
        columns = -(-self.n // self.lanes)
        rows, vectors = self._choice(columns)
        whole = self.n // self.lanes // vectors if columns > vectors else 0
        if whole:
            self.code.loop(whole, lambda j, _: self._panel(j * vectors, vectors, rows))
        if columns > whole * vectors:
            self._panel(whole * vectors, columns - whole * vectors, rows)

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
                        total += high * wide * (self.k * cycles + 12 + r * v)
            return total

        return min(choices, key=lambda choice: cost(*choice))

    def _panel(self, j: Index, vectors: int, rows: int) -> None:
        """Write the code for all rows of some columns."""
        used = [self.lanes] * vectors
        if isinstance(j, int):
            used[-1] = min(self.lanes, self.n - (j + vectors - 1) * self.lanes)
        self.code.strips(self.m, rows, lambda i, high: self._block(i, j * self.lanes, high, used))

    def _block(self, i: Index, j: Index, rows: int, used: Sequence[int]) -> None:
        """Write the sums of one block over all of k, and their stores."""
        code, lanes, kind = self.code, self.lanes, self.c.kind
        across, down = code.part(self.b, 0, j), code.part(self.a, i)

        def add(step: Index, sums: Sequence[Value]) -> list[Value]:
            factors = [
                code.read(across, (step, q * lanes), lanes, count) for q, count in enumerate(used)
            ]
            new: list[Value] = []
            for p in range(rows):
                one = code.read(down, (p, step)).splat(lanes)
                new += [fma(one, factor, sums[len(new) + q]) for q, factor in enumerate(factors)]
            return new

        zeros = [code.number(0, kind, lanes)] * (rows * len(used))
        sums = iter(code.loop(self.k, add, zeros, unrolled=4))
        first = code.part(self.c, i, j)
        for p in range(rows):
            for q, count in enumerate(used):
                code.store(code.at(first, p, q * lanes), next(sums), count, first.size)


class RowSums:
    """c_i = sum_k a_ik b_ik, along the rows of a and b, with vectors of partial sums."""

    def __init__(self, code: Code, a: Operand, b: Operand, c: Operand) -> None:
        self.code, self.a, self.b, self.c = code, a, b, c
        self.m, self.k = a.shape
        self.lanes = min(code.lanes(c.size, self.m * self.k), lanes_for(self.k))

    def write(self) -> None:
        """Write the sums of several rows at once, which do not depend on one another."""
        rows = min(self.m, 8 if self.k // self.lanes <= 4 else 4)
        self.code.strips(self.m, rows, self._block)

    def _block(self, i: Index, rows: int) -> None:
        code, lanes = self.code, self.lanes
        a, b, c = (code.part(operand, i) for operand in (self.a, self.b, self.c))

        def add(start: Index, used: int, sums: Sequence[Value]) -> list[Value]:
            same = None if b.strides[0] else code.read(b, (0, start), lanes, used)
            new = []
            for p, total in enumerate(sums):
                x = code.read(a, (p, start), lanes, used)
                factor = same or code.read(b, (p, start), lanes, used)
                new.append(total + x if b.value == 1 else fma(x, factor, total))
            return new

        whole, rest = divmod(self.k, lanes)
        sums: Sequence[Value] = [code.number(-0.0, c.kind, lanes)] * rows
        sums = code.loop(whole, lambda s, sums: add(s * lanes, lanes, sums), sums, unrolled=4)
        if rest:
            sums = add(whole * lanes, rest, sums)
        for p, total in enumerate(sums):
            zero = code.number(0, c.kind)
            code.store(code.at(c, p), total.reduce("fadd", zero, flags="reassoc nsz "))


class Squares:
    """Copy a matrix with contiguous columns to one with contiguous rows, in small squares."""

    def __init__(self, code: Code, source: Operand, target: Operand) -> None:
        self.code, self.source, self.target = code, source, target
        self.side = 32 // source.size

    def write(self) -> None:
        """Write the loops over the squares."""
        (rows, columns), side, strips = self.source.shape, self.side, self.code.strips

        def column(j: Index, wide: int) -> None:
            strips(rows, side, lambda i, high: self._square(i, j, high, wide))

        strips(columns, side, column)

    def _square(self, i: Index, j: Index, down: int, across: int) -> None:
        """Write one square: columns are read, and exchanged in blocks of growing size."""
        code, side, size = self.code, self.side, self.source.size
        source, target = code.part(self.source, i, j), code.part(self.target, i, j)
        lines = [code.number(0, source.kind, side)] * side
        for q in range(across):
            lines[q] = code.load(code.at(source, 0, q), source.kind, side, down, size)
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
            code.store(code.at(target, p), lines[p], across, size)
