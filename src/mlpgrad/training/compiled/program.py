"""A recorded step and update as one compiled function, and its tables of pointers."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.training.compiled.blas import Blas
from mlpgrad.training.compiled.elementwise import Elementwise
from mlpgrad.training.compiled.epoch import write_train
from mlpgrad.training.compiled.fusing import Group, grouped, read_from_memory
from mlpgrad.training.compiled.machine import compiled, machine
from mlpgrad.training.compiled.operands import (
    NotCoveredError,
    Operand,
    Operation,
    Reader,
    Tapes,
    address,
    addresses,
)
from mlpgrad.training.compiled.products import matmul, vecdot
from mlpgrad.training.compiled.rows import argmax, random, take
from mlpgrad.training.compiled.writing import FIXED, Code
from mlpgrad.training.tape import Call

MOST_KNOWN = 64
"""Number of modules whose text is kept, so that repeated calls of `fit` write it once."""
WRITERS = {writer.__name__: writer for writer in (matmul, vecdot, argmax, take, random)}
"""Functions that write what is not element-wise."""


class Program:
    """Compiled tapes.

    Attributes
    ----------
    entries : list
        What the code works on: see `Reader`.
    function : callable (rows, members, batches, before)
        `train` in `epoch`, which `run` calls; it releases Python's lock.
    """

    def __init__(self, tapes: Tapes[Call, Array], blas: Blas | None) -> None:
        self.blas, reader = blas, Reader()
        try:
            text, self._scratch = written(reader.read(tapes), blas and blas.integer)
            self._engine, place = compiled(text)
        except (ImportError, OSError, RuntimeError) as error:  # another llvmlite, for instance
            raise NotCoveredError(f"a step that LLVM refuses ({error})") from error
        self.entries = reader.entries
        self._alive: list[Any] = []
        self.function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(place)

    def run(self, arrays: Sequence[Array], batches: int, before: int) -> None:
        """Train members one after the other, without Python's lock.

        Parameters
        ----------
        arrays : sequence of array (members, ...)
            The arrays of ROW in `epoch`, in that order, with a row for each member.
        batches, before : int
            The number of steps to make, and the number of steps made before.
        """
        members = len(arrays[0])
        rows = np.stack([addresses(array, members) for array in arrays], axis=-1)
        self.function(address(rows), members, batches, before)

    def table(self, place: Callable[[Any], Any]) -> Array:
        """Return the pointers for one network, and keep what they point to.

        Parameters
        ----------
        place : callable
            Maps an array or generator of the tapes to the one to use instead.
        """
        room = np.empty(self._scratch + 64, np.uint8)
        gemms = self.blas.addresses if self.blas else {}
        fixed = {"scratch": address(room)} | {f"gemm_{k}": at for k, at in gemms.items()}
        pointers = [fixed.get(name, 0) for name in FIXED]
        self._alive.append(room)
        for thing, name in self.entries:
            self._alive.append(moved := place(thing))
            found = getattr(moved.bit_generator.ctypes, name) if name else address(moved)
            pointers.append(ctypes.cast(found, ctypes.c_void_p).value or 0)
        return np.array(pointers, np.uintp)


def steps_made(losses: Array) -> int:
    """Return the number of steps before the first loss that is not finite, of any member."""
    finite: Array = np.isfinite(np.atleast_2d(losses)).all(axis=0)
    return finite.size if finite.all() else int(finite.argmin())


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
    code = Code(machine().width, machine().registers, integer)
    step, update = grouped(tapes.step), grouped(tapes.update)
    later = [*read_from_memory([*step, *update]), *tapes.scalars, *tapes.flats, *tapes.kept]
    code.function("internal void @step(ptr %table)", lambda: _write(code, step, later))
    code.function("internal void @update(ptr %table)", lambda: _write(code, update, later))
    write_train(code, tapes, machine().processor)
    return code.text, code.scratch


def _write(code: Code, groups: Sequence[Group], later: Sequence[Operand]) -> None:
    """Write the loops of one part of the step."""
    for group in groups:
        if group.elementwise:
            Elementwise(code, group, later).write()
        else:
            (operation,) = group.operations
            WRITERS[operation.kind](code, operation)
