"""Runs recorded calls with NumPy and compiled."""

import numpy as np

from mlpgrad._core.memory import address
from mlpgrad.training.compiled.operands import Tapes
from mlpgrad.training.compiled.program import Program
from mlpgrad.training.norms import written_out
from mlpgrad.training.tape import Tape


def compiled(write, *arrays, helpers=0, scratch=()):
    """The effects of `write(*arrays, *scratch)` on its arrays with NumPy and compiled.

    Parameters
    ----------
    write : callable
        Makes NumPy calls on the arrays it is given.
    *arrays : array
    helpers : int
        Number of threads that help with large products and loops.
    scratch : sequence of array
        Arrays that are not read afterwards.

    Returns
    -------
    list of (array, array)
        Each array after NumPy's calls and after the compiled calls.
    """
    before = [array.copy() for array in arrays]
    tape = Tape()
    with np.errstate(all="ignore"):
        write(*map(tape.recorded, (*arrays, *scratch)))
    by_numpy = [array.copy() for array in arrays]
    dtype = next(a.dtype for a in arrays if a.dtype in (np.float32, np.float64))
    value, params = np.zeros((), dtype), np.zeros(4, dtype)
    batch = np.zeros((1, 1), dtype)
    tapes = Tapes(
        list(written_out(tape.calls)),
        [],
        data=[batch],
        scalars=[],
        flats=[np.zeros(4, dtype), params],
        kept=[value, *(array for array in arrays if array.flags.writeable)],
    )
    program = Program(tapes, helpers)
    alive = []
    table = program.table(lambda thing: thing, alive)
    for array, values in zip(arrays, before, strict=True):
        if array.flags.writeable:
            array[...] = values
    sane, saved = np.zeros((1, 4)), np.zeros(4, dtype)
    data, copies = (np.array([[address(array)]], np.uintp) for array in (batch, saved))
    order, numbers, losses = np.zeros((1, 1), int), np.zeros((1, 1, 1), dtype), np.ones((1, 1))
    program.run([table[None], data, order, numbers, losses, sane, copies], 1, 1)
    assert losses == value
    return list(zip(by_numpy, arrays, strict=True))
