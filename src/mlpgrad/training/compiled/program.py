"""A recorded step and update as one compiled function, and its tables of pointers."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.training.compiled.blas import NAMES, Blas
from mlpgrad.training.compiled.epoch import Layout
from mlpgrad.training.compiled.machine import compiled, machine
from mlpgrad.training.compiled.module import Description, Module
from mlpgrad.training.compiled.operands import (
    NotCoveredError,
    Operand,
    Roots,
    address,
    addresses,
    read,
)
from mlpgrad.training.tape import Call

MOST_KNOWN = 64
"""Number of descriptions whose text is kept, so that repeated calls of `fit` write it once."""


class Tapes(NamedTuple):
    """The calls of a step and of an update to compile, and the arrays with a special role.

    Parameters
    ----------
    step, update : sequence of Call
    data : sequence of array
        The buffers of a batch: inputs, targets, and any weights.
    value : array ()
        The loss.
    scalars : sequence of array ()
        Arrays that get new values before each update.
    params, state, grads : array (P,), (S,) and (P,)
    kept : sequence of array
        Other arrays that are read after the step.
    """

    step: Sequence[Call]
    update: Sequence[Call]
    data: Sequence[Array]
    value: Array
    scalars: Sequence[Array]
    params: Array
    state: Array
    grads: Array
    kept: Sequence[Array]

    def described(self, roots: Roots) -> Description:
        """Return the calls as operations on parts of the buffers."""
        if not self.params.size:
            raise NotCoveredError("a network without parameters")
        kind = self.params.dtype.str[1:]
        grads = Operand(self.grads, roots)
        looked_at = [self.params, self.grads, *self.kept, *([self.state] * bool(self.state.size))]
        value = Operand(self.value, roots)
        scalars = tuple(Operand(scalar, roots) for scalar in self.scalars)
        looks = tuple(Operand(array, roots) for array in looked_at)
        rows = self.data[0].shape[0]
        data = tuple((roots.place_of(array)[0], array.nbytes // rows) for array in self.data)
        step, update = (tuple(read(calls, roots)) for calls in (self.step, self.update))
        params = roots.place_of(self.params)[0]
        state = roots.place_of(self.state)[0] if self.state.size else params
        sizes = (params, self.params.nbytes), (state, self.state.nbytes)
        layout = Layout(value, rows, data, scalars, *sizes, kind)
        _check_apart(roots)
        looks = (value, *scalars, *looks)
        return Description(
            step, update, looks, grads, layout, len(roots.arrays), len(roots.generators)
        )


class Program:
    """Compiled tapes.

    Attributes
    ----------
    roots : Roots
        The buffers that the code works on.
    function : callable (rows, members, batches, before)
        `train` in `epoch`, which `run` calls; it releases Python's lock.
    """

    def __init__(self, tapes: Tapes, blas: Blas | None) -> None:
        self.blas, self.roots = blas, Roots()
        text, self._scratch = _written(tapes.described(self.roots), blas)
        try:
            self._engine, place = compiled(text)
        except (ImportError, OSError, RuntimeError) as error:  # another llvmlite, for instance
            raise NotCoveredError(f"a step that LLVM refuses ({error})") from error
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
        arrays = [place(array) for array in self.roots.arrays]
        generators = [place(generator) for generator in self.roots.generators]
        pointers = [address(array) for array in arrays]
        for generator in generators:
            bits = generator.bit_generator.ctypes
            functions = bits.next_uint32, bits.next_uint64
            pointers.append(bits.state_address)
            pointers += [ctypes.cast(f, ctypes.c_void_p).value or 0 for f in functions]
        pointers += [self.blas.addresses[kind] if self.blas else 0 for kind in NAMES]
        room = np.empty(self._scratch + 64, np.uint8)
        pointers.append(address(room))
        return np.array(pointers, np.uintp), [arrays, generators, room]


_known: dict[Any, tuple[str, int]] = {}


def _written(description: Description, blas: Blas | None) -> tuple[str, int]:
    """Return the text of a module and its scratch size; equal descriptions share one."""
    key = signature(description), blas is None
    written = _known.get(key)
    if written is None:
        module = Module(description, machine(), blas)
        written = _known[key] = module.text, module.scratch
        for oldest in list(_known)[:-MOST_KNOWN]:
            _known.pop(oldest, None)  # another thread may have been faster
    return written


def signature(thing: Any) -> Any:
    """Return a key for the text; positions are relative to the starts of the buffers."""
    if isinstance(thing, Operand):
        return thing.shape, thing.strides, thing.kind, repr(thing.value), thing.root, thing.offset
    if isinstance(thing, (tuple, list)):
        return tuple(map(signature, thing))
    return thing


def _check_apart(roots: Roots) -> None:
    """Raise NotCoveredError if two buffers share memory, since accesses might be reordered."""
    ranges = sorted((address(array), array.nbytes) for array in roots.arrays)
    for (start, size), (following, _) in itertools.pairwise(ranges):
        if start + size > following:
            raise NotCoveredError("two buffers that share memory")
