"""A recorded step and update as one compiled function, and its tables of pointers."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.memory import address, addresses, aligned
from mlpgrad.training.compiled.elementwise import Elementwise
from mlpgrad.training.compiled.epoch import write_train
from mlpgrad.training.compiled.fusing import Group, grouped
from mlpgrad.training.compiled.machine import compiled, give_way, machine
from mlpgrad.training.compiled.operands import NotCoveredError, Operand, Operation, Reader, Tapes
from mlpgrad.training.compiled.products import cycles, matmul, vecdot
from mlpgrad.training.compiled.rows import argmax, random, take
from mlpgrad.training.compiled.sharing import BOARD, CLOSED, GIVE_WAY, write_sharing
from mlpgrad.training.compiled.writing import Code
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
    helpers : int
        Number of threads that help with large products and long loops; 0 if there are none.
    """

    def __init__(self, tapes: Tapes[Call, Array], helpers: int) -> None:
        reader = Reader()
        try:
            if not machine().fuses:
                raise NotCoveredError("a step on a processor without fused multiply-add")
            text, self._scratch, self._own = written(reader.read(tapes), helpers > 0)
            self._engine, place, serve = compiled(text)
        except (ImportError, OSError, RuntimeError) as error:  # another llvmlite, for instance
            raise NotCoveredError(f"a step that LLVM refuses ({error})") from error
        self.entries = reader.entries
        self._train = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(place)
        self._serve = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(serve)
        self.helpers = helpers if serve else 0
        self._board = aligned((BOARD,), np.int64)
        self._pool = ThreadPoolExecutor(max(1, helpers))

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
        self.train(address(rows), members, batches, before)

    def train(self, rows: int, members: int, batches: int, before: int) -> None:
        """Call `train` in `epoch`, without Python's lock, while other threads help."""
        self._board[:] = 0
        self._board[GIVE_WAY] = give_way()
        helping: list[Future[None]] = []
        try:
            for _ in range(self.helpers):
                helping.append(self._pool.submit(self._help))
            self._train(rows, members, batches, before)
        finally:
            self._board[CLOSED] = 1  # after an error, too: the helpers look for tasks until then
            for helper in helping:
                helper.result()

    def _help(self) -> None:
        """Work on the tasks of `train` in another thread."""
        own = aligned((self._own,), np.uint8)
        self._serve(address(self._board), address(own))

    def close(self) -> None:
        """End the helping threads."""
        self._pool.shutdown()

    def table(self, place: Callable[[Any], Any], alive: list[Any]) -> Array:
        """Return the pointers for one network.

        Parameters
        ----------
        place : callable
            Maps an array or generator of the tapes to the one to use instead.
        alive : list
            What they point to is appended, and must be kept as long as they are used.
        """
        scratch, own = (aligned((size,), np.uint8) for size in (self._scratch, self._own))
        pointers = [address(scratch), address(own), address(self._board), 0]  # those of FIXED
        alive += [scratch, own]
        for thing, name in self.entries:
            alive.append(moved := place(thing))
            found = getattr(moved.bit_generator.ctypes, name) if name else address(moved)
            pointers.append(ctypes.cast(found, ctypes.c_void_p).value or 0)
        return np.array(pointers, np.uintp)


def steps_made(losses: Array) -> int:
    """Return the number of steps before the first loss that is not finite, of any member."""
    finite: Array = np.isfinite(np.atleast_2d(losses)).all(axis=0)
    return finite.size if finite.all() else int(finite.argmin())


@functools.lru_cache(MOST_KNOWN)
def written(tapes: Tapes[Operation, Operand], shared: bool) -> tuple[str, int, int]:
    """Return the text of a module, and its bytes of scratch memory: in all, and for each thread.

    Equal tapes give equal machine code. `shared` is whether several threads share its work.
    """
    code = Code(machine().width, machine().registers, shared=shared)
    code.cycles = sum(cycles(operation, code.width) for operation in tapes.step)
    step, update = grouped(tapes.step), grouped(tapes.update)
    read = [operand for group in (*step, *update) for operand in group.exposed()]
    later = [*read, *tapes.scalars, *tapes.flats, *tapes.kept]
    code.function("internal void @step(ptr %table)", lambda: _write(code, step, later))
    code.function("internal void @update(ptr %table)", lambda: _write(code, update, later))
    write_train(code, tapes, machine().processor)
    if code.tasks:
        write_sharing(code, machine().processor)
    return code.text, code.scratch, code.own


def _write(code: Code, groups: Sequence[Group], later: Sequence[Operand]) -> None:
    """Write the loops of one part of the step."""
    for group in groups:
        if group.elementwise:
            Elementwise(code, group, later).write()
        else:
            (operation,) = group.operations
            WRITERS[operation.kind](code, operation)
