"""An optimizer's scalars for many steps at once, from its formula for one step."""

from __future__ import annotations

import math
import types
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.optimizers.base import Optimizer


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def scalars_ahead(optimizer: Optimizer, rate: Any, first: int, count: int, dtype: Any) -> Array:
    """Return the scalars of `count` steps after the first `first`, (count, scalars + 1).

    The last column is the factor of the weights for decoupled weight decay. `rate` is the learning
    rate of one member: a number, or the optimizer's schedule. If a schedule fails at a step, the
    scalars are those of the steps before it; at the first step, its error is raised.
    """
    if type(rate) is float:
        rates: Any = rate * optimizer.learning_rate_scale
    else:
        rates = scheduled(optimizer, first, count)
        count = len(rates)
    start, stop = first + 1, first + count + 1
    values = at_once(optimizer, rates, np.arange(start, stop, dtype=float))
    if values is None:
        single = np.broadcast_to(rates, count).tolist()
        each = map(optimizer._direct_scalars, single, range(start, stop))
        values = list(zip(*each, strict=True))
    table = np.empty((count, len(values) + 1), dtype)
    for k, value in enumerate((*values, 1 - rates * optimizer.weight_decay)):
        table[:, k] = value
    return table


def scheduled(optimizer: Optimizer, first: int, count: int) -> Array:
    """Return the learning rates of `count` steps, or of those before the one that has none."""
    rates: list[Any] = []
    try:
        for step in range(first, first + count):
            rates.append(optimizer._rate(step))
    except Exception:  # raised again at its own step, when those before it have been made
        if not rates:
            raise
    return np.array(rates, float)


def at_once(optimizer: Optimizer, rates: Any, steps: Array) -> Any:
    """Evaluate `optimizer.scalars` for arrays of steps, with NumPy's functions for `math`'s.

    Returns None if the formula does not work on arrays, or gives different numbers.
    """
    method: Any = optimizer._direct_scalars
    try:
        function = method.__func__  # there is none if it was assigned to the object
        names = {**function.__globals__, "math": np}
        arrays = types.FunctionType(
            function.__code__, names, closure=function.__closure__, argdefs=function.__defaults__
        )
        values = arrays(optimizer, rates, steps)
        for place in (0, -1):
            rate, *found = (v[place] if np.ndim(v) else v for v in (rates, *values))
            one = method(float(rate), int(steps[place]))
            if not all(math.isclose(*pair, rel_tol=1e-12) for pair in zip(found, one, strict=True)):
                return None
    except Exception:  # a formula for numbers may fail on arrays in any way
        return None
    return values
