"""Matrix products and sums: the choice of a kernel for each, and BLAS for large products."""

from __future__ import annotations

from mlpgrad.training.compiled.blocks import Blocks, row_sums, transpose
from mlpgrad.training.compiled.operands import NotCoveredError, Operand, Operation
from mlpgrad.training.compiled.values import ELEMENTS, Index
from mlpgrad.training.compiled.writing import Code

BLAS_FROM = 1 << 20
"""Number of multiplications above which BLAS is used, since its packing then pays."""


def matmul(code: Code, operation: Operation) -> None:
    """Write a product of matrices for each index of the leading axes."""
    operands = _operands(operation)
    lead = operation.write.shape[:-2]
    if min(len(operand.shape) for operand in operands) < 2:
        raise NotCoveredError("matmul of vectors")

    def member(*indices: Index) -> None:
        own = [indices[len(lead) + 2 - len(operand.shape) :] for operand in operands]
        parts = [code.part(o, *places) for o, places in zip(operands, own, strict=True)]
        product(code, *(o._replace(shape=o.shape[-2:], strides=o.strides[-2:]) for o in parts))

    code.nest(lead, member)


def vecdot(code: Code, operation: Operation) -> None:
    """Write the scalar product of each row of one matrix with the same row of another."""
    a, b, c = _operands(operation)
    if a.shape != b.shape or len(a.shape) > 2:
        raise NotCoveredError("vecdot of broadcast shapes")
    row_sums(code, a, b, c)


def product(code: Code, a: Operand, b: Operand, c: Operand) -> None:
    """Write a product of matrices with the kernel that suits its shape and strides."""
    (m, k), n, size = a.shape, b.shape[1], c.size
    if code.integer and m * k * n >= BLAS_FROM and min(m, n, k) > 1:
        _by_blas(code, code.integer, a, b, c)
    elif n == 1 < m and a.strides[0] == c.strides[0] == size:
        Blocks(code, b.T, a.T, c.T).write()  # its one row is as long as m
    elif n == 1:
        row_sums(code, a, b.T, c)
    elif b.value is not None or b.strides[1] == c.strides[1] == size:
        Blocks(code, a, b, c).write()
    elif m == 1:
        row_sums(code, b.T, a, c.T)
    elif b.strides[0] == c.strides[1] == size:
        rows = code.room(b.kind, k, n)
        transpose(code, b, rows)
        Blocks(code, a, rows, c).write()
    else:
        raise NotCoveredError(f"a product with strides {a.strides} {b.strides}")


def _by_blas(code: Code, integer: str, a: Operand, b: Operand, c: Operand) -> None:
    """Write a call of gemm, which is column-major: c' = b' a'."""
    (m, k), n, size = a.shape, b.shape[1], c.size
    if a.value is not None or b.value is not None or c.strides[1] != size:
        raise NotCoveredError("a large product of constants")

    def constant(kind: str, number: object) -> str:
        """Return the name of a constant in memory."""
        name = f"@{kind}_{number}"
        code.outside[name] = f"{name} = private constant {kind} {number}"
        return name

    (a_letter, a_step), (b_letter, b_step) = _leading(a), _leading(b)
    numbers = [n, m, k, b_step, a_step, c.strides[0] // size]
    sizes = [constant(integer, number) for number in numbers]
    letters = [constant("i8", ord(letter)) for letter in (b_letter, a_letter)]
    one, zero = (constant(ELEMENTS[c.kind], number) for number in (1.0, 0.0))
    pa, pb, pc = (code.at(operand).name for operand in (a, b, c))
    args = [*letters, *sizes[:3], one, pb, sizes[3], pa, sizes[4], zero, pc, sizes[5]]
    gemm = code.root(f"gemm_{c.kind}")
    code.do(f"call void {gemm.name}({', '.join('ptr ' + arg for arg in args)})")


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
