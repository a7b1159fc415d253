"""An optimizer's scalars for many steps at once, from its formula for one step."""

from __future__ import annotations

import math
import types
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.optimizers.base import Optimizer


def numbers(optimizer: Optimizer, first: int, count: int, dtype: Any) -> Array:
    """Return the scalars of `count` steps after the first `first`, (count, scalars + 1).

    The last column is the factor of the weights for decoupled weight decay.
    """
    rate = optimizer._learning_rate
    values: Any = None
    if type(rate) is float:
        steady = rate * optimizer.learning_rate_scale
        values = at_once(optimizer, steady, np.arange(first + 1, first + count + 1, dtype=float))
        rates: Any = steady
    if values is None:
        rates = [optimizer._rate(step) for step in range(first, first + count)]
        each = (optimizer.scalars(r, first + k + 1) for k, r in enumerate(rates))
        values = list(zip(*each, strict=True))
    table = np.empty((count, len(values) + 1), dtype)
    for k, value in enumerate(values):
        table[:, k] = value
    table[:, -1] = 1 - np.asarray(rates) * optimizer.weight_decay
    return table


def at_once(optimizer: Optimizer, rate: float, steps: Array) -> Any:
    """Evaluate `optimizer.scalars` for an array of steps, with NumPy's functions for `math`'s.

    Returns None if the formula does not work on arrays, or gives different numbers.
    """
    method: Any = optimizer.scalars
    function = method.__func__
    names = {**function.__globals__, "math": np}
    arrays = types.FunctionType(
        function.__code__, names, closure=function.__closure__, argdefs=function.__defaults__
    )
    try:
        values = arrays(optimizer, rate, steps)
        for place in (0, -1):
            one = method(rate, int(steps[place]))
            found = [value[place] if np.ndim(value) else value for value in values]
            if not all(math.isclose(*pair, rel_tol=1e-12) for pair in zip(found, one, strict=True)):
                return None
    except (TypeError, ValueError):
        return None
    return values
