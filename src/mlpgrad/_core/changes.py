"""`Watched`: whether options of objects have been changed since they were last looked at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

UNWATCHED = {"params", "grads", "state", "steps", "learning_rate_scale"}
"""Attributes that change at every step and are not options."""


class Watched:
    """Remembers the public attributes of some objects by value, arrays element by element."""

    def __init__(self, things: Iterable[Any]) -> None:
        self._seen = [(thing, options(thing)) for thing in things]

    def changed(self, things: Iterable[Any]) -> bool:
        """Whether these are other objects, or one of them has another option than it had."""
        now = list(things)
        if len(now) != len(self._seen):
            return True
        return any(
            thing is not seen or not same(options(thing), before)
            for thing, (seen, before) in zip(now, self._seen, strict=True)
        )


def options(thing: Any) -> dict[str, Any]:
    """Public attributes of an object; arrays and lists are copied, so that they can be compared."""
    return {
        name: frozen(value)
        for name, value in list(getattr(thing, "__dict__", {}).items())
        if not name.startswith("_") and name not in UNWATCHED
    }


def frozen(value: Any) -> Any:
    """A value as it is now: a copy of what can be changed from outside."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(map(frozen, value)) if type(value) in (list, tuple) else value
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two values are alike, arrays in every element (NaN equals NaN)."""
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
    except Exception:  # such as a table of truth values: taken for another one
        return False
