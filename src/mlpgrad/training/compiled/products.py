"""Matrix products and sums: the choice of a kernel for each, and BLAS for large products."""

from __future__ import annotations

from mlpgrad.training.compiled.blocks import Blocks, row_sums, transpose
from mlpgrad.training.compiled.operands import NotCoveredError, Operand, Operation
from mlpgrad.training.compiled.values import Index
from mlpgrad.training.compiled.writing import Code

BLAS_FROM = 1 << 20
"""Number of multiplications above which BLAS is used, since its packing then pays."""


class Products:
    """Write the code of products and sums.

    Parameters
    ----------
    code : Code
    integer : str or None
        LLVM's type of the integers that BLAS expects; None without BLAS.
    """

    def __init__(self, code: Code, integer: str | None) -> None:
        self.code, self.integer = code, integer

    # the operations

    def matmul(self, operation: Operation) -> None:
        """Write a product for each index of the leading axes."""
        operands = _operands(operation)
        lead = operation.write.shape[:-2]
        if min(len(operand.shape) for operand in operands) < 2:
            raise NotCoveredError("matmul of vectors")

        def member(*indices: Index) -> None:
            own = [indices[len(lead) + 2 - len(operand.shape) :] for operand in operands]
            parts = [self.code.part(o, *places) for o, places in zip(operands, own, strict=True)]
            self.product(*(o._replace(shape=o.shape[-2:], strides=o.strides[-2:]) for o in parts))

        self.code.nest(lead, member)

    def vecdot(self, operation: Operation) -> None:
        """Write the scalar product of each row of one matrix with the same row of another."""
        a, b, c = _operands(operation)
        if a.shape != b.shape or len(a.shape) > 2:
            raise NotCoveredError("vecdot of broadcast shapes")
        row_sums(self.code, a, b, c)

    # choice of the kernel

    def product(self, a: Operand, b: Operand, c: Operand) -> None:
        """Write a product of matrices with the kernel that suits its shape and strides."""
        (m, k), n, size = a.shape, b.shape[1], c.size
        if self.integer and m * k * n >= BLAS_FROM and min(m, n, k) > 1:
            self._by_blas(self.integer, a, b, c)
        elif n == 1 < m and a.strides[0] == c.strides[0] == size:
            Blocks(self.code, b.T, a.T, c.T).write()  # its one row is as long as m
        elif n == 1:
            row_sums(self.code, a, b.T, c)
        elif b.value is not None or b.strides[1] == c.strides[1] == size:
            Blocks(self.code, a, b, c).write()
        elif m == 1:
            row_sums(self.code, b.T, a, c.T)
        elif b.strides[0] == c.strides[1] == size:
            Blocks(self.code, a, self._transposed(b), c).write()
        else:
            raise NotCoveredError(f"a product with strides {a.strides} {b.strides}")

    def _transposed(self, b: Operand) -> Operand:
        """Copy b to contiguous rows in scratch memory."""
        rows, columns = b.shape
        strides, base = (columns * b.size, b.size), self.code.scratch
        self.code.scratch += rows * columns * b.size + 64
        copy = Operand(b.kind, b.shape, strides, "scratch", base)
        transpose(self.code, b, copy)
        return copy

    def _by_blas(self, integer: str, a: Operand, b: Operand, c: Operand) -> None:
        """Write a call of gemm, which is column-major: c' = b' a'."""
        (m, k), n, size = a.shape, b.shape[1], c.size
        if a.value is not None or b.value is not None or c.strides[1] != size:
            raise NotCoveredError("a large product of constants")
        a_letter, a_step = _leading(a)
        b_letter, b_step = _leading(b)
        numbers = [n, m, k, b_step, a_step, c.strides[0] // size]
        sizes = [self._constant(integer, str(number)) for number in numbers]
        letters = [self._constant("i8", str(ord(letter))) for letter in (b_letter, a_letter)]
        element = self.code.number(1, c.kind).type
        one, zero = (self._constant(element, number) for number in ("1.0", "0.0"))
        pa, pb, pc = (self.code.at(operand).name for operand in (a, b, c))
        args = [*letters, *sizes[:3], one, pb, sizes[3], pa, sizes[4], zero, pc, sizes[5]]
        gemm = self.code.root(f"gemm_{c.kind}")
        self.code.do(f"call void {gemm.name}({', '.join('ptr ' + arg for arg in args)})")

    def _constant(self, kind: str, number: str) -> str:
        """Return the name of a constant in memory."""
        name = f"@{kind}_{number}"
        self.code.outside[name] = f"{name} = private constant {kind} {number}"
        return name


def _leading(matrix: Operand) -> tuple[str, int]:
    """Return a matrix's arguments for BLAS: whether it is transposed, and its leading dimension."""
    (rows, columns), strides, size = matrix.shape, matrix.strides, matrix.size
    if strides[1] == size or columns == 1:
        return "N", strides[0] // size or columns
    if strides[0] == size or rows == 1:
        return "T", strides[1] // size or rows
    raise NotCoveredError("a large product of a matrix with gaps")


def _operands(operation: Operation) -> tuple[Operand, Operand, Operand]:
    """Return the two factors and the result, which must be of one floating type."""
    (a, b), c = operation.reads, operation.write
    kinds = {a.kind, b.kind, c.kind}
    if len(kinds) > 1 or not kinds <= {"f4", "f8"}:
        raise NotCoveredError(f"{operation.kind} of {sorted(kinds)}")
    return a, b, c
