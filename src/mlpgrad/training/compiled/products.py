"""Matrix products and sums: the choice of a kernel for each."""

from __future__ import annotations

import math

from mlpgrad.training.compiled.blocks import SIDE, Blocks, row_sums, transpose
from mlpgrad.training.compiled.operands import NotCoveredError, Operand, Operation
from mlpgrad.training.compiled.panels import Panels
from mlpgrad.training.compiled.values import Index
from mlpgrad.training.compiled.writing import Code

LARGE = 1 << 20
"""Number of multiplications from which a product is computed in panels, by several threads."""


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


def cycles(operation: Operation, width: int) -> float:
    """Return about how many cycles a product takes, at two vectors of `width` bytes per cycle."""
    if operation.kind != "matmul":
        return 0
    (a, _), c = operation.reads, operation.write
    return math.prod(c.shape) * a.shape[-1] * c.size / (2 * width)


def product(code: Code, a: Operand, b: Operand, c: Operand) -> None:
    """Write a product of matrices with the kernel that suits its shape and strides."""
    (m, k), n, size = a.shape, b.shape[1], c.size
    plain = a.value is None is b.value
    large = plain and m * k * n >= LARGE and min(m, n) > 1 and k * size >= SIDE
    if large and c.strides[1] == size and size in a.strides and size in b.strides:
        inside = any(isinstance(operand.root, str) for operand in (a, b, c))
        Panels(code, a, b, c, shared=code.shared and not inside).write()
    elif n == 1 < m and a.strides[0] == c.strides[0] == size:
        Blocks(code, b.T, a.T, c.T).write()  # its one row is as long as m
    elif n == 1 or (b.value is not None and a.strides[1] == size):  # b has equal columns
        row_sums(code, a, b.T, c)
    elif b.value is not None or b.strides[1] == c.strides[1] == size:
        Blocks(code, a, b, c).write()
    elif m == 1:
        row_sums(code, b.T, a, c.T)
    elif b.strides[0] == c.strides[1] == size:
        rows = code.room(b.kind, k, n)
        transpose(code, b, rows, k, n)
        Blocks(code, a, rows, c).write()
    else:
        raise NotCoveredError(f"a product with strides {a.strides} {b.strides}")


def _operands(operation: Operation) -> tuple[Operand, Operand, Operand]:
    """Return the two factors and the result, which must be of one floating type."""
    (a, b), c = operation.reads, operation.write
    kinds = {a.kind, b.kind, c.kind}
    if len(kinds) > 1 or not kinds <= {"f4", "f8"}:
        raise NotCoveredError(f"{operation.kind} of {sorted(kinds)}")
    return a, b, c
