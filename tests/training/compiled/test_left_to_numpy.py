"""Calls that are not compiled are refused, with a reason, before anything is run."""

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the extra `compiled` is not installed")

from mlpgrad.training.compiled.operands import NotCoveredError
from tests.training.compiled.running import compiled


def zeros(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


def strided(array, shape, strides):
    return np.lib.stride_tricks.as_strided(array, shape, strides)


def whole(*shape):
    return zeros(*shape, dtype=np.int64)


def into(function):
    """The call of a function that writes to its last argument."""
    return lambda *arrays: function(*arrays[:-1], arrays[-1])


CALLS = {
    "matmul of vectors|f8 to": (lambda x, y: x.dot(2.0, y), zeros(3, 4), zeros(3, 4)),
    "an assignment to": (lambda x, y: x.__setitem__([0, 2], y[:2]), zeros(4), zeros(4)),
    "dot of more than two axes": (into(np.dot), zeros(2, 3, 4), zeros(4, 5), zeros(2, 3, 5)),
    "matmul of vectors": (into(np.matmul), zeros(2, 3, 4), zeros(4), zeros(2, 3)),
    "vecdot of broadcast shapes": (into(np.vecdot), zeros(3, 4), zeros(4), zeros(3)),
    r"dot of \['f4', 'f8'\]": (into(np.vecdot), zeros(4, dtype=np.float32), zeros(4), zeros()),
    "a product with strides": (into(np.dot), zeros(2, 3), zeros(6, 8)[::2, ::2], zeros(2, 4)),
    "add.reduce": (lambda x, y: np.add.reduce(x, axis=0, out=y), zeros(2, 3, 4), zeros(3, 4)),
    "argmax along axis 0": (lambda x, i: x.argmax(0, i, keepdims=True), zeros(3, 4), whole(1, 4)),
    "argmax of 65": (lambda x, i: x.argmax(-1, i, keepdims=True), zeros(3, 65), whole(3, 1)),
    "take along axis 1": (
        lambda x, i, y: x.take(i, 1, y, "clip"),
        zeros(3, 4),
        whole(2),
        zeros(3, 2),
    ),
    "take of more": (
        lambda x, i, y: x.take(i, 0, y, "clip"),
        zeros(3, 4, 2),
        whole(2),
        zeros(2, 4, 2),
    ),
    "sin": (into(np.sin), zeros(3), zeros(3)),
    "bitwise_and of": (lambda x, i: np.bitwise_and(i, i, i), zeros(3), whole(3)),
    "take into": (lambda x, i, y: x.take(i, None, y, "clip"), zeros(3, 4), whole(2), zeros(2)),
    "f8 to i8": (lambda x, y: y.__setitem__(..., x), zeros(3), whole(3)),
    "a broadcast output": (into(np.negative), zeros(3), strided(zeros(3), (3,), (0,))),
    "negative into a part": (lambda x: np.negative(x[:-1], x[1:]), zeros(4)),
    "rows with gaps": (
        lambda x, i: x.argmax(-1, i, keepdims=True),
        zeros(3, 4, 8)[:, :2],
        whole(3, 2, 1),
    ),
}


@pytest.mark.parametrize("reason", CALLS)
def test_a_call_that_is_not_compiled_says_why(reason):
    write, *arrays = CALLS[reason]
    with pytest.raises(NotCoveredError, match=reason):
        compiled(write, *arrays)


def test_axes_of_length_one_may_be_left_out():
    """NumPy drops them where it assigns."""
    x, y = np.arange(3.0)[None], np.zeros(3)

    def write(x, y):
        y[...] = x

    for by_numpy, ours in compiled(write, x, y):
        np.testing.assert_array_equal(by_numpy, ours)


def test_lists_are_read_as_arrays():
    rng = np.random.default_rng(0)
    x, y, z, w = rng.normal(size=(3, 4)), np.zeros((3, 2)), np.zeros(3), np.zeros(3)

    def write(x, y, z, w):
        x.take([3, 1], -1, y, "clip")
        x.dot([1.0, 2.0, 3.0, 4.0], z)
        np.vecdot(x[0], [4.0, 3.0, 2.0, 1.0], out=w[0, ...])
        np.add(w, [1.0, 2.0, 3.0], w)

    for by_numpy, ours in compiled(write, x, y, z, w):
        np.testing.assert_allclose(ours, by_numpy, rtol=1e-14)
