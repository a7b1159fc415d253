"""`Watched`: detects whether options of objects have changed since the last check."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

UNWATCHED = {"params", "grads", "state", "steps", "learning_rate_scale"}
"""Attributes that change at every step and are not options."""


class Watched:
    """Store the public attributes of some objects by value, arrays element by element."""

    def __init__(self, things: Iterable[Any]) -> None:
        self._seen = [(thing, options(thing)) for thing in things]

    def changed(self, things: Iterable[Any]) -> bool:
        """Return whether these are other objects, or an option of one of them has changed."""
        now = list(things)
        if len(now) != len(self._seen):
            return True
        return any(
            thing is not seen or not same(options(thing), before)
            for thing, (seen, before) in zip(now, self._seen, strict=True)
        )


def options(thing: Any) -> dict[str, Any]:
    """Return public attributes of an object, with copies of arrays and lists for comparison."""
    return {
        name: frozen(value)
        for name, value in list(getattr(thing, "__dict__", {}).items())
        if not name.startswith("_") and name not in UNWATCHED
    }


def frozen(value: Any) -> Any:
    """Return the current value: a copy of what can be changed from outside."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(map(frozen, value)) if type(value) in (list, tuple) else value
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return value


def same(a: Any, b: Any) -> bool:
    """Return whether two values are equal, arrays in every element (NaN equals NaN)."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    try:
        return bool(a == b)
    except Exception:  # such as an array of bools: treated as different
        return False
