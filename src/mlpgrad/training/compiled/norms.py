"""Bounds on norms, of a gradient and of the columns of weights, as calls that read no value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.training.tape import Call

FAR = 2.0**-600
"""Numbers whose squares overflow are scaled by this; float32 squares do not overflow in float64."""


def written_out(calls: Sequence[Call]) -> Iterator[Call]:
    """Yield the calls of a tape, with simpler calls instead of `clip_norm` and `bound_columns`."""
    forms: dict[str, Callable[..., Iterator[Call]]] = {}
    forms |= {"clip_norm": clip_norm, "bound_columns": bound_columns}
    for call in calls:
        if call.name in forms:
            inputs = call.inputs if call.output is None else (*call.inputs, call.output)
            yield from forms[call.name](*inputs)
        else:
            yield call


def clip_norm(grads: Array, bound: float, out: Array) -> Iterator[Call]:
    """Yield the calls that write g min(1, bound / |g|); the norm is taken in float64."""
    wide, (near, far) = np.empty(grads.shape), np.empty((2, *grads.shape[:-1], 1))
    factor = np.empty(near.shape, grads.dtype)
    overflows = np.empty(near.shape, bool)
    yield _call(np.copyto, wide, grads)
    yield _call(np.vecdot, wide, wide, out=near[..., 0])
    yield _call(np.multiply, wide, FAR, out=wide)
    yield _call(np.vecdot, wide, wide, out=far[..., 0])
    for norm in (near, far):
        yield _call(np.sqrt, norm, out=norm)
    yield _call(np.divide, far, FAR, out=far)
    yield _call(np.equal, near, np.inf, out=overflows)
    yield _call(np.copyto, near, far, "same_kind", overflows)
    yield _call(np.maximum, near, bound, out=near)
    yield _call(np.divide, bound, near, out=near)
    yield _call(np.copyto, factor, near)
    yield _call(np.multiply, grads, factor, out=out)


def bound_columns(weights: Array, bound: float) -> Iterator[Call]:
    """Yield the calls that write w_j min(1, bound / |w_j|) for each column of weights (in, out)."""
    squares, norms = np.empty_like(weights), np.empty_like(weights[..., 0, :])
    yield _call(np.multiply, weights, weights, out=squares)
    yield Call("add.reduce", np.add.reduce, (squares,), norms, {"axis": -2})
    yield _call(np.sqrt, norms, out=norms)
    yield _call(np.maximum, norms, bound, out=norms)
    yield _call(np.divide, bound, norms, out=norms)
    yield _call(np.multiply, weights, norms[..., None, :], out=weights)


def _call(function: Any, *inputs: Any, out: Array | None = None) -> Call:
    return Call(function.__name__, function, inputs, out, {})
