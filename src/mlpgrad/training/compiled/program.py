"""A recorded step and update as one compiled function, and its tables of pointers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.training.compiled.blas import Blas
from mlpgrad.training.compiled.machine import compiled
from mlpgrad.training.compiled.module import written
from mlpgrad.training.compiled.operands import (
    NotCoveredError,
    Roots,
    Tapes,
    address,
    addresses,
    described,
)
from mlpgrad.training.compiled.writing import FIXED
from mlpgrad.training.tape import Call


class Program:
    """Compiled tapes.

    Attributes
    ----------
    roots : Roots
        The buffers that the code works on.
    function : callable (rows, members, batches, before)
        `train` in `epoch`, which `run` calls; it releases Python's lock.
    """

    def __init__(self, tapes: Tapes[Call, Array], blas: Blas | None) -> None:
        self.blas, self.roots = blas, Roots()
        try:
            text, scratch = written(described(tapes, self.roots), blas and blas.integer)
            self._engine, place = compiled(text)
        except (ImportError, OSError, RuntimeError) as error:  # another llvmlite, for instance
            raise NotCoveredError(f"a step that LLVM refuses ({error})") from error
        self._scratch = scratch
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

    def table(self, place: Callable[[Any], Any]) -> tuple[Array, list[Any]]:
        """Return the pointers for one network, and the objects that must outlive them.

        Parameters
        ----------
        place : callable
            Maps an array or generator of the tapes to the one to use instead.
        """
        room = np.empty(self._scratch + 64, np.uint8)
        gemms = self.blas.addresses if self.blas else {}
        fixed = {"scratch": address(room)} | {f"gemm_{k}": at for k, at in gemms.items()}
        pointers, alive = [fixed.get(name, 0) for name in FIXED], [room]
        for entry in self.roots.entries:
            if isinstance(entry, tuple):
                generator, name = place(entry[0]), entry[1]
                found = getattr(generator.bit_generator.ctypes, name)
                pointers.append(ctypes.cast(found, ctypes.c_void_p).value or 0)
                alive.append(generator)
            else:
                alive.append(place(entry))
                pointers.append(address(alive[-1]))
        return np.array(pointers, np.uintp), alive


def steps_made(losses: Array) -> int:
    """Return the number of steps before the first loss that is not finite, of any member."""
    finite: Array = np.isfinite(np.atleast_2d(losses)).all(axis=0)
    return finite.size if finite.all() else int(finite.argmin())
