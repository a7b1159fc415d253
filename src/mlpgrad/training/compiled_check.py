"""One compiled step beside NumPy's calls, before a training uses the machine code."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.memory import address
from mlpgrad.training.compiled.operands import Tapes
from mlpgrad.training.compiled.program import Program
from mlpgrad.training.tape import Call, replay


def agrees(program: Program, tapes: Tapes[Call, Array]) -> bool:
    """Return whether a compiled step differs by rounding only from the calls of the tapes.

    Both are made on the arrays of the tapes.
    """
    params = tapes.flats[1]
    # what the layers show may be only rounding, in contrast to the gradient of all
    kept = [array for array in tapes.kept if array.shape in ((), params.shape)]
    arrays, generators = [*tapes.flats, *kept], [thing for thing, name in program.entries if name]
    before = [array.copy() for array in arrays]
    states = [rng.bit_generator.state for rng in generators]
    with np.errstate(all="ignore"):
        replay([*tapes.step, *tapes.update])
        expected = [array.copy() for array in arrays]
        for array, values in zip(arrays, before, strict=True):
            array[...] = values
        for rng, state in zip(generators, states, strict=True):
            rng.bit_generator.state = state
        _step(program, tapes)
        starts = [before[1] if array is params else np.zeros(1) for array in arrays]
        return all(map(functools.partial(_close, expected[0]), arrays, expected, starts))


def _step(program: Program, tapes: Tapes[Call, Array]) -> None:
    """Make one compiled step on the arrays of the tapes."""
    alive: list[Any] = []
    table = program.table(lambda thing: thing, alive)
    data = np.array([address(array) for array in tapes.data])
    order, numbers = np.arange(len(tapes.data[0])), np.array([s[()] for s in tapes.scalars])
    losses, sane, unused = np.zeros(1), np.zeros(4), np.zeros(len(tapes.flats))
    arrays = (table, data, order, numbers, losses, sane, unused)
    program.run([array[None] for array in arrays], 1, 1)


def _close(gradient: Array, found: Array, expected: Array, start: Array) -> bool:
    """Return whether two arrays, and their changes since `start`, differ by rounding only."""
    known, eps = np.isfinite(expected), float(np.finfo(expected.dtype).eps)
    # the sign of a gradient that is only rounding has an effect on the others
    if expected is not gradient and expected.shape == gradient.shape:
        known &= np.abs(gradient) >= eps**0.5 * np.abs(gradient).max()
    size, change = (np.abs(a)[known].max(initial=0) for a in (expected, expected - start))
    error = np.abs(found - expected)[known].max(initial=0)
    return bool(error <= eps**0.25 * change + 4 * eps * size)
