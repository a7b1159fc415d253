"""Bounds on norms, of a gradient and of the columns of weights, as calls that read no value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mlpgrad.training.tape import Call, Tape

FAR = 2.0**-600
"""Numbers whose squares overflow are scaled by this; float32 squares do not overflow in float64."""


def written_out(calls: Sequence[Call]) -> Iterator[Call]:
    """Yield the calls of a tape, with simpler calls instead of `clip_norm` and `bound_columns`."""
    for call in calls:
        if call.name not in FORMS:
            yield call
            continue
        tape = Tape()
        with np.errstate(all="ignore"):  # they are made once, to be recorded
            FORMS[call.name](*map(tape.recorded, call.inputs))
        yield from tape.calls


def clip_norm(grads: Any, bound: float, out: Any) -> None:
    """Write g min(1, bound / |g|) to `out`; the norm is taken in float64."""
    wide = grads.tape.recorded(np.empty(grads.shape))
    factor = grads.tape.recorded(np.empty((), grads.dtype))
    wide[...] = grads
    near = np.sqrt(np.vecdot(wide, wide))
    np.multiply(wide, FAR, wide)
    far = np.divide(np.sqrt(np.vecdot(wide, wide)), FAR)
    np.copyto(near, far, "same_kind", np.equal(near, np.inf))
    factor[...] = bound / np.maximum(near, bound)
    np.multiply(grads, factor, out)


def bound_columns(weights: Any, bound: float) -> None:
    """Write w_j min(1, bound / |w_j|) for each column of weights (in, out)."""
    norms = np.sqrt(np.add.reduce(weights * weights, axis=-2, keepdims=True))
    np.multiply(weights, bound / np.maximum(norms, bound), weights)


FORMS: dict[str, Callable[..., None]] = {f.__name__: f for f in (clip_norm, bound_columns)}
