"""Functions that a recorded step contains as a single call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def recordable(function: Function) -> Function:
    """Decorate a function that writes to its arrays and depends only on its arguments.

    While a step is recorded, the function is recorded as a whole, like a NumPy call, so it may
    depend on values. Its first argument must be an array.
    """

    @functools.wraps(function)
    def call(array: Any, *args: Any) -> Any:
        tape = getattr(array, "tape", None)
        if tape is None:
            return function(array, *args)
        return tape.make(function.__name__, function, (array, *args))

    return call  # type: ignore[return-value]  # wraps keeps the signature
