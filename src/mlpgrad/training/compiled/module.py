"""All functions of a compiled step as one module, in LLVM's text format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mlpgrad.training.compiled.blas import NAMES, Blas
from mlpgrad.training.compiled.blocks import Matrix, RowSums
from mlpgrad.training.compiled.elementwise import Elementwise
from mlpgrad.training.compiled.epoch import Layout, loop
from mlpgrad.training.compiled.fusing import Group, Nest, grouped, read_from_memory
from mlpgrad.training.compiled.machine import Machine
from mlpgrad.training.compiled.operands import NotCoveredError, Operand, Operation
from mlpgrad.training.compiled.products import Products
from mlpgrad.training.compiled.rows import Rows
from mlpgrad.training.compiled.writing import ELEMENTS, SIZES, Code

PRELUDE = """@one_f4 = private constant float 1.0
@zero_f4 = private constant float 0.0
@one_f8 = private constant double 1.0
@zero_f8 = private constant double 0.0
@letterN = private constant [1 x i8] c"N"
@letterT = private constant [1 x i8] c"T"
"""


class Description(NamedTuple):
    """The inputs of a module's text: equal descriptions give equal machine code.

    Attributes
    ----------
    step, update : tuple of Operation
    looks : tuple of Operand
        Operands that are read after the step.
    grads : Operand
    layout : Layout
    roots, generators : int
        Numbers of buffers and random generators in the table of pointers.
    """

    step: tuple[Operation, ...]
    update: tuple[Operation, ...]
    looks: tuple[Operand, ...]
    grads: Operand
    layout: Layout
    roots: int
    generators: int


def table_names(description: Description) -> list[tuple[str, bool]]:
    """Return the table's entries in order: the name, and whether the code loads the pointer."""
    names = [(f"base{k}", True) for k in range(description.roots)]
    for k in range(description.generators):
        names += [(f"state{k}", False), (f"next{k}_i32", False), (f"next{k}_i64", False)]
    return [*names, *[(f"gemm_{kind}", False) for kind in NAMES], ("scratch", True)]


class Module:
    """The text of a module.

    Attributes
    ----------
    text : str
    scratch : int
        Bytes of scratch memory that the functions need.
    """

    def __init__(self, description: Description, machine: Machine, blas: Blas | None) -> None:
        self.description, self.machine, self.blas = description, machine, blas
        self.scratch = 0
        self._constants: list[str] = []
        self._declared: dict[str, str] = {}
        self.text = self._written()

    def _written(self) -> str:
        wanted = self.description
        nests = grouped(wanted.step), grouped(wanted.update)
        later = [*read_from_memory([*nests[0], *nests[1]]), *wanted.looks]
        functions = [
            self._function("void", "step", lambda code: self._nests(code, nests[0], later)),
            self._function("void", "update", lambda code: self._nests(code, nests[1], later)),
            self._function(ELEMENTS[wanted.layout.kind], "squares", self._squares),
        ]
        declared, last = self._declared.values(), loop(wanted.layout, self.machine.processor)
        return "\n".join([PRELUDE, *self._constants, *declared, *functions, last])

    def _nests(self, code: Code, nests: Sequence[Nest], later: Sequence[Operand]) -> str:
        """Write the loops of one part of the step."""
        writers = Products(code, self.blas), Rows(code)
        for nest in nests:
            if isinstance(nest, Group):
                Elementwise(code, nest, later).write()
                continue
            writer = next((w for w in writers if hasattr(w, nest.kind)), None)
            if writer is None:
                raise NotCoveredError(nest.kind)
            getattr(writer, nest.kind)(nest)
        return "void"

    def _squares(self, code: Code) -> str:
        """Write the sum of squares of the gradient."""
        grads, kind = self.description.grads, self.description.layout.kind
        base, element = code.scratch, ELEMENTS[kind]
        code.scratch += 64
        x = Matrix.of(grads, (0, SIZES[kind]))
        total = Matrix(None, "%scratch", base, (0, 0))
        RowSums(code, kind, grads.shape[0], x, x, total).write(1)
        return f"{element} " + code.op(f"load {element}, ptr {code.pointer('%scratch', base)}")

    def _function(self, result: str, name: str, write: Callable[[Code], str]) -> str:
        """Return a function of the table of pointers, which loads only the entries that it uses."""
        code = Code(self.machine.width, self.machine.registers)
        code.constants, code.declared = self._constants, self._declared
        code.do(f"ret {write(code)}")
        self.scratch = max(self.scratch, code.scratch)
        body = "\n".join(code.lines)
        entry = []
        for number, (pointer, loaded) in enumerate(table_names(self.description)):
            if any(f"%{pointer}{end}" in body for end in (",", ")", "\n", " ")):
                at = f"%at_{pointer}" if loaded else f"%{pointer}"
                entry.append(f"  {at} = getelementptr ptr, ptr %table, i64 {number}")
                if loaded:
                    entry.append(f"  %{pointer} = load ptr, ptr {at}")
        head = f"define internal {result} @{name}(ptr %table) {{\nentry:"
        return "\n".join([head, *entry, body, "}"])
