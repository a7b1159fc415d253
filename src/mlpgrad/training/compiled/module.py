"""All functions of a compiled step as one module, in LLVM's text format."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from mlpgrad.training.compiled import rows
from mlpgrad.training.compiled.blocks import RowSums
from mlpgrad.training.compiled.elementwise import Elementwise
from mlpgrad.training.compiled.epoch import write_train
from mlpgrad.training.compiled.fusing import Group, grouped, read_from_memory
from mlpgrad.training.compiled.machine import machine
from mlpgrad.training.compiled.operands import Operand, Operation, Tapes
from mlpgrad.training.compiled.products import Products
from mlpgrad.training.compiled.values import Value
from mlpgrad.training.compiled.writing import Code

MOST_KNOWN = 64
"""Number of modules whose text is kept, so that repeated calls of `fit` write it once."""


@functools.lru_cache(MOST_KNOWN)
def written(tapes: Tapes[Operation, Operand], integer: str | None) -> tuple[str, int]:
    """Return the text of a module, and the bytes of scratch memory that its functions need.

    Parameters
    ----------
    tapes : Tapes
        Equal tapes give equal machine code.
    integer : str or None
        LLVM's type of the integers that BLAS expects; None without BLAS.
    """
    code = Code(machine().width, machine().registers)
    step, update = grouped(tapes.step), grouped(tapes.update)
    looks = [tapes.value, *tapes.scalars, *tapes.weights, tapes.grads, *tapes.kept]
    later = [*read_from_memory([*step, *update]), *looks]
    products = Products(code, integer)
    code.function("internal void @step(ptr %table)", lambda: _write(products, step, later))
    code.function("internal void @update(ptr %table)", lambda: _write(products, update, later))
    result = code.number(0, tapes.grads.kind).type
    code.function(f"internal {result} @squares(ptr %table)", lambda: _squares(code, tapes.grads))
    write_train(code, tapes, machine().processor)
    return code.text, code.scratch


def _write(products: Products, groups: Sequence[Group], later: Sequence[Operand]) -> None:
    """Write the loops of one part of the step."""
    for group in groups:
        if group.elementwise:
            Elementwise(products.code, group, later).write()
            continue
        (operation,) = group.operations
        writer = getattr(products, operation.kind, None)
        if writer is not None:
            writer(operation)
        else:
            getattr(rows, operation.kind)(products.code, operation)


def _squares(code: Code, grads: Operand) -> Value:
    """Write the sum of squares of the gradient."""
    total = Operand(grads.kind, (1, 1), (0, 0), "scratch", code.scratch)
    code.scratch += 64
    x = grads.inserted(0)
    RowSums(code, x, x, total).write()
    return code.read(total, ())
