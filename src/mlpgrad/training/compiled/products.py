"""Matrix products and sums: the choice of a kernel for each, and BLAS for large products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mlpgrad.training.compiled.blas import Blas
from mlpgrad.training.compiled.blocks import Blocks, Matrix, RowSums
from mlpgrad.training.compiled.operands import NotCoveredError, Operand, Operation
from mlpgrad.training.compiled.writing import SIZES, Code, Index

BLAS_FROM = 1 << 20
"""Number of multiplications above which BLAS is used, since its packing then pays."""


class Product(NamedTuple):
    """c (m, n) = a (m, k) b (k, n), all of one type."""

    kind: str
    m: int
    k: int
    n: int
    a: Matrix
    b: Matrix
    c: Matrix

    @property
    def transposed(self) -> Product:
        """The same product, written as c' = b' a'."""
        return Product(self.kind, self.n, self.k, self.m, self.b.T, self.a.T, self.c.T)


class Products:
    """Write the code of products and sums."""

    def __init__(self, code: Code, blas: Blas | None) -> None:
        self.code, self.blas = code, blas

    # the operations

    def dot(self, operation: Operation) -> None:
        """Write NumPy's dot of matrices and vectors."""
        a, b = operation.reads
        out = operation.write
        if max(len(a.shape), len(b.shape)) > 2:
            raise NotCoveredError("dot of more than two axes")
        m = a.shape[0] if len(a.shape) == 2 else 1
        n = b.shape[1] if len(b.shape) == 2 else 1
        left = a.strides if len(a.shape) == 2 else (0, *a.strides)
        right = b.strides if len(b.shape) == 2 else (*b.strides, 0)
        written = out.strides
        if len(written) == 1:
            written = (0, *written) if len(a.shape) == 1 else (*written, 0)
        matrices = Matrix.of(a, left), Matrix.of(b, right), Matrix.of(out, written or (0, 0))
        self.product(Product(_kind(operation), m, a.shape[-1], n, *matrices))

    def matmul(self, operation: Operation) -> None:
        """Write a product for each index of the leading axes."""
        a, b, out = *operation.reads, operation.write
        if min(len(a.shape), len(b.shape)) < 2:
            raise NotCoveredError("matmul of vectors")
        lead = out.shape[:-2]
        kind = _kind(operation)

        def member(depth: int, indices: list[Index]) -> None:
            if depth < len(lead):
                self.code.loop(lead[depth], lambda i, _: member(depth + 1, [*indices, i]))
                return
            parts = [self._part(operand, lead, indices) for operand in (a, b, out)]
            (m, k), n = a.shape[-2:], b.shape[-1]
            self.product(Product(kind, m, k, n, *parts))

        member(0, [])

    def _part(self, operand: Operand, lead: Sequence[int], indices: Sequence[Index]) -> Matrix:
        """Return the matrix of an operand at an index of the leading axes."""
        if operand.value is not None:
            return Matrix.of(operand, operand.strides[-2:])
        own = operand.strides[:-2]
        strides = [0] * (len(lead) - len(own)) + list(own)
        at = self.code.pointer(operand.root, operand.offset, zip(indices, strides, strict=True))
        return Matrix(None, at, 0, operand.strides[-2:])

    def vecdot(self, operation: Operation) -> None:
        """Write the scalar product of each row of one matrix with the same row of another."""
        a, b = operation.reads
        out = operation.write
        if a.shape != b.shape or len(a.shape) > 2:
            raise NotCoveredError("vecdot of broadcast shapes")
        rows = a.shape[0] if len(a.shape) == 2 else 1
        steps = [(0, *o.strides) if len(o.shape) == 1 else o.strides for o in (a, b)]
        left, right = (Matrix.of(o, s) for o, s in zip((a, b), steps, strict=True))
        written = Matrix.of(out, (out.strides[0] if out.strides else 0, 0))
        sums = RowSums(self.code, _kind(operation), a.shape[-1], left, right, written)
        sums.write(rows, moving=True)

    # choice of the kernel

    def product(self, p: Product) -> None:
        """Write a product with the kernel that suits its shape and strides."""
        size = SIZES[p.kind]
        if self.blas and p.m * p.k * p.n >= BLAS_FROM and min(p.m, p.n, p.k) > 1:
            self._by_blas(p)
            return
        if p.n == 1 and p.m > 1:
            if p.a.strides[0] == size and p.c.strides[0] == size:
                self._by_blocks(p.transposed)  # its one row is as long as m
            else:
                RowSums(self.code, p.kind, p.k, p.a, p.b.T, p.c).write(p.m)
        elif p.b.constant or p.n == 1 or (p.b.strides[1] == size and p.c.strides[1] == size):
            self._by_blocks(p)
        elif p.m == 1 and (p.b.strides[0] == size or p.k == 1):
            RowSums(self.code, p.kind, p.k, p.b.T, p.a, p.c.T).write(p.n)
        elif p.b.strides[0] == size and p.c.strides[1] == size:
            self._by_blocks(p._replace(b=self._transposed(p)))
        else:
            raise NotCoveredError(f"a product with strides {p.a.strides} {p.b.strides}")

    def _by_blocks(self, p: Product) -> None:
        Blocks(self.code, p.kind, p.k, p.a, p.b, p.c).write(p.m, p.n)

    def _transposed(self, p: Product) -> Matrix:
        """Copy b to contiguous rows in scratch memory, in small squares."""
        size, base = SIZES[p.kind], self.code.scratch
        self.code.scratch += p.k * p.n * size + 64
        copy = Matrix(None, "%scratch", base, (p.n * size, size))
        Squares(self.code, p.kind, p.b, copy).write(p.k, p.n)
        return copy

    def _by_blas(self, p: Product) -> None:
        """Write a call of gemm, which is column-major: c' = b' a'."""
        assert self.blas is not None
        size, integer = SIZES[p.kind], self.blas.integer
        if p.a.constant or p.b.constant or p.c.strides[1] != size:
            raise NotCoveredError("a large product of constants")
        a_letter, a_step = _leading(p.a.strides, p.m, p.k, size)
        b_letter, b_step = _leading(p.b.strides, p.k, p.n, size)
        numbers = (p.n, p.m, p.k, b_step, a_step, p.c.strides[0] // size)
        name = self._constant(integer, numbers)
        n, m, k, ldb, lda, ldc = (
            f"getelementptr ([6 x {integer}], ptr {name}, i64 0, i64 {i})" for i in range(6)
        )
        one, zero = f"@one_{p.kind}", f"@zero_{p.kind}"
        a, b, c = (matrix.pointer(self.code) for matrix in (p.a, p.b, p.c))
        args = [f"@letter{b_letter}", f"@letter{a_letter}", n, m, k, one, b, ldb, a, lda]
        args += [zero, c, ldc]
        gemm = self.code.op(f"load ptr, ptr %gemm_{p.kind}")
        self.code.do(f"call void {gemm}({', '.join('ptr ' + arg for arg in args)})")

    def _constant(self, integer: str, numbers: Sequence[int]) -> str:
        """Return the name of a constant array; equal arrays share a name, also across functions."""
        name = "@k" + "_".join(map(str, numbers))
        values = ", ".join(f"{integer} {number}" for number in numbers)
        line = f"{name} = private constant [{len(numbers)} x {integer}] [{values}]"
        if line not in self.code.constants:
            self.code.constants.append(line)
        return name


class Squares:
    """Copy a matrix with contiguous columns to one with contiguous rows."""

    def __init__(self, code: Code, kind: str, source: Matrix, target: Matrix) -> None:
        self.code, self.kind, self.source, self.target = code, kind, source, target
        self.side = 32 // SIZES[kind]

    def write(self, rows: int, columns: int) -> None:
        """Write the copy of (rows, columns)."""
        side, strips = self.side, self.code.strips
        strips(
            columns,
            side,
            lambda j, wide: strips(rows, side, lambda i, high: self._square(i, j, high, wide)),
        )

    def _square(self, i: Index, j: Index, down: int, across: int) -> None:
        """Write one square: columns are read, and exchanged in blocks of growing size."""
        code, kind, side = self.code, self.kind, self.side
        size, (row, column) = SIZES[kind], self.source.strides
        lines = ["zeroinitializer"] * side
        for q in range(across):
            at = self.source.pointer(code, [(j, column), (i, row)], q * column)
            lines[q] = code.load(at, kind, side, down, size)
        step = 1
        while step < side:
            lines = self._swapped(lines, step)
            step *= 2
        for p in range(down):
            at = self.target.pointer(
                code, [(i, self.target.strides[0]), (j, size)], p * self.target.strides[0]
            )
            code.store(at, lines[p], kind, side, across, size)

    def _swapped(self, lines: list[str], step: int) -> list[str]:
        side, new = self.side, list(lines)
        for q in range(side):
            if not q & step:
                low = [p if not p & step else side + p - step for p in range(side)]
                high = [p + step if not p & step else side + p for p in range(side)]
                pair = lines[q], lines[q | step]
                new[q] = self.code.shuffle(*pair, low, self.kind, side)
                new[q | step] = self.code.shuffle(*pair, high, self.kind, side)
        return new


def _leading(strides: Sequence[int], rows: int, columns: int, size: int) -> tuple[str, int]:
    """Return a matrix's arguments for BLAS: whether it is transposed, and its leading dimension."""
    if strides[1] == size or columns == 1:
        return "N", strides[0] // size or columns
    if strides[0] == size or rows == 1:
        return "T", strides[1] // size or rows
    raise NotCoveredError("a large product of a matrix with gaps")


def _kind(operation: Operation) -> str:
    """Return the common floating type of all operands."""
    kinds = {operand.kind for operand in (*operation.reads, operation.write)}
    if len(kinds) > 1 or not kinds <= {"f4", "f8"}:
        raise NotCoveredError(f"{operation.kind} of {sorted(kinds)}")
    return kinds.pop()
