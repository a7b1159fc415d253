"""Kernels for matrix products: blocks of sums in registers, and sums along rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.writing import (
    ELEMENTS,
    SIZES,
    Code,
    Index,
    Values,
    lanes_for,
    literal,
    splatted,
    vector_of,
)


class Matrix(NamedTuple):
    """A matrix, given by its address and strides in bytes, or a constant."""

    value: Any
    root: int | str
    offset: int
    strides: Sequence[int]

    @classmethod
    def of(cls, operand: Operand, strides: Sequence[int]) -> Self:
        """Return an operand as a matrix."""
        return cls(operand.value, operand.root, operand.offset, strides)

    @property
    def constant(self) -> bool:
        return self.value is not None

    @property
    def T(self) -> Matrix:  # noqa: N802  # NumPy's name
        """The transposed matrix."""
        return self._replace(strides=self.strides[::-1])

    def pointer(self, code: Code, pairs: Iterable[tuple[Index, int]] = (), offset: int = 0) -> str:
        """Return the address of an element."""
        return code.pointer(self.root, self.offset + offset, pairs)


class Blocks:
    """c = a b in blocks of rows x vectors of sums kept in registers; b has contiguous rows."""

    def __init__(self, code: Code, kind: str, k: int, a: Matrix, b: Matrix, c: Matrix) -> None:
        self.code, self.kind, self.k, self.a, self.b, self.c = code, kind, k, a, b, c

    def write(self, m: int, n: int) -> None:
        """Write the product for m rows and n columns."""
        code = self.code
        self.n = n
        self.lanes = min(code.lanes(SIZES[self.kind], m * n), lanes_for(n))
        self.vector = vector_of(self.kind, self.lanes)
        columns = -(-n // self.lanes)
        rows, vectors = self._choice(m, columns)
        if columns <= vectors:
            self._panel(0, columns, m, rows)
            return
        whole = n // self.lanes // vectors  # panels of full vectors only
        if whole:
            code.loop(whole, lambda j, _: self._panel(code.times(j, vectors), vectors, m, rows))
        if columns > whole * vectors:
            self._panel(whole * vectors, columns - whole * vectors, m, rows)

    def _choice(self, m: int, columns: int) -> tuple[int, int]:
        """Return the block size with the fewest cycles among those that fit into the registers."""
        choices = [
            (rows, vectors)
            for vectors in range(1, min(columns, 6) + 1)
            for rows in range(1, min(m, 14) + 1)
            if rows * vectors + vectors + 1 <= self.code.registers
        ]

        def cost(rows: int, vectors: int) -> float:
            total = 0.0
            for r, high in ((rows, m // rows), (m % rows, 1)):
                for v, wide in ((vectors, columns // vectors), (columns % vectors, 1)):
                    if r and v:  # two multiplications, two reads or five instructions per cycle
                        cycles = max(r * v / 2, (r + v) / 2, (r + v + r * v + 2) / 5, 4.5)
                        total += high * wide * (self.k * cycles + 12 + r * v)
            return total

        return min(choices, key=lambda choice: cost(*choice))

    def _panel(self, j: Index, vectors: int, m: int, rows: int) -> None:
        """Write the code for all rows of some columns."""
        self.code.strips(m, rows, lambda i, high: self._block(i, j, high, vectors))

    def _block(self, i: Index, j: Index, rows: int, vectors: int) -> None:
        """Write the sums of one block over all of k, and their stores."""
        code, lanes = self.code, self.lanes
        used = [lanes] * vectors
        if isinstance(j, int):
            used[-1] = min(lanes, self.n - (j + vectors - 1) * lanes)
        across = "" if self.b.constant else self.b.pointer(code, [(j, lanes * self.b.strides[1])])
        down = "" if self.a.constant else self.a.pointer(code, [(i, self.a.strides[0])])
        start = [(self.vector, "zeroinitializer")] * (rows * vectors)

        def add(step: Index, sums: Values) -> Values:
            return self._sums(step, sums, across, down, rows, used)

        if self.k <= 4:
            sums: Values = [value for _, value in start]
            for step in range(self.k):
                sums = add(step, sums)
        else:
            sums = code.loop(self.k, add, start)
        first = self.c.pointer(code, [(i, self.c.strides[0]), (j, lanes * self.c.strides[1])])
        for p in range(rows):
            for q in range(vectors):
                at = code.pointer(first, p * self.c.strides[0] + q * lanes * self.c.strides[1])
                value, size = sums[p * vectors + q], SIZES[self.kind]
                code.store(at, value, self.kind, lanes, used[q], size)

    def _sums(
        self, step: Index, sums: Values, across: str, down: str, rows: int, used: Sequence[int]
    ) -> Values:
        """Add one more product to each sum."""
        code, kind, lanes, vector = self.code, self.kind, self.lanes, self.vector
        size = SIZES[kind]
        factors = []
        for q, count in enumerate(used):
            if self.b.constant:
                factors.append(splatted(self.b.value, kind, lanes))
                continue
            at = code.pointer(across, q * lanes * self.b.strides[1], [(step, self.b.strides[0])])
            factors.append(code.load(at, kind, lanes, count, size))
        new = []
        for p in range(rows):
            if self.a.constant:
                one = splatted(self.a.value, kind, lanes)
            else:
                at = code.pointer(down, p * self.a.strides[0], [(step, self.a.strides[1])])
                one = code.load(at, kind, lanes, 1, 0)
            for q, factor in enumerate(factors):
                args = one, factor, sums[p * len(used) + q]
                name = f"llvm.fma.v{lanes}f{8 * size}"
                new.append(code.call(name, vector, *(f"{vector} {arg}" for arg in args)))
        return new


class RowSums:
    """c_i = sum_k a_ik b_k, along the rows of a, with vectors of partial sums."""

    def __init__(self, code: Code, kind: str, k: int, a: Matrix, b: Matrix, c: Matrix) -> None:
        self.code, self.kind, self.k, self.a, self.b, self.c = code, kind, k, a, b, c
        self.moving = False

    def write(self, m: int, *, moving: bool = False) -> None:
        """Write the sums of m rows; with `moving`, each row has its own row of b."""
        self.moving = moving
        self.lanes = min(self.code.lanes(SIZES[self.kind], m * self.k), lanes_for(self.k))
        self.vector = vector_of(self.kind, self.lanes)
        rows = min(m, 8 if self.k // self.lanes <= 4 else 4)
        self.code.strips(m, rows, self._block)

    def _block(self, i: Index, rows: int) -> None:
        """Write several rows at once, so that their sums do not depend on one another."""
        code, kind, lanes = self.code, self.kind, self.lanes
        whole, rest = divmod(self.k, lanes)
        sums: Values = []
        if whole > 4:
            sums = code.loop(
                whole,
                lambda s, sums: self._sums(i, code.times(s, lanes), lanes, sums, rows),
                [(self.vector, "zeroinitializer")] * rows,
            )
        else:
            for s in range(whole):
                sums = self._sums(i, s * lanes, lanes, sums, rows)
        if rest:
            sums = self._sums(i, whole * lanes, rest, sums, rows)
        element, size = ELEMENTS[kind], SIZES[kind]
        name = f"llvm.vector.reduce.fadd.v{lanes}f{8 * size}"
        for p in range(rows):
            args = f"{element} {literal(0.0, kind)}", f"{self.vector} {sums[p]}"
            total = code.call(name, element, *args, flags="reassoc nsz ")
            at = self.c.pointer(code, [(i, self.c.strides[0])], p * self.c.strides[0])
            code.do(f"store {element} {total}, ptr {at}, align {size}")

    def _read(self, matrix: Matrix, i: Index, p: int, start: Index, used: int) -> str:
        row, column = matrix.strides
        at = matrix.pointer(self.code, [(i, row), (start, column)], p * row)
        return self.code.load(at, self.kind, self.lanes, used, column)

    def _sums(self, i: Index, start: Index, used: int, sums: Values, rows: int) -> Values:
        """Add one more vector to each sum; the first vectors start the sums."""
        code, vector = self.code, self.vector
        factor = ""
        if self.b.constant and self.b.value != 1:
            factor = splatted(self.b.value, self.kind, self.lanes)
        elif not self.b.constant and not self.moving:
            factor = self._read(self.b._replace(strides=(0, self.b.strides[1])), 0, 0, start, used)
        new = []
        for p in range(rows):
            x = self._read(self.a, i, p, start, used)
            if self.moving:
                factor = self._read(self.b, i, p, start, used)
            if not factor:
                new.append(code.op(f"fadd {vector} {sums[p]}, {x}") if sums else x)
            elif not sums:
                new.append(code.op(f"fmul {vector} {x}, {factor}"))
            else:
                name = f"llvm.fma.v{self.lanes}f{8 * SIZES[self.kind]}"
                args = (f"{vector} {arg}" for arg in (x, factor, sums[p]))
                new.append(code.call(name, vector, *args))
        return new
